#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fetch_kafka.sh [VERSION...] copies Apache Kafka's jars to the cache directory, once; without a version, those that
# the tests start. Needs maven; prints the directories.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || set -- 4.4.0 3.9.1
for version; do
  dir=${XDG_CACHE_HOME:-$HOME/.cache}/vedette/kafka-$version
  if [ ! -e "$dir/complete" ]; then
    if ! command -v mvn >/dev/null; then
      echo "fetch_kafka.sh: mvn is not installed; apt-get install maven" >&2
      exit 1
    fi
    mkdir -p "$dir"
    mvn -B -q -f "$here/pom.xml" dependency:copy-dependencies "-Dkafka.version=$version" \
      "-DoutputDirectory=$dir" >&2
    touch "$dir/complete"  # Last, so that an interrupted copy is made again.
  fi
  echo "$dir"
done
