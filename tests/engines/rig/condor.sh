#!/usr/bin/env bash
# An HTCondor pool of one machine, beside the hosts of a site (hosts.sh). Debian 12 has no HTCondor that installs, so it
# comes from Debian 13, in a root directory of its own, and nothing of it is installed on this machine.
#
#   condor.sh build          makes the root once, by mmdebstrap: about 310 MB, 105 s; a second call returns at once
#   condor.sh root           prints where it is, or would be
#   condor.sh up SITE        starts the pool, which ends with the site
#   condor.sh down SITE      ends it before
#
# Then `hosts.sh exec SITE pool CMD...` gives commands: condor_submit, condor_q. SITE/shared is /shared in the pool, for
# HTCondor gives each job a /tmp and a /var/tmp of its own. SITE/bin is /usr/local/bin there too.
#
# env: FLOCKWORK_RIG_CACHE  where the root is kept (default: rig in cargo's target directory)
#      SLOTS                of the pool (default 4)
set -euo pipefail

readonly SUITE=trixie JOB_USER=fw JOB_ID=7001
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

fail() {
    echo "condor.sh: $*" >&2
    exit 1
}

root() {
    echo "${FLOCKWORK_RIG_CACHE:-${CARGO_TARGET_DIR:-$here/../../../target}/rig}/condor-$SUITE"
}

# The mirror that this machine uses, in either form of apt's sources.
mirror() {
    local url
    url=$(sed -nE 's/^(URIs:|deb( +\[[^]]*\])?) +([a-z]+:[^ ]+).*/\3/p' \
        /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null | head -n1) || true
    echo "${url:-http://deb.debian.org/debian}"
}

build() {
    local root part
    root=$(root)
    mkdir -p "$(dirname "$root")"
    # One builds, others wait for it.
    exec 9>"$root.lock"
    flock 9
    [[ ! -d $root ]] || return 0
    command -v mmdebstrap >/dev/null || fail "mmdebstrap is not installed"
    part=$root.part
    rm -rf --one-file-system -- "$part"
    mmdebstrap --mode=root --variant=minbase --include=condor,minicondor,procps \
        --aptopt='APT::Install-Recommends "false"' --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
        "$SUITE" "$part" "$(mirror)" 9>&-
    mv "$part" "$root"
}

up() {
    local site root
    site=$(realpath "$1")
    root=$(root)
    [[ -d $root ]] || fail "no root at $root; run: condor.sh build"
    mkdir -p "$site/pool"
    # The processes belong to the site, and end with it. The view of the disk is this machine's, for the site hides /home.
    nsenter --target "$(<"$site/pid")" --pid --net --uts --ipc -- setsid --fork \
        unshare --mount --pid --uts --ipc --fork --kill-child=SIGKILL \
        bash "$here/condor.sh" pool "$site" "$root" >"$site/pool/console" 2>&1 </dev/null
    wait_for "$site" "the pool's process" test -e "$site/pool/pid"
    wait_for "$site" "its slots" slots_are_up "$site"
}

# wait_for SITE WHAT COMMAND...
wait_for() {
    local site=$1 what=$2 tries=0
    shift 2
    until "$@"; do
        tries=$((tries + 1))
        [[ $tries -lt 600 ]] || fail "waited 60 s for $what: $(<"$site/pool/console")"
        sleep 0.1
    done
}

in_pool() {
    local site=$1
    shift
    FW_DIR=/shared bash "$site/hosts.sh" exec "$site" pool "$@" 2>/dev/null
}

slots_are_up() {
    [[ $(in_pool "$1" condor_status -af Name | wc -l) -ge ${SLOTS:-4} && -n $(in_pool "$1" condor_status -schedd -af Name) ]]
}

down() {
    local site
    site=$(realpath "$1")
    bash "$site/hosts.sh" root "$site" head kill -KILL "$(<"$site/pool/pid")"
    rm -f "$site/pool/pid"
}

# Process 1 of the pool. What it writes into the root goes to memory.
pool() {
    local site=$1 root=$2 key pids new=$1/pool/root
    # Its own number as the site counts: after that of the machine, whose /proc this still is.
    while read -r key pids; do
        [[ $key != NSpid: ]] || break
    done </proc/self/status
    read -r _ pids _ <<<"$pids"

    mount --make-rprivate /
    mkdir -p "$site/pool/memory" "$new"
    mount -t tmpfs -o mode=755 tmpfs "$site/pool/memory"
    mkdir "$site/pool/memory/upper" "$site/pool/memory/work"
    # A mount point, as condor_starter expects its root to be.
    mount -t overlay -o "lowerdir=$root,upperdir=$site/pool/memory/upper,workdir=$site/pool/memory/work" overlay "$new"
    hostname pool
    configure "$new"
    mount -t proc proc "$new/proc"
    mount --rbind /dev "$new/dev"
    mount -t tmpfs -o mode=755 tmpfs "$new/run"
    mkdir -p "$new/run/condor" "$new/run/lock/condor" "$new/shared" "$new/old"
    chroot "$new" chown condor:condor /run/condor /run/lock/condor
    mount --bind "$site/shared" "$new/shared"
    mount --bind "$site/bin" "$new/usr/local/bin"
    echo "$pids" >"$site/pool/pid"
    cd "$new"
    pivot_root . old
    umount -l /old
    exec /usr/sbin/condor_master -f
}

configure() {
    local root=$1 slots=${SLOTS:-4}
    echo "127.0.0.1 localhost pool" >"$root/etc/hosts"
    echo "$JOB_USER:x:$JOB_ID:$JOB_ID::/home/$JOB_USER:/bin/bash" >>"$root/etc/passwd"
    echo "$JOB_USER:x:$JOB_ID:" >>"$root/etc/group"
    install -d -o $JOB_ID -g $JOB_ID "$root/home/$JOB_USER"
    cat >"$root/etc/condor/config.d/99-rig" <<CONFIG
use FEATURE: StaticSlots
NUM_CPUS = $slots
NUM_SLOTS = $slots
MEMORY = $((slots * 512))
# Users and files are the same everywhere, so no job needs file transfer.
UID_DOMAIN = pool
FILESYSTEM_DOMAIN = pool
TRUST_UID_DOMAIN = True
# Jobs run always, whoever sits at the keyboard.
START = True
SUSPEND = False
PREEMPT = False
KILL = False
# A container has no cgroups to give away, and no session keyring.
BASE_CGROUP =
CGROUP_MEMORY_LIMIT_POLICY = none
DISCARD_SESSION_KEYRING_ON_STARTUP = False
# A job that was vacated comes back soon.
SCHEDD_INTERVAL = 2
NEGOTIATOR_INTERVAL = 2
NEGOTIATOR_CYCLE_DELAY = 1
CONFIG
}

[[ $# -ge 1 ]] || set -- help
case $1 in
    build) build ;;
    root) root ;;
    up) up "$2" ;;
    down) down "$2" ;;
    pool) pool "$2" "$3" ;;
    *)
        sed -n '/^#   /s/^# *//p' "$0" >&2
        exit 2
        ;;
esac
