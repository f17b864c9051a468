#!/usr/bin/env bash
# Makes the environments, finds the data, and has the engine run what is not there yet. --help tells more.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. engine/environment.sh
. engine/run.sh

usage() {
  cat <<'HELP'
./run_all.sh [quick|full|smoke]  run the notebooks that are not finished, write the report (default: quick)
./run_all.sh results/full/figures/06_nan.png  run only what this file needs
./run_all.sh sweep config/sweep-example.yaml  run the points of a grid, draw what they found (docs/sweeps.md)
./run_all.sh check [full|quick]  do the numbers of this run agree with the published ones?
./run_all.sh test                ruff, pytest, smoke and nbval: does everything still hold?
./run_all.sh lab                 open JupyterLab in the environment
./run_all.sh site                build and check this repository as a web site, site/_build/html
./run_all.sh explore             open notebook 10 as a page to play with; --no-browser, --port 8866
./run_all.sh --help              this text

-n         only say what would run, why, and how long it takes
--cores 8  runs at a time (default: one for each core)
--fresh    forget what was computed and start again; --fresh --yes deletes even what git tracks
--verbose  show all that the notebooks print; else it is in results/<profile>/logs/
Other options go to Snakemake, for example --executor slurm --jobs 2 (docs/cluster.md).

quick takes about 11 minutes on two cores, full many hours, smoke some minutes (its numbers mean nothing).
A run that was stopped goes on from its checkpoints. A finished run is not run again, unless its parameters,
its inputs or the VERSION of its notebook changed.
The data are taken from $SENSEGEN_HAR_ARCHIVE (a zip or a folder), else from data/, else downloaded.
HELP
}

refuse() {
  echo "unknown argument: $1" >&2
  usage >&2
  exit 2
}

command=quick check='' fresh='' yes='' dry='' target='' before='' passed=()
for argument in "$@"; do
  case $argument in
    quick | full | smoke | sweep | test | lab | site | explore) command=$argument ;;
    check) check=yes ;;
    --fresh) fresh=yes ;;
    --yes) yes=yes ;;
    --verbose) export SENSEGEN_VERBOSE=yes ;;
    -h | --help) usage; exit ;;
    -n | --dry-run | --dryrun) dry=yes; passed+=(-n) ;;
    -*) passed+=("$argument") ;;
    *config/sweep-*.yaml) command=$(basename "$argument" .yaml); [[ -f config/$command.yaml ]] || refuse "$argument" ;;
    *results/*)
      target=${argument#"$PWD/"} target=${target#./} passed+=("$target")
      command=${target##*results/} command=${command%%/*} command=${command#simulated-}
      [[ -f config/$command.yaml ]] || refuse "$argument" ;;
    *) # the value of an option, else nothing that we know
      [[ $before == -?* && ! $before =~ ^(-n|--dry-?run|--fresh|--yes|--verbose)$ ]] || refuse "$argument"
      passed+=("$argument") ;;
  esac
  before=$argument
done

if [[ $command == sweep ]]; then refuse "a sweep without its file, config/sweep-<name>.yaml"; fi
if [[ -n $target && -n $fresh ]]; then
  echo "--fresh is for a whole profile: ./run_all.sh $command --fresh" >&2
  exit 2
fi
if [[ $command == site ]]; then build_site; exit; fi # it needs nothing of the science
prepare_science
export TF_CPP_MIN_LOG_LEVEL=3 PYTHONUNBUFFERED=1
# Linux's C library would give the large arrays of an update back to the system, and take them again page by page:
# a fifth of the time of notebook 7's training, and half of its measuring.
export GLIBC_TUNABLES=${GLIBC_TUNABLES:-glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=17179869184}
if [[ -n $check ]]; then exec python -m sensegen_utils.report.expected "$command"; fi
case $command in
  lab) exec jupyter lab --notebook-dir notebooks ;;
  explore) explore ${passed[@]+"${passed[@]}"} ;;
  test)
    prepare_engine
    ruff check .
    ruff format --check .
    warm_kernels
    # Three at a time, since some wait for a browser or a kill; -rs: and why some were left out.
    timed pytest pytest -rs -n 3 --dist loadgroup -p no:nbval tests
    fresh=yes passed=(--cores 3 ${passed[@]+"${passed[@]}"}) # what the user says comes last, and counts
    run_profile smoke
    timed nbval compare_notebooks ;;
  *)
    prepare_engine
    run_profile "$command" ;;
esac
