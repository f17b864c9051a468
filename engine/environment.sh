# Makes the environments: .venv for the science, .venv-engine for Snakemake, .venv-site for the site. run_all.sh reads
# this file. The first two need different versions of pandas, the third no TensorFlow. uv is used if it is there, else pip.

# Whether a Python has the packages of pyproject.toml, TensorFlow and Keras in the locked versions.
has_packages() {
  "$1" - 2>/dev/null <<'PYTHON'
import re
import tomllib
from importlib.metadata import version

from packaging.requirements import Requirement

for line in tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"]:
    requirement = Requirement(line)
    assert requirement.specifier.contains(version(requirement.name))
lock = open("requirements.lock").read()
for package in ("tensorflow", "keras"):
    assert re.search(rf"^{package}=={version(package)} ", lock, re.M)
PYTHON
}

# Notebooks run in notebooks/: there it shows whether this checkout, and no other one, is installed.
has_project() {
  (cd notebooks && "$1" - "${PWD%/notebooks}/" 2>/dev/null <<'PYTHON'
import sys

import fast_keras
import own_sensor
import ported
import sensegen_utils

assert all(each.__file__.startswith(sys.argv[1]) for each in (fast_keras, own_sensor, ported, sensegen_utils))
PYTHON
  )
}

# The path of a Python for an environment, or nothing: the user's own choice first, but a Python that pyenv compiled
# without optimisation, as it does by itself, only if there is no other. The tests would take an eighth more time.
find_python() {
  local each slow=''
  while IFS= read -r each; do
    case $("$each" - 2>/dev/null <<'PYTHON'
import sys
import sysconfig

import ensurepip

compiled_here = "/.pyenv/" in sys.base_prefix and "optimizations" not in sysconfig.get_config_var("CONFIG_ARGS")
if (3, 11) <= sys.version_info[:2] < (3, 14):
    print("slow" if compiled_here else "good")
PYTHON
    ) in
      good) echo "$each"; return ;;
      slow) slow=${slow:-$each} ;;
    esac
  done < <(type -ap python3 python3.13 python3.12 python3.11)
  echo "$slow"
}

# make_environment FOLDER LOCK: an environment of exactly the locked packages. Its file .made says from which lock.
make_environment() {
  echo "== environment: making $1 from $2 (some minutes, once)"
  local python
  python=$(find_python)
  if [[ -z $python ]] && ! command -v uv >/dev/null; then
    echo "Python 3.11, 3.12 or 3.13 is needed; none was found. Install one, or uv, and run again." >&2
    exit 1
  fi
  rm -rf "$1"
  if command -v uv >/dev/null; then
    uv venv --quiet --python "${python:->=3.11,<3.14}" "$1" # without one, uv fetches it
    # Compiled, as pip does it: where Python may not keep its own bytecode, each import would take 10 s, not 4.
    uv pip install --quiet --python "$1" --require-hashes --compile-bytecode -r "$2"
  else
    "$python" -m venv "$1"
    "$1/bin/python" -m pip install --quiet --require-hashes -r "$2"
  fi
}

# An active environment that has the packages is used as it is; else .venv is made from the lock.
prepare_science() {
  if [[ -n ${VIRTUAL_ENV:-}${CONDA_PREFIX:-} ]] && has_packages python; then
    has_project python || python -m pip install --quiet --no-deps --no-build-isolation -e .
    return
  fi
  local python=$PWD/.venv/bin/python
  if ! cmp -s requirements.lock .venv/.made || ! has_packages "$python"; then
    make_environment .venv requirements.lock
    cp requirements.lock .venv/.made
  fi
  if ! has_project "$python"; then
    if command -v uv >/dev/null; then
      uv pip install --quiet --python .venv --no-deps --no-build-isolation -e .
    else
      "$python" -m pip install --quiet --no-deps --no-build-isolation -e .
    fi
  fi
  export PATH="$PWD/.venv/bin:$PATH" VIRTUAL_ENV="$PWD/.venv"
}

# prepare FOLDER LOCK: make it, if it is not there or its lock changed.
prepare() {
  if ! cmp -s "$2" "$1/.made" || ! "$1/bin/python" -c "" 2>/dev/null; then
    make_environment "$1" "$2"
    cp "$2" "$1/.made"
  fi
}

prepare_engine() {
  prepare .venv-engine engine/requirements.lock
}
