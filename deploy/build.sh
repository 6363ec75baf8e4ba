#!/usr/bin/env bash
# Builds every part of hearth into target/dist, a tree that can be moved and needs nothing else of the checkout:
#
#     bin/                      hearth, hearth-coordinator, hearth-agent, hearth-keeper
#     share/hearth/jvm/         hearth-launcher.jar, hearth-spark.jar, examples/spark-examples.jar
#     share/hearth/releases/    one manifest for each release label
#     share/hearth/samples/     what the sample bucket shows
#
# usage: deploy/build.sh [--profile release|debug]
#
# --profile debug (or HEARTH_PROFILE=debug) compiles faster, for quick work; the default is release.
# It may be run again at any time: what has not changed is not built again.
set -euo pipefail
cd "$(dirname "$0")/.."
. deploy/prerequisites.sh

usage() {
  sed -n '2,/^set /{/^#/{s/^# \{0,1\}//;p;};}' deploy/build.sh
}

profile=${HEARTH_PROFILE:-release}
while [ $# -gt 0 ]; do
  case $1 in
    --profile) profile=${2:?--profile needs release or debug} && shift 2 ;;
    --profile=*) profile=${1#*=} && shift ;;
    -h | --help) usage && exit ;;
    *) usage >&2 && exit 2 ;;
  esac
done
case $profile in
  release) cargo_options=(--release) ;;
  debug) cargo_options=() ;;
  *) say "build: the profile is release or debug, not $profile" && exit 2 ;;
esac

binaries=(hearth hearth-coordinator hearth-agent hearth-keeper)
dist=target/dist
share=$dist/share/hearth
compiled=${CARGO_TARGET_DIR:-target}/$profile

# step NAME COMMAND...: runs a command and tells how long it took.
step() {
  local name=$1 start=$SECONDS
  shift
  say "build: $name ..."
  "$@"
  say "build: $name done in $((SECONDS - start)) s"
}

# place FILE DESTINATION MODE: copies if the content differs, in one move, so that a running program is not disturbed.
place() {
  if ! cmp -s "$1" "$2"; then
    mkdir -p "$(dirname "$2")"
    install -m "$3" "$1" "$2.new"
    mv -f "$2.new" "$2"
  fi
}

build_rust() {
  local binary
  cargo build --locked "${cargo_options[@]}" --package hearth-coordinator --package hearth-agent --package hearth-keeper --bins
  for binary in "${binaries[@]}"; do
    place "$compiled/$binary" "$dist/bin/$binary" 0755
  done
}

# Whether no source of the JVM modules is newer than their last successful build; a folder is newer when a file went.
jvm_is_current() {
  [ -e agent/jvm/launcher/target/hearth-launcher.jar ] && [ -e agent/jvm/spark/target/hearth-spark.jar ] &&
    [ -e agent/jvm/examples/target/spark-examples.jar ] && [ -e target/jvm.built ] &&
    [ -z "$(find agent/jvm -name target -prune -o \( -type f -o -path '*/src*' \) -newer target/jvm.built -print -quit)" ]
}

build_jvm() {
  if jvm_is_current; then
    say "build: no JVM source has changed"
  else
    # Stamped with the time before the build: what is edited meanwhile counts as newer.
    mkdir -p target
    touch target/jvm.building
    maven --quiet --file agent/jvm/pom.xml -DskipTests package
    mv target/jvm.building target/jvm.built
  fi
  place agent/jvm/launcher/target/hearth-launcher.jar "$share/jvm/hearth-launcher.jar" 0644
  place agent/jvm/spark/target/hearth-spark.jar "$share/jvm/hearth-spark.jar" 0644
  place agent/jvm/examples/target/spark-examples.jar "$share/jvm/examples/spark-examples.jar" 0644
}

# mirror FOLDER DESTINATION: the same files there as here, no others.
mirror() {
  local name
  mkdir -p "$2"
  (cd "$1" && find . -type f) | while read -r name; do place "$1/$name" "$2/$name" 0644; done
  (cd "$2" && find . -type f) | while read -r name; do [ -e "$1/$name" ] || rm -f "$2/$name"; done
}

build_data() {
  mirror deploy/releases "$share/releases"
  mirror deploy/samples "$share/samples"
}

start=$SECONDS
hearth_prerequisites_build
step "manifests and samples" build_data
step "JVM modules" build_jvm
step "programs ($profile)" build_rust
say "build: all in $dist after $((SECONDS - start)) s"
