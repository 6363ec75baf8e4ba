# What hearth needs on a fresh Debian or Ubuntu, checked and installed. To be sourced (bash); or run by itself:
#
#     bash deploy/prerequisites.sh [build] [run] [tests] [airflow] [moto]
#
# Each function may run any number of times and is quick when all is there. What is missing is installed with apt-get as
# root (or through sudo); without either, the command to run is printed and the function fails.
# shellcheck shell=bash

HEARTH_CACHE=${HEARTH_CACHE:-$HOME/.cache/hearth}
hearth_venv=$HEARTH_CACHE/venv

# say TEXT...: one line about what goes on, to standard error.
say() {
  printf '%s\n' "$*" >&2
}

# maven ARGUMENT...: Maven without colours, which would end up in log files; it resets them even where it set none.
maven() {
  MAVEN_OPTS="${MAVEN_OPTS:-} -Djansi.noreset=true" mvn --batch-mode -Dstyle.color=never "$@"
}

# The compilers and clients that build hearth and its release bundles.
hearth_prerequisites_build() {
  local packages=()
  command -v cc >/dev/null || packages+=(gcc libc6-dev) # aws-lc-sys, zstd-sys and SQLite are C
  command -v mvn >/dev/null || packages+=(maven)
  hearth_has_jdk javac || packages+=(openjdk-17-jdk-headless)
  hearth_install "${packages[@]}" || return
  if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then
    PATH=$HOME/.cargo/bin:$PATH
  fi
  if ! command -v rustup >/dev/null || ! command -v cargo >/dev/null; then
    say "prerequisites: rustup is not here. It brings the Rust that rust-toolchain.toml names; install it as https://rustup.rs says"
    say "prerequisites: (Debian 13 and Ubuntu 24.04 have it as a package: apt-get install rustup), then run this again."
    return 1
  fi
  hearth_prerequisites_run
}

# What a machine needs that runs jobs and builds release bundles.
hearth_prerequisites_run() {
  local packages=()
  hearth_has_jdk java || packages+=(openjdk-17-jdk-headless)
  command -v mvn >/dev/null || packages+=(maven)
  command -v python3 >/dev/null || packages+=(python3)
  [ -x "$hearth_venv/bin/python3" ] || python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
  hearth_install "${packages[@]}"
}

# The AWS CLI, boto3 and pytest, in a virtual environment whose path is in $hearth_venv.
hearth_prerequisites_tests() {
  hearth_prerequisites_run && hearth_environment "$hearth_venv" tests/requirements.txt
}

# Airflow with Amazon's provider, which tests/airflow runs: 380 MB that nothing else needs.
hearth_prerequisites_airflow() {
  hearth_environment "$HEARTH_CACHE/airflow" tests/airflow/requirements.txt
}

# moto's server, which tests/moto compares hearth with.
hearth_prerequisites_moto() {
  hearth_environment "$HEARTH_CACHE/moto" tests/moto/requirements.txt
}

# hearth_environment DIR LIST: makes a virtual environment of what a file of requirements lists, unless it is one already.
hearth_environment() {
  local root list wanted
  root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
  list=$root/$2
  wanted=$(sha256sum <"$list")
  if [ "$(cat "$1/.requirements" 2>/dev/null)" = "$wanted" ]; then
    return
  fi
  say "prerequisites: installing $2 into $1 ..."
  rm -rf "$1"
  python3 -m venv "$1" || return
  "$1/bin/python3" -m pip install --quiet --disable-pip-version-check --requirement "$list" || return
  # Last, so that an installation that was interrupted is done anew.
  printf '%s\n' "$wanted" >"$1/.requirements"
  say "prerequisites: $1 is ready"
}

# hearth_has_jdk PROGRAM: whether a JDK or JRE 17 or newer with that program is on the path; for java, 17 itself is
# looked for in Debian's place too. The release file is read: starting a JVM to ask takes longer.
hearth_has_jdk() {
  local home version
  [ "$1" = java ] && compgen -G '/usr/lib/jvm/*17*/bin/java' >/dev/null && return
  home=$(readlink -f "$(command -v "$1")") || return
  version=$(sed -nE 's/^JAVA_VERSION="([0-9]+).*/\1/p' "${home%/bin/*}/release" 2>/dev/null)
  case $1 in
    java) [ "${version:-0}" -eq 17 ] ;;
    *) [ "${version:-0}" -ge 17 ] ;;
  esac
}

# hearth_install PACKAGE...: installs Debian packages; nothing to do for none.
hearth_install() {
  [ $# -eq 0 ] && return
  local as_root=()
  if ! command -v apt-get >/dev/null; then
    say "prerequisites: this is not Debian or Ubuntu; please install what these packages hold: $*"
    return 1
  elif [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
      say "prerequisites: please run: sudo apt-get install $*"
      return 1
    fi
    as_root=(sudo -n)
  fi
  say "prerequisites: installing $* ..."
  "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends --yes "$@" >/dev/null
}

# Run rather than sourced: each argument names one of the functions above.
if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  set -euo pipefail
  for part in "${@:-tests}"; do
    case $part in
      build | run | tests | airflow | moto) "hearth_prerequisites_$part" ;;
      *) say "usage: bash deploy/prerequisites.sh [build] [run] [tests] [airflow] [moto]" && exit 2 ;;
    esac
  done
fi
