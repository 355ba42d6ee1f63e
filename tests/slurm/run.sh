#!/usr/bin/env bash
# Runs a small copy of the built-in study on this machine and through a Slurm of its own, and compares every byte; then
# kills a task, submits again what failed, and cancels.
#
#   bash tests/slurm/run.sh FOLDER
#
# FOLDER is made where missing and must be empty. STANDIN names the program, target/release/standin by default. Skips with a
# line where Slurm cannot be installed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(realpath -m "${1:?usage: run.sh FOLDER}")
standin=$(realpath "${STANDIN:-$here/../../target/release/standin}")
mkdir -p "$folder"

status=0
bash "$here/start.sh" "$folder/slurm" || status=$?
if [ "$status" = 77 ]; then
  echo '-- skipped: a study on a Slurm cluster (the line above says why there is none)'
  exit 0
fi
[ "$status" = 0 ]
stop() { bash "$here/stop.sh" "$folder/slurm"; }
trap stop EXIT
export SLURM_CONF="$folder/slurm/slurm.conf"
cd "$folder"

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# One seed instead of three, four shadows instead of sixteen, short trainings: minutes less, and every kind of stage.
sed -e 's/^seeds = .*/seeds = [1]/' -e 's/^shadows = .*/shadows = 4/' \
  -e 's/^family = "vae"$/&\nsettings = { least_steps = 100 }/' \
  "$here/../../crates/standin-bench/src/study/presets/quick.toml" >study.toml
cat >>study.toml <<'TOML'

[slurm]
partition = "main"
time = "10"
cpus = 1
memory = "2G"
setup = ["echo begun"]

[slurm.attack]
concurrent = 1
TOML

echo '-- on this machine'
"$standin" bench study.toml --runs here --out here-report --quiet --json >here.json

echo '-- through Slurm, waiting'
time "$standin" bench study.toml --executor slurm --runs there --out there-report --json >there.json 2>there.log ||
  { cat there.log; fail 'the study did not end well'; }
grep -q 'tasks submitted' there.log && grep -q 'running' there.log || { cat there.log; fail 'it did not say how far it was'; }

# Every stage's files, but for the times in its record, and for what a killed task left.
same() {
  diff -r --exclude=stage.toml --exclude=.locks --exclude=.slurm --exclude=.logs --exclude='.tmp-*' here "$1" || fail "$1 differs from what this machine computed"
  cmp here.json "$2" || fail "$2 differs"
  echo "   $(find "$1" -name stage.toml | wc -l) stages in $1, the same bytes"
}
same there there.json
grep -q begun there/.slurm/*/logs/*.log || fail 'slurm.setup did not run'
"$standin" runs verify --runs there

echo '-- again: nothing is submitted'
"$standin" bench study.toml --executor slurm --runs there --out there-report 2>again.log >/dev/null
grep -q 'nothing to do' again.log || { cat again.log; fail 'a second run found something to do'; }

echo '-- a task is killed while it runs'
"$standin" bench study.toml --executor slurm --runs killed --out killed-report --json >killed.json 2>killed.log &
waiting=$!
# The task's own process is held the moment it is seen: trainings as short as these can be over before `scancel` is there.
field() { { tr '\0' '\n' <"/proc/$1/environ" | sed -n "s/^$2=//p"; } 2>/dev/null || true; }
victim=
for _ in $(seq 2400); do
  for process in $(pgrep -f 'compute .*/killed/\.slurm/' || true); do
    [[ "$(field "$process" SLURM_JOB_NAME)" == *-generate ]] || continue
    victim="$(field "$process" SLURM_ARRAY_JOB_ID)_$(field "$process" SLURM_ARRAY_TASK_ID)"
    kill -STOP "$process" 2>/dev/null && break 2
    victim=
  done
  sleep 0.05
done
[ -n "$victim" ] || fail 'no generator was ever trained'
scancel "$victim"
status=0
wait "$waiting" || status=$?
[ "$status" = 3 ] || { cat killed.log; fail "a killed task ended the study with status $status instead of 3"; }
grep -q 'left no result; .*generate-.*\.log ends with' killed.log || { cat killed.log; fail 'the killed task was not named with its log'; }
"$standin" slurm status --runs killed
"$standin" slurm status study.toml --runs killed --json >status.json
python3 - <<'PYTHON' || fail 'the status is not that of one killed task'
import json
[status] = json.load(open("status.json"))
kinds = {kind["kind"]: kind for kind in status["kinds"]}
assert len(status["failed"]) == 1 and status["failed"][0]["kind"] == "generate", status["failed"]
assert kinds["generate"]["failed"] == 1 and kinds["summarise"]["blocked"] == 1, kinds
assert kinds["split"]["finished"] == kinds["split"]["stages"], kinds
assert all(kind["running"] + kind["pending"] == 0 for kind in kinds.values()), kinds
PYTHON
grep -q 'was not begun' killed/.slurm/*/logs/*.log || fail 'what read the killed stage did not say so'

echo '-- what failed is submitted again, and what waits for it'
"$standin" slurm resubmit --runs killed
"$standin" bench study.toml --executor slurm --runs killed --out killed-report --json >killed.json 2>killed.log ||
  { cat killed.log; fail 'the study did not end well'; }
same killed killed.json

echo '-- this machine finds all of it, and removes what the killed task left'
"$standin" bench study.toml --runs killed --out killed-report --json >killed.json 2>killed.log
grep -q 'nothing to do' killed.log || { cat killed.log; fail 'a run on this machine found something to do'; }
[ -z "$(find killed -maxdepth 1 -name '.tmp-*')" ] || fail 'what the killed task left is still there'

echo '-- submitted, and cancelled'
"$standin" bench study.toml --executor slurm --detach --runs cancelled >/dev/null
"$standin" slurm cancel --runs cancelled
for _ in $(seq 100); do
  [ -n "$(squeue --noheader)" ] || break
  sleep 0.2
done
[ -z "$(squeue --noheader)" ] || fail 'tasks are still in the queue'
"$standin" slurm status --runs cancelled | grep -q together || fail 'no status after a cancellation'

echo '-- a refusal says what to do'
sed 's/^partition = .*/partition = "nowhere"/' study.toml >refused.toml
status=0
"$standin" bench refused.toml --executor slurm --runs cancelled 2>refused.log >/dev/null || status=$?
[ "$status" = 2 ] && grep -q 'nowhere' refused.log && grep -q 'slurm.partition' refused.log || { cat refused.log; fail 'no word about the partition'; }
