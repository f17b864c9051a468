#!/usr/bin/env bash
# Regenerates the report: environment, notebooks in order, REPORT.md. ./run_all.sh --help tells more.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
  cat <<'HELP'
./run_all.sh [quick|full|smoke] [--fresh]  run all notebooks and write REPORT.md (default: quick)
./run_all.sh test                          ruff, pytest and nbval: does everything still hold?
./run_all.sh lab                           open JupyterLab in the environment
./run_all.sh --help                        this text

quick takes 10 to 20 minutes, full many hours, smoke about five minutes (its numbers mean nothing).
A run that was stopped goes on from its checkpoints; --fresh forgets them and computes all anew.
The data are taken from $SENSEGEN_HAR_ARCHIVE (a zip or a folder), else from data/, else downloaded.
HELP
}

command=quick fresh=
for argument in "$@"; do
  case $argument in
    quick | full | smoke | test | lab) command=$argument ;;
    --fresh) fresh=yes ;;
    -h | --help) usage; exit ;;
    *) echo "unknown argument: $argument" >&2; usage >&2; exit 2 ;;
  esac
done

# Whether a Python has this project's packages, TensorFlow and Keras in the locked versions.
has_packages() {
  "$1" - 2>/dev/null <<'PYTHON'
import re
from importlib.metadata import version

for package in "papermill jupyterlab nbval pytest pytest-xdist ruff scikit-learn seaborn tabulate".split():
    version(package)
lock = open("requirements.lock").read()
for package in ("tensorflow", "keras"):
    assert re.search(rf"^{package}=={version(package)} ", lock, re.M)
PYTHON
}

# Notebooks run in notebooks/: there it shows whether this checkout, and no other one, is installed.
has_project() {
  local here=$PWD
  (cd notebooks && "$1" -c "import sensegen_utils.paths as p; assert p.__file__.startswith('$here/')" 2>/dev/null)
}

# An active environment that has the packages is used as it is; else .venv is made from the lock.
prepare_environment() {
  if [[ -n ${VIRTUAL_ENV:-}${CONDA_PREFIX:-} ]] && has_packages python; then
    has_project python || python -m pip install --quiet --no-deps --no-build-isolation -e .
    return
  fi
  if ! [[ .venv/.made -nt requirements.lock ]] || ! has_packages .venv/bin/python || ! has_project "$PWD/.venv/bin/python"; then
    echo "== environment: making .venv from requirements.lock (some minutes, once)"
    rm -rf .venv
    if command -v uv >/dev/null; then
      uv venv --quiet --python '>=3.11,<3.14' .venv
      # Compiled, as pip does it: where Python may not keep its own bytecode, each import would take 10 s, not 4.
      uv pip install --quiet --python .venv --require-hashes --compile-bytecode -r requirements.lock
      uv pip install --quiet --python .venv --no-deps --no-build-isolation -e .
    else
      local python
      python=$(find_python)
      "$python" -m venv .venv
      .venv/bin/python -m pip install --quiet --require-hashes -r requirements.lock
      .venv/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
    fi
    touch .venv/.made
  fi
  export PATH="$PWD/.venv/bin:$PATH" VIRTUAL_ENV="$PWD/.venv"
}

find_python() {
  local name
  for name in python3.13 python3.12 python3.11 python3; do
    if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then
      echo "$name"; return
    fi
  done
  echo "Python 3.11, 3.12 or 3.13 is needed; none was found. Install one, or uv, and run again." >&2
  exit 1
}

# Leaves out what papermill, ipykernel and TensorFlow say of themselves, and pictures.
quiet() {
  local chatter='^ *$|^(Executing|Ending) Cell|^(In|Out)put Notebook:|^Working directory:|^Executing notebook'
  grep --line-buffered -vE "$chatter|IPKernelApp|[IWE]0000 |absl::Init|<Figure size" || true # none left is fine
}

# execute NAME SUFFIX [-p PARAMETER VALUE]...: one notebook by papermill, its output on the terminal line by line.
execute() {
  local name=$1 suffix=$2; shift 2
  papermill notebooks/"$name".ipynb "$results/notebooks/$name$suffix.ipynb" --cwd notebooks -k python3 \
    -p PROFILE "$profile" "$@" --no-progress-bar --log-output 2>&1 | quiet |
    while IFS= read -r line; do echo "[$name$suffix] $line"; done
}

# A kernel can die at birth, when another program takes the ports that Jupyter chose for it: no cell has run.
died_at_birth() {
  [[ -f $1 ]] && ! grep -q '"execution_count": [0-9]' "$1" && echo "== the kernel died before its first cell; once more"
}

# notebook NAME SUFFIX [-p PARAMETER VALUE]...: execute one notebook, and say how it went.
notebook() {
  local name=$1 suffix=$2 start=$SECONDS
  local output=$results/notebooks/$name$suffix.ipynb
  echo "== $name$suffix ($profile)"
  if execute "$@" || { died_at_birth "$output" && execute "$@"; }; then
    echo "== $name$suffix done in $((SECONDS - start)) s"
  else
    echo "== FAILED: $name$suffix; the traceback stands above and in $output" >&2
    echo "== To go on from the last checkpoint: ./run_all.sh $profile   To start again: ./run_all.sh $profile --fresh" >&2
    return 255  # makes xargs stop
  fi
}

# timed NAME COMMAND...: run it, and say how long it took.
timed() {
  local name=$1 start=$SECONDS; shift
  "$@"
  echo "== $name done in $((SECONDS - start)) s"
}

# One line of independent work, as sensegen_utils.profiles prints them.
job() {
  case $1 in
    judge) notebook 02_mdn_generator "" && notebook 03_discriminator "" ;;
    generator) notebook 02_mdn_generator "-seed$2" -p SEED "$2" ;;
    beyond) notebook 02_mdn_generator -beyond -p FLOOR "$2" -p EPOCHS "$3" ;;
    published_start)
      notebook 02_mdn_generator -published-start -p LSTM_LAYERS "$2" -p PUBLISHED_START True -p EPOCHS "$3" ;;
    failure) notebook 02b_nan_in_training "" ;;
    predictor) notebook 03b_next_step_predictor "" ;;
    ablation) notebook 07b_ablation "" ;;
    evaluation) notebook 08_evaluation "-$2" -p MODEL "$2" ;;
    sensor) notebook 09_your_own_sensor "" ;;
    quickstart) notebook 00_quickstart "" ;;
    windows) notebook 07_true_time_axis "-$2-seed$3" -p MODEL "$2" -p SEED "$3" ;;
    experiment) notebook 04_alternating_training "-$2-$3" -p SIGNAL "$2" -p LSTM_UNITS "$3" -p LSTM_LAYERS "$4" ;;
  esac
}

# One thread for TensorFlow, NumPy and scikit-learn: on two cores faster than one notebook after the other.
single_threaded() {
  TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 OMP_NUM_THREADS=1 "$@"
}

# Runs the jobs that stand on its input.
two_at_a_time() {
  single_threaded xargs -P 2 -L 1 bash -c 'set -euo pipefail; job "$@"' _
}

run_profile() {
  profile=$1
  local start=$SECONDS
  # Finds the data; if they are simulated, it says so loudly and names another folder.
  folder=$(python -m sensegen_utils.records "$profile")
  results=${SENSEGEN_ROOT:+$SENSEGEN_ROOT/}results/$folder # relative, since papermill notes it in the notebooks
  if [[ -n $fresh ]]; then
    rm -rf "$results"/{checkpoints,models,records,samples}
    rm -f "${results%/*}/$profile"/checkpoints/09_* # a sensor of one's own is not simulated where UCI HAR is
  fi
  mkdir -p "$results/notebooks"
  # Without archive and network, one look for them is enough.
  local stand_in=${SENSEGEN_ROOT:-$PWD}/data/simulated-har.zip
  if [[ $folder == simulated-* && -f $stand_in ]]; then export SENSEGEN_HAR_ARCHIVE=${SENSEGEN_HAR_ARCHIVE:-$stand_in}; fi
  export profile results
  export -f notebook execute died_at_birth job quiet
  notebook 01_data_preparation ""
  { echo judge; python -m sensegen_utils.profiles "$profile"; } | two_at_a_time
  printf '%s\n' "evaluation six" "evaluation one" sensor quickstart | two_at_a_time # the judges need all of 07
  notebook 05_results_and_figures ""
  notebook 06_where_the_numbers_come_from ""
  echo "== $profile done in $((SECONDS - start)) s; the report: results/$folder/REPORT.md"
}

# nbval compares with outputs that were made from the official archive; with other data it only runs the cells
# and compares those that do not depend on data.
compare_notebooks() {
  if [[ $folder == smoke ]]; then
    single_threaded pytest -n 2 --dist loadfile --nbval --nbval-current-env notebooks
  else
    echo "== SIMULATED data: outputs are compared only where they do not depend on data" >&2
    single_threaded pytest -n 2 --dist loadfile --nbval-lax --nbval-current-env notebooks
  fi
}

prepare_environment
export TF_CPP_MIN_LOG_LEVEL=3 PYTHONUNBUFFERED=1
case $command in
  lab) exec jupyter lab --notebook-dir notebooks ;;
  test)
    ruff check .
    ruff format --check .
    timed pytest pytest -n 2 --dist loadgroup tests
    fresh=yes
    run_profile smoke
    timed nbval compare_notebooks
    ;;
  *) run_profile "$command" ;;
esac
