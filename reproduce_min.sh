#!/usr/bin/env bash
# The name that REMARK's standard gives to ./run_all.sh quick. All arguments are passed on.
exec "$(dirname "${BASH_SOURCE[0]}")/run_all.sh" quick "$@"
