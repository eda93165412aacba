# SPDX-License-Identifier: Apache-2.0
# Reads packages of any suite of Debian without changing anything of the machine's own apt: lists and
# archives are in a folder of the caller's. To be sourced; `open_suite` first.

readonly DEBIAN_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# open_suite WORK SUITE ARCHIVE: the lists of the suite, for the calls below, from where this machine
# has its packages from; false: no network.
open_suite() {
  local work="$1" site
  command -v apt-get >/dev/null || return 1
  # Where the lists are not there yet, as the sources say.
  site=$({ apt-get indextargets --format '$(SITE)'
    grep -rhoE 'https?://[^ ]+' /etc/apt/sources.list /etc/apt/sources.list.d; } 2>/dev/null |
    awk '/\/debian\/*$/ && !n++')
  [ -n "$site" ] || return 1
  mkdir -p "$work"/{state/lists/partial,cache/archives/partial}
  echo "deb [arch=amd64 signed-by=$DEBIAN_KEYRING] ${site%/debian*}/$3 $2 main" >"$work/sources.list"
  suite_apt=(-qq -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State=$work/state" -o "Dir::Cache=$work/cache" -o Acquire::Languages=none
    -o "APT::Sandbox::User=$(id -un)" -o "APT::Default-Release=$2")
  apt-get "${suite_apt[@]}" update >&2
}

# newest_package REGULAR-EXPRESSION: by its name; nothing: there is none.
newest_package() {
  apt-cache "${suite_apt[@]}" pkgnames linux- | grep -Ex "$1" | sed 's/-unsigned$/ &/' | sort -V |
    tail -n 1 | tr -d ' ' || true
}

# unpack_packages FOLDER PACKAGE...
unpack_packages() {
  local folder="$1" deb
  shift
  mkdir -p "$folder.debs" "$folder"
  (cd "$folder.debs" && apt-get "${suite_apt[@]}" download "$@" >&2) || return 1
  for deb in "$folder.debs"/*.deb; do
    dpkg-deb -x "$deb" "$folder"
  done
  rm -rf "$folder.debs"
}
