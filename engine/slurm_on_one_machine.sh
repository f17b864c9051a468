#!/usr/bin/env bash
# A real SLURM on this one machine, over loopback, to try what docs/cluster.md says without a cluster.
#
#   engine/slurm_on_one_machine.sh       install Debian's slurm-wlm and munge, start them, show the node
#   engine/slurm_on_one_machine.sh stop  end them
#
# It needs root and Debian or Ubuntu, and it replaces /etc/slurm/slurm.conf: use a container or a machine that
# nobody else computes on. No part of ./run_all.sh test.
set -euo pipefail

# end NAME: ask the daemon to end whose process id its own file holds.
end() {
  if [[ -s /run/$1.pid ]]; then kill "$(cat "/run/$1.pid")" 2>/dev/null || true; fi
}

if [[ ${1:-} == stop ]]; then
  end slurmd
  end slurmctld
  end munge/munged
  exit
fi

if ! command -v slurmctld munged >/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq slurm-wlm munge >/dev/null
fi
name=$(hostname -s)
# What slurmd itself counts: CPUs, sockets, cores, and memory in MB, of which the system keeps a tenth.
counted=$(slurmd -C | head -n 1 | sed -E 's/^NodeName=[^ ]+ //; s/ ?(UpTime|RealMemory)=[^ ]+//g')
memory=$(slurmd -C | sed -nE 's/.*RealMemory=([0-9]+).*/\1/p')
mkdir -p /etc/slurm /var/spool/slurmctld /var/spool/slurmd /var/log/slurm
cat >/etc/slurm/slurm.conf <<CONF
# Written by engine/slurm_on_one_machine.sh
ClusterName=one
SlurmctldHost=$name(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
MinJobAge=3600
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd.log
NodeName=$name NodeAddr=127.0.0.1 $counted RealMemory=$((memory * 9 / 10)) State=UNKNOWN
PartitionName=one Nodes=$name Default=YES MaxTime=INFINITE State=UP
CONF

install -d -o munge -g munge /run/munge
if ! munge -n >/dev/null 2>&1; then runuser -u munge -- munged; fi
if ! scontrol ping 2>/dev/null | grep -q UP; then slurmctld; fi
if ! pidof slurmd >/dev/null; then slurmd; fi
for _ in {1..30}; do
  if sinfo --noheader --format %T 2>/dev/null | grep -qE '^(idle|mixed|allocated)$'; then
    sinfo --Node --long
    exit
  fi
  sleep 1
done
echo "no idle node after 30 s; see /var/log/slurm" >&2
exit 1
