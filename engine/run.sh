# Finds the data and calls Snakemake; forgets results; compares notebooks; builds the site. run_all.sh reads this file and sets
# fresh, yes, dry, target (yes or a path, else empty) and passed, the options for Snakemake.

# timed NAME COMMAND...: run it, and say how long it took.
timed() {
  local name=$1 start=$SECONDS; shift
  "$@"
  echo "== $name done in $((SECONDS - start)) s"
}

# forget FOLDER [kept]: delete what was computed. It asks before it deletes what git tracks, or keeps that.
forget() {
  local parts=("$1"/{checkpoints,models,records,runs,samples}) tracked answer
  tracked=$(git ls-files -- "${parts[@]}" 2>/dev/null | wc -l)
  if ((tracked)) && [[ -z $yes ]]; then
    [[ ${2:-} != kept ]] || return 0
    if ! [[ -t 0 ]]; then
      echo "--fresh would delete $((tracked)) files that git tracks in $1; with --fresh --yes it does" >&2
      exit 2
    fi
    read -rp "Delete $((tracked)) files that git tracks in $1? [y/N] " answer
    [[ $answer == [yY]* ]] || exit 2
  fi
  rm -rf "${parts[@]}"
}

run_profile() {
  local profile=$1 base=${SENSEGEN_ROOT:+$SENSEGEN_ROOT/}results start=$SECONDS options data found failed=0
  if [[ $profile == sweep-* ]]; then python engine/sweep.py check "$profile"; fi
  found=$(python engine/find_data.py "$profile") # another folder, and a loud word, if they are simulated
  read -r folder data <<<"$found"
  if [[ -n $target && $target != "$base/$folder"/* ]]; then
    echo "the results of the data at hand are in $base/$folder; $target is elsewhere" >&2
    exit 2
  fi
  # Without archive and network, one look for them is enough.
  local stand_in=${SENSEGEN_ROOT:-$PWD}/data/simulated-har.zip
  if [[ $folder == simulated-* && -f $stand_in ]]; then export SENSEGEN_HAR_ARCHIVE=${SENSEGEN_HAR_ARCHIVE:-$stand_in}; fi
  if [[ -n $fresh && -n $dry ]]; then
    passed+=(--forceall)
  elif [[ -n $fresh ]]; then
    forget "$base/$folder"
    forget "$base/$profile" kept # what needs no archive is here
  fi
  options=(
    --config "profile=$profile" "folder=$folder" "data=${data:+sha256:$data}"
    --cores all --scheduler greedy # what most others wait for first, as the Snakefile's priorities say
    --logger short # engine/snakemake_logger_plugin_short
    --drop-metadata # receipts say what is finished, see engine/receipts.py
    --rerun-incomplete --keep-incomplete # a run that was stopped goes on from its checkpoints
    --nolock # the Snakefile has a lock that no kill leaves behind
  )
  if [[ $profile == sweep-* ]]; then options+=(--keep-going); fi
  if [[ " ${passed[*]-} " == *slurm* ]]; then
    # Else its plugin deletes at the end the empty log folders of jobs that another ./run_all.sh has in the queue, and they fail.
    options+=(--slurm-delete-logfiles-older-than 0)
    # A SLURM without accounting has nothing to tell by sacct, and Snakemake would wait for ever.
    sacct >/dev/null 2>&1 || options+=(--slurm-status-command squeue --slurm-init-seconds-before-status-checks 5)
  fi
  PYTHONPATH="$PWD/engine${PYTHONPATH:+:$PYTHONPATH}" \
    .venv-engine/bin/python -m snakemake "${options[@]}" ${passed[@]+"${passed[@]}"} || failed=$?
  if [[ $profile == sweep-* && -z $dry ]]; then python engine/sweep.py tell "$profile" "$base/$folder"; fi
  if ((failed)) || [[ $profile == sweep-* ]]; then return "$failed"; fi
  [[ -n $dry$target || ! -f results/expected/$folder.json ]] || python -m sensegen_utils.report.expected "$folder" --brief
  [[ -n $dry$target ]] || python engine/costs.py "$profile" "$((SECONDS - start))" "$base/$folder"
}

# Notebook 10 as a page, for this machine only; the options go to Voila, which finds our template in engine/.
explore() {
  export JUPYTER_PATH="$PWD/engine${JUPYTER_PATH:+:$JUPYTER_PATH}"
  exec voila notebooks/10_explorer.ipynb --template page --Voila.ip=127.0.0.1 "$@"
}

# For the test command: kernels that need not import TensorFlow, see tests/warm/kernel.py.
warm_kernels() {
  if [[ $OSTYPE != linux* ]]; then return; fi
  SENSEGEN_WARM=$(mktemp -d)/socket
  export SENSEGEN_WARM JUPYTER_PATH="$PWD/tests/warm${JUPYTER_PATH:+:$JUPYTER_PATH}"
  env -u PYTHONPATH OMP_NUM_THREADS=1 python tests/warm/kernel.py serve "$SENSEGEN_WARM" &
}

# The outputs in notebooks/ are the full results on the official archive. With other data only those notebooks
# can be compared that need no archive: their parameters cell has the tag no-archive.
compare_notebooks() {
  local notebooks=(notebooks)
  if [[ $folder == simulated-* ]]; then
    notebooks=($(grep -l '"no-archive"' notebooks/*.ipynb || echo notebooks/00_quickstart.ipynb))
    echo "== SIMULATED data: only ${notebooks[*]} compared; all others only ran, in smoke" >&2
  fi
  local kernel=--nbval-current-env
  if [[ -n ${SENSEGEN_WARM:-} ]]; then kernel=--nbval-kernel-name=python3; fi
  TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 OMP_NUM_THREADS=1 \
    pytest -n 3 --dist loadfile --nbval "$kernel" "${notebooks[@]}"
}

# Static pages of what is committed; no notebook is run. A warning is an error: most are links that lead nowhere.
build_site() {
  prepare .venv-site site/requirements.lock
  rm -rf site/_build # pages of files that are no more
  .venv-site/bin/python -m sphinx -q -W --keep-going -d site/_build/doctrees -c site . site/_build/html
  .venv-site/bin/python site/check.py site/_build/html
  echo "the first page is site/_build/html/index.html; as a server shows it: python3 -m http.server -d site/_build/html"
}
