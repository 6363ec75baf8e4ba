#!/usr/bin/env bash
# Runs every test of hearth, tier by tier, and says how long each took. See tests/README.md.
#
# usage: tests/run.sh [TIER...]
#
# Tiers, in the order in which they run: format, lint, rust, jvm, build, end_to_end. Without names, all of them.
# Only when named, for they take minutes or bring much: several_hosts, fault_points, airflow, moto and releases, which need the build.
# A tier that fails does not keep the next ones from running, unless they need it; the exit code is 1 if any failed.
set -euo pipefail
cd "$(dirname "$0")/.."
. deploy/prerequisites.sh

tiers=(format lint rust jvm build end_to_end)
by_name=(several_hosts fault_points airflow moto releases)
wanted=("$@")
[ $# -gt 0 ] || wanted=("${tiers[@]}")
for name in "${wanted[@]}"; do
  case " ${tiers[*]} ${by_name[*]} " in
    *" $name "*) ;;
    *) sed -n '2,/^set /{/^#/{s/^# \{0,1\}//;p;};}' tests/run.sh && exit 2 ;;
  esac
done

start=$SECONDS
passed=()
failed=()
times=()

tier_format() {
  cargo fmt --all --check
  if command -v shellcheck >/dev/null; then
    shellcheck -x deploy/*.sh tests/run.sh .ci/run
  fi
}

tier_lint() {
  cargo clippy --locked --workspace --all-targets -- -D warnings
  # Not installed for the purpose: it takes minutes to compile, and dependencies seldom change.
  if command -v cargo-deny >/dev/null; then
    cargo deny --locked check bans licenses sources
  else
    say 'tests: dependencies are not checked: cargo-deny is not here (cargo install cargo-deny --locked)'
  fi
}

tier_rust() {
  cargo test --locked --workspace --no-fail-fast
}

tier_jvm() {
  maven --no-transfer-progress --file agent/jvm/pom.xml verify
}

# The end-to-end tests run what users run: the release build, which the demo uses too.
tier_build() {
  deploy/build.sh
  if grep -qF -e HEARTH_FAULTS -e keeper.exit-recorded target/dist/bin/*; then
    say 'tests: what is shipped has fault points in it'
    return 1
  fi
}

tier_end_to_end() {
  "$hearth_venv/bin/python3" -m pytest -p no:cacheprovider --durations=10 tests/end_to_end
}

# The release build as separate daemons in network namespaces; skipped where those are not permitted.
tier_several_hosts() {
  "$hearth_venv/bin/python3" -m pytest -p no:cacheprovider -rs --durations=10 tests/several_hosts
}

# The same daemons, not optimised and with fault points, in a tree of their own.
tier_fault_points() {
  local dist=target/fault-points program
  cargo build --locked --package hearth-coordinator --package hearth-agent --package hearth-keeper --bins --features fault-points
  mkdir -p "$dist/bin"
  for program in hearth hearth-coordinator hearth-agent hearth-keeper; do
    install -m 0755 "${CARGO_TARGET_DIR:-target}/debug/$program" "$dist/bin/$program"
  done
  ln -sfn ../dist/share "$dist/share"
  HEARTH_TEST_DIST=$dist "$hearth_venv/bin/python3" tests/endurance/fault_points.py
}

# Airflow's operators against the release build; brings Airflow first.
tier_airflow() {
  hearth_prerequisites_airflow
  "$hearth_venv/bin/python3" -m pytest -p no:cacheprovider --durations=10 tests/airflow
}

# The same sessions against moto's server and hearth; brings moto first.
tier_moto() {
  hearth_prerequisites_moto
  "$hearth_venv/bin/python3" -m pytest -p no:cacheprovider tests/moto
}

# The guide's walks on each release bundle; brings the parts of each first.
tier_releases() {
  local manifest label failed=()
  for manifest in deploy/releases/emr-*.toml; do
    label=$(basename "$manifest" .toml)
    say "-- $label"
    HEARTH_TEST_RELEASE=$label "$hearth_venv/bin/python3" -m pytest -p no:cacheprovider \
      tests/end_to_end/test_walkthrough.py tests/end_to_end/test_wordcount.py || failed+=("$label")
  done
  [ ${#failed[@]} -eq 0 ] || { say "tests: failed on ${failed[*]}" && return 1; }
}

run_tier() {
  local name=$1 began=$SECONDS result
  say ''
  say "== tests: $name"
  # In a shell of its own, with -e in force: a condition would switch it off.
  set +e
  (
    set -e
    "tier_$name"
  )
  result=$?
  set -e
  if [ "$result" -eq 0 ]; then
    passed+=("$name")
  else
    failed+=("$name")
  fi
  times+=("$name $((SECONDS - began)) s")
  say "== tests: $name took $((SECONDS - began)) s (exit code $result)"
}

say '== tests: what has to be there'
hearth_prerequisites_build
hearth_prerequisites_tests
say "== tests: what has to be there took $((SECONDS - start)) s"

for name in "${wanted[@]}"; do
  run_tier "$name"
done

say ''
printf '== tests: %s\n' "${times[@]}" >&2
say "== tests: $((SECONDS - start)) s in all"
if [ ${#failed[@]} -gt 0 ]; then
  say "tests: failed: ${failed[*]}; passed: ${passed[*]:-none}"
  exit 1
fi
say "tests: passed: ${passed[*]}"
