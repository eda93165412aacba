#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copies Apache Kafka's jars to the cache directory, once. Needs maven; prints the directory.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dir=${XDG_CACHE_HOME:-$HOME/.cache}/vedette/kafka-4.4.0
if [ ! -e "$dir/complete" ]; then
  if ! command -v mvn >/dev/null; then
    echo "fetch_kafka.sh: mvn is not installed; apt-get install maven" >&2
    exit 1
  fi
  mkdir -p "$dir"
  mvn -B -q -f "$here/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$dir" >&2
  touch "$dir/complete"  # Last, so that an interrupted copy is made again.
fi
echo "$dir"
