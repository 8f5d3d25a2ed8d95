#!/usr/bin/env bash
# A Slurm cluster on the hosts of a site (hosts.sh): slurmctld on h1, where commands are given, and nodes on h2 to hK.
#
#   slurm.sh up SITE         starts the daemons; they end with the site
#   slurm.sh node SITE hN    starts a node's again, after the host had lost its power
#
# Then `hosts.sh exec SITE h1 sbatch ...`. Needs Debian's slurm-wlm and munge, installed but not running. A host's daemons
# keep all of their files in its own /run, and its /etc/slurm is a mount.
#
# env: CPUS      of each node (default 2)
#      KILLWAIT  seconds from TERM to KILL (default 15; Slurm's own default is 30)
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
export FW_DIR=/

usage() {
    sed -n '/^#   /s/^# *//p' "$0" >&2
    exit 2
}

on() {
    local host=$1
    shift
    bash "$here/hosts.sh" root "$SITE" "$host" "$@"
}

config() {
    cat <<CONFIG
ClusterName=site
SlurmctldHost=h1
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=/run/slurm/ctld
SlurmdSpoolDir=/run/slurm/d
SlurmctldPidFile=/run/slurm/ctld.pid
SlurmdPidFile=/run/slurm/d.pid
SlurmctldLogFile=/run/slurm/ctld.log
SlurmdLogFile=/run/slurm/d.log
# No cgroups, as a container has none to give away: processes are found by their parents.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
# Jobs start as soon as they can; a requeued one, and a node without power, are not waited for long.
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=0,batch_sched_delay=1,bf_interval=2
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=10
KillWait=${KILLWAIT:-15}
OverTimeLimit=0
JobRequeue=1
SlurmdParameters=config_overrides
NodeName=h[2-$COUNT] CPUs=${CPUS:-2} RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes=h[2-$COUNT] Default=YES MaxTime=INFINITE State=UP
CONFIG
}

# Gives a host what its daemons need, and starts munged, by which they know each other.
prepare() {
    local script
    # shellcheck disable=SC2016 # for the host's shell
    script='
        mkdir -p /run/slurm/etc /run/slurm/ctld /run/slurm/d /run/munge
        cat >/run/slurm/etc/slurm.conf
        # Named, it is not looked for; and it is not touched, as no plugin uses it.
        echo CgroupPlugin=cgroup/v1 >/run/slurm/etc/cgroup.conf
        mount --bind /run/slurm/etc /etc/slurm
        printf %s "$0" >/run/munge/key
        chown -R munge:munge /run/munge
        chmod 755 /run/munge
        chmod 400 /run/munge/key
        setpriv --reuid munge --regid munge --clear-groups munged --key-file=/run/munge/key \
            --socket=/run/munge/munge.socket.2 --pid-file=/run/munge/pid --log-file=/run/munge/log --seed-file=/run/munge/seed'
    config | on "$1" sh -euc "$script" "$KEY"
}

idle_nodes() {
    on h1 sinfo -h -N -t idle 2>/dev/null | wc -l
}

up() {
    local number tries=0 hosts=()
    for number in $(seq "$COUNT"); do
        prepare "h$number" &
        hosts+=($!)
    done
    for number in "${hosts[@]}"; do
        wait "$number"
    done
    on h1 slurmctld -c
    for number in $(seq 2 "$COUNT"); do
        on "h$number" slurmd
    done
    until [[ $(idle_nodes) -eq $((COUNT - 1)) ]]; do
        tries=$((tries + 1))
        if [[ $tries -ge 600 ]]; then
            on h1 sinfo >&2
            on h1 tail /run/slurm/ctld.log >&2
            exit 1
        fi
        sleep 0.1
    done
}

[[ $# -ge 2 ]] || usage
SITE=$(realpath "$2")
COUNT=$(<"$SITE/count")
# One key for all, and it need not be secret.
KEY=$(head -c 1024 "$SITE/key.pub" | sha512sum)
case $1 in
    up) up ;;
    node)
        prepare "$3"
        on "$3" slurmd
        ;;
    *) usage ;;
esac
