#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes the Python environment of the e2e tests in the cache directory, once; prints the directory.
set -eu
dir=${XDG_CACHE_HOME:-$HOME/.cache}/vedette/python-e2e
# The mark names what is inside, so that an older environment gets what it lacks.
mark=complete-2
if [ ! -e "$dir/$mark" ]; then
  python3 -m venv "$dir" >&2
  "$dir/bin/pip" install -q py-ocsf-models==0.10.0 confluent-kafka==2.16.1 >&2
  touch "$dir/complete" "$dir/$mark"
fi
echo "$dir"
