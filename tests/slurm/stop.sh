#!/usr/bin/env bash
# Ends the daemons that start.sh started in a folder, and no others: by the process numbers they left there.
#   bash tests/slurm/stop.sh FOLDER
set -euo pipefail
folder=$(realpath -m "${1:?usage: stop.sh FOLDER}")
export SLURM_CONF="$folder/slurm.conf"

# Jobs first, or slurmd would leave their processes behind.
timeout 10 scancel --user "$(id -un)" 2>/dev/null || true
for daemon in slurmd slurmctld munged; do
  [ -s "$folder/$daemon.pid" ] || continue
  pid=$(cat "$folder/$daemon.pid")
  # The number may meanwhile be another program's.
  [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$daemon" ] || continue
  kill "$pid"
  for _ in $(seq 50); do
    [ -d "/proc/$pid" ] || break
    sleep 0.2
  done
done
