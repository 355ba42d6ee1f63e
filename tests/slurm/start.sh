#!/usr/bin/env bash
# Starts a Slurm cluster of one node, this machine, for tests: munged, slurmctld and slurmd with a configuration of their
# own in a folder, without accounting database and without control groups. Touches no other Slurm that may be running.
#
#   bash tests/slurm/start.sh FOLDER      then: export SLURM_CONF=FOLDER/slurm.conf
#   bash tests/slurm/stop.sh FOLDER
#
# FOLDER must be new or empty; the daemons' logs and process numbers lie there. Where munge or Slurm is missing, Debian's
# packages are installed. Exit status 77: Slurm cannot be installed here, and the last line says why.
set -euo pipefail
folder=$(realpath -m "${1:?usage: start.sh FOLDER}")
here=$(cd "$(dirname "$0")" && pwd)
PATH="$PATH:/usr/sbin:/sbin"

cannot() {
  echo "no Slurm here: $*"
  exit 77
}

missing() {
  for program in munged mungekey slurmctld slurmd sbatch squeue scancel sinfo pgrep; do
    command -v "$program" >/dev/null || return 0
  done
  return 1
}

if missing; then
  command -v apt-get >/dev/null || cannot 'there is no apt-get to install munge and slurm-wlm with'
  [ "$(id -u)" = 0 ] || cannot 'munge and slurm-wlm are not installed, and only root may install them'
  # The packages would start daemons with a configuration that does not exist.
  DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq munge slurm-wlm procps >/dev/null ||
    cannot 'apt-get could not install munge and slurm-wlm'
  missing && cannot 'the packages munge and slurm-wlm lack a program that is needed'
fi

[ -z "$(ls -A "$folder" 2>/dev/null)" ] || { echo "$folder is not empty; name a new folder" >&2; exit 2; }
mkdir -p "$folder"/{state,spool,munge}
chmod 700 "$folder" "$folder/munge"

user=$(id -un)
cores=$(nproc)
# A tenth stays free for what else runs here.
memory=$(awk '/^MemTotal:/ { printf "%d", $2 / 1024 * 0.9 }' /proc/meminfo)
# Ports that are hardly taken by another cluster on this machine.
port=$((20000 + $$ % 20000))

cat >"$folder/slurm.conf" <<CONF
ClusterName=standin-test
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=$user
SlurmdUser=$user
SlurmctldPort=$port
SlurmdPort=$((port + 1))
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=1,sched_min_interval=0
DefMemPerCPU=$((memory / cores))
MaxArraySize=1001
KillWait=2
MinJobAge=2
ReturnToService=2
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$cores RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=1:00:00 State=UP
CONF
# From 23.11 on, Slurm looks for control groups unless told that there are none.
version=$(slurmd -V | awk '{ split($2, part, "."); print part[1] * 100 + part[2] }')
if [ "$version" -ge 2311 ]; then echo 'CgroupPlugin=disabled' >"$folder/cgroup.conf"; fi

mungekey --create --keyfile="$folder/munge/key"
# By force: it wants a folder that everybody may enter, and the only user of this cluster is the one who started it.
munged --force --socket="$folder/munge/socket" --key-file="$folder/munge/key" --pid-file="$folder/munged.pid" \
  --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" --num-threads=2 \
  2>>"$folder/munge/log"

export SLURM_CONF="$folder/slurm.conf"
slurmctld -f "$SLURM_CONF" || { bash "$here/stop.sh" "$folder"; cannot "slurmctld did not start: $(tail -3 "$folder/slurmctld.log")"; }
slurmd -f "$SLURM_CONF" -N "$(hostname -s)" ||
  { bash "$here/stop.sh" "$folder"; cannot "slurmd did not start: $(tail -3 "$folder/slurmd.log")"; }

for _ in $(seq 60); do
  if [ "$(sinfo --noheader --format=%T 2>/dev/null)" = idle ]; then
    echo "Slurm runs: export SLURM_CONF=$SLURM_CONF"
    exit 0
  fi
  sleep 0.5
done
sinfo || true
tail -5 "$folder/slurmctld.log" "$folder/slurmd.log"
bash "$here/stop.sh" "$folder"
cannot 'the node did not become idle within half a minute'
