#!/usr/bin/env bash
# Shows hearth at work: a PySpark word count over real text, run twice with the AWS CLI on this machine.
#
# usage: deploy/demo.sh [--keep]
#
# It installs what is missing, builds hearth, starts `hearth up` with a data directory of its own, counts the words of text that
# comes with this system, compares the result with sort and uniq, and stops everything again. --keep leaves hearth running.
#
#   HEARTH_DEMO_DIR    where data and logs go, ~/.cache/hearth/demo by default; the data is made anew each time
#   HEARTH_PROFILE     release (default) or debug, which compiles faster
set -euo pipefail
cd "$(dirname "$0")/.."
. deploy/prerequisites.sh

keep=no
case ${1:-} in
  '') ;;
  --keep) keep=yes ;;
  *) sed -n '2,/^set /{/^#/{s/^# \{0,1\}//;p;};}' deploy/demo.sh && exit 2 ;;
esac

demo=${HEARTH_DEMO_DIR:-$HOME/.cache/hearth/demo}
data=$demo/data
hearth=$PWD/target/dist/bin/hearth
samples=$PWD/target/dist/share/hearth/samples/wordcount
release=emr-7.6.0
bytes_wanted=$((50 * 1024 * 1024))
small_workers='--conf spark.driver.cores=1 --conf spark.driver.memory=2g --conf spark.executor.cores=1
  --conf spark.executor.memory=2g --conf spark.executor.instances=1 --conf spark.dynamicAllocation.enabled=false'
begun=$SECONDS
hearth_pid=
doing='checking this machine'

headline() {
  say ''
  say "== $*"
  doing=$*
}

stop_hearth() {
  if [ -n "$hearth_pid" ] && kill -0 "$hearth_pid" 2>/dev/null; then
    "$hearth" down --data-dir "$data" >&2 || kill "$hearth_pid" 2>/dev/null || true
    wait "$hearth_pid" 2>/dev/null || true
  fi
}

at_exit() {
  local code=$?
  trap - EXIT
  if [ "$code" -ne 0 ]; then
    say ''
    say "demo: failed while $doing (exit code $code)"
    for log in "$demo/hearth-up.log" "$data/hearth.log" "$data/agent/agent.log"; do
      if [ -s "$log" ]; then
        say "demo: the last lines of $log:"
        tail -n 10 "$log" >&2
      fi
    done
    if [ -x "$hearth" ]; then
      say "demo: what this machine may lack:"
      "$hearth" doctor --data-dir "$data" >&2 || true
    fi
    say "demo: docs/troubleshooting.md says what to look at next; logs are in $demo"
    stop_hearth
  fi
  exit "$code"
}
trap at_exit EXIT
trap 'exit 130' INT TERM

headline 'what has to be there'
hearth_prerequisites_build
hearth_prerequisites_tests
aws=$hearth_venv/bin/aws
python=$hearth_venv/bin/python3

headline 'building hearth'
deploy/build.sh --profile "${HEARTH_PROFILE:-release}"

headline 'starting hearth up'
# A hearth that an interrupted demo left behind is stopped first.
"$hearth" down --data-dir "$data" >/dev/null 2>&1 || true
rm -rf "$data"
mkdir -p "$demo"
port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$hearth" up --data-dir "$data" --listen "127.0.0.1:$port" >"$demo/hearth-up.log" 2>&1 &
hearth_pid=$!
until grep -qs '^hearth is ready' "$demo/hearth-up.log"; do
  kill -0 "$hearth_pid" 2>/dev/null || { say 'demo: hearth up ended by itself' && exit 1; }
  sleep 0.2
done
grep '^hearth is ready' "$demo/hearth-up.log" >&2
set -a
# shellcheck source=/dev/null
. "$data/env"
set +a
# Nothing but this hearth is to be found.
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_PAGER='' AWS_EC2_METADATA_DISABLED=true
export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
bucket=s3://$HEARTH_BUCKET/demo

# gather FILE: real text that is on this system, at least $bytes_wanted of it: repeated if there is less, cut at a line if
# there is more.
gather() {
  local text=$1 once bytes
  {
    find /usr/share/common-licenses -type f -print0 2>/dev/null | LC_ALL=C sort -z | xargs -0 -r cat
    find /usr/share/doc /usr/share/perl -type f \( -name copyright -o -name '*.txt' -o -name 'README*' -o -name '*.pod' \) \
      -size -2000k -print0 2>/dev/null | LC_ALL=C sort -z | xargs -0 -r cat
    # Manual pages without their mark-up's own lines.
    find /usr/share/man/man* -type f -name '*.gz' -print0 2>/dev/null | LC_ALL=C sort -z | xargs -0 -r gzip -dcq | sed "/^[.']/d"
    find /usr/share/doc -type f -name 'changelog*.gz' -print0 2>/dev/null | LC_ALL=C sort -z | xargs -0 -r gzip -dcq
    # This project's own texts, for systems that were stripped of theirs.
    cat LICENSE README.md docs/*.md
  } | "$python" -c '
import sys
text = sys.stdin.buffer.read().replace(b"\0", b"").decode("utf-8", "ignore").encode()
sys.stdout.buffer.write(text[: text.find(b"\n", int(sys.argv[1]))])' "$bytes_wanted" >"$text.once"
  once=$(wc -c <"$text.once")
  : >"$text"
  bytes=0
  while [ "$bytes" -lt "$bytes_wanted" ]; do
    cat "$text.once" >>"$text"
    # Text that does not end in a new line would run into its own beginning.
    printf '\n' >>"$text"
    bytes=$((bytes + once + 1))
  done
  rm "$text.once"
  say "demo: $((once / 1048576)) MiB of licences, copyright notices, documentation, manual pages and changelogs of this system"
  [ "$((once + 1))" -ge "$bytes" ] || say "demo: taken as often as it takes to have $((bytes / 1048576)) MiB"
  say "demo: $(wc -l <"$text") lines"
}

headline 'gathering real text'
rm -rf "$demo/text"
mkdir -p "$demo/text"
gather "$demo/text/all.txt"
# In parts, so that there is more than one task.
split --line-bytes=8M --additional-suffix=.txt "$demo/text/all.txt" "$demo/text/part-"
rm "$demo/text/all.txt"

headline 'uploading it with aws s3'
"$aws" s3 sync --only-show-errors "$demo/text" "$bucket/text"
"$aws" s3 cp --only-show-errors "$samples/scripts/wordcount.py" "$bucket/scripts/wordcount.py"
"$aws" s3 ls --summarize --human-readable --recursive "$bucket/text" | tail -n 2 >&2

headline 'creating an application'
application=$("$aws" emr-serverless create-application --name demo --type SPARK --release-label "$release" \
  --query applicationId --output text)
say "application $application of release $release"

# field EXPRESSION: a field of the job run in $job.
field() {
  "$aws" emr-serverless get-job-run --application-id "$application" --job-run-id "$job" --query "jobRun.$1" --output text
}

# count_words NAME: runs the word count; leaves its id in $job.
count_words() {
  local name=$1 told='' state details
  headline "word count, $name run"
  job=$("$aws" emr-serverless start-job-run --application-id "$application" --execution-role-arn "$HEARTH_ROLE_ARN" \
    --name "wordcount-$name" --query jobRunId --output text \
    --job-driver "$(entry="$bucket/scripts/wordcount.py" output="$bucket/counts-$name" input="$bucket/text" \
      parameters=$small_workers "$python" -c '
import json, os
print(json.dumps({"sparkSubmit": {"entryPoint": os.environ["entry"],
  "entryPointArguments": [os.environ["output"], os.environ["input"]],
  "sparkSubmitParameters": " ".join(os.environ["parameters"].split())}}))')" \
    --configuration-overrides "{\"monitoringConfiguration\":{\"s3MonitoringConfiguration\":{\"logUri\":\"$bucket/logs\"}}}")
  say "job run $job; its workers are small: driver and executor have 1 core and 2 GB each"
  while :; do
    IFS=$'\t' read -r state details < <(field '[state, stateDetails]')
    if [ "$told" != "$state $details" ]; then
      printf '%4d s  %-10s %s\n' $((SECONDS - begun)) "$state" "$details" >&2
      told="$state $details"
    fi
    case $state in
      SUCCESS) break ;;
      FAILED | CANCELLED)
        "$hearth" logs "$job" | tail -n 20 >&2 || true
        "$hearth" logs "$job" --stderr | tail -n 20 >&2 || true
        return 1
        ;;
    esac
    sleep 1
  done
  say 'phases, from submission on:'
  "$hearth" explain "$job" --json | "$python" -c '
import json, sys
progress = json.load(sys.stdin).get("progress") or {}
moments = {name.removesuffix("_at_ms"): at for name, at in (progress.get("phases") or {}).items() if at}
if progress.get("first_task_at_ms"):
    moments["first_task"] = progress["first_task_at_ms"]
begin = min(moments.values(), default=0)
for name, at in sorted(moments.items(), key=lambda moment: moment[1]):
    print(f"  {(at - begin) / 1000:7.1f} s  {name.replace(chr(95), chr(32))}")' >&2
}

count_words cold
count_words again

headline 'comparing with sort and uniq'
rm -rf "$demo/counts"
"$aws" s3 cp --only-show-errors --recursive "$bucket/counts-again" "$demo/counts"
(
  export LC_ALL=C
  cat "$demo"/text/part-*.txt | tr -s ' \t\r\f\v' '\n' | grep . | sort | uniq -c | sort -k1,1nr -k2 >"$demo/expected"
)
cat "$demo"/counts/part-*.csv | "$python" -c '
import csv, sys
sys.stdin.reconfigure(encoding="utf-8", newline="")
sys.stdout.reconfigure(encoding="utf-8")
for word, count in csv.reader(sys.stdin):
    print(f"{int(count):7d} {word}")' >"$demo/counted"
if ! diff -q <(sed 's/^ *//' "$demo/expected") <(sed 's/^ *//' "$demo/counted") >/dev/null; then
  say 'demo: the word counts differ:'
  diff <(sed 's/^ *//' "$demo/expected") <(sed 's/^ *//' "$demo/counted") | head -n 20 >&2 || true
  exit 1
fi
say "equal: $(wc -l <"$demo/counted") different words"

headline 'the most frequent words'
head -n 10 "$demo/counted"

headline 'where things are'
say "output      $bucket/counts-again/"
say "logs        $bucket/logs/applications/$application/jobs/$job/"
say "the same    $demo/counts, $demo/text"

if [ "$keep" = yes ]; then
  headline 'hearth goes on'
  say "use it:     set -a; . $data/env; set +a; PATH=$PWD/target/dist/bin:\$PATH"
  say "stop it:    hearth down --data-dir $data"
  trap - EXIT
else
  headline 'stopping everything'
  "$aws" emr-serverless stop-application --application-id "$application"
  stop_hearth
  say "start it again with: hearth up --data-dir $data; free its disk with: rm -r $demo"
fi
say ''
say "demo: SUCCESS after $((SECONDS - begun)) s"
