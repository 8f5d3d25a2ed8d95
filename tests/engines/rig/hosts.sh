#!/usr/bin/env bash
# A site: K ssh hosts, h1 to hK, and a head, on one machine. They are namespaces, and end with one process.
#
#   hosts.sh up    SITE K [hN:KNOB]...  makes them; SITE is a new directory, not below /home or /run
#   hosts.sh keep  SITE K [hN:KNOB]...  the same, and stays; when its standard input ends, or it is killed, all is removed
#   hosts.sh exec  SITE WHERE CMD...    runs CMD as the job user, with this environment; WHERE is head or hN
#   hosts.sh root  SITE WHERE CMD...    the same as root
#   hosts.sh cut   SITE hN              the cable is pulled: its processes live on          heal SITE hN
#   hosts.sh kill  SITE hN              the power goes: nobody is told                      start SITE hN
#   hosts.sh freeze SITE hN             every process is stopped, as on a hung machine      thaw SITE hN
#   hosts.sh down  SITE                 ends all and removes SITE
#
# Each host has its own network card, /tmp, /var/tmp, /run, /home, /dev/shm, processes, and sshd with a key of its own.
# What all hosts and the head see, at one path: SITE/shared. What is in SITE/bin they see in /usr/local/bin.
# The job user is `fw`. On the head, a plain `ssh h1` works, for root too; elsewhere `ssh -F SITE/ssh_config h1` has the
# same words, but reaches no host. FW_DIR says where exec and root begin (default SITE/shared).
#
# Knobs: otherkey    the host shows a key that is not the known one
#        nologin     the host does not know the job user's key
#        nosshd      nobody listens
#        nobinary    /usr/local/bin is empty
#        sharedhome  the home is one directory for all hosts with this knob
#        peers       the job user there has a key for the other hosts, and knows theirs
#        fullhome    the home is a file system of 2 MiB, and it is full
#
# Needs root, iproute2, util-linux and openssh-server. Touches nothing of the machine but SITE: mounts, names and the
# network are those of SITE's own namespaces, so that sites do not meet, and the kernel removes what a kill leaves.
# FLOCKWORK_KEEP_SITES=1 leaves SITE's files behind.
set -euo pipefail

readonly JOB_USER=fw JOB_ID=7001 NET=10.77.0
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

fail() {
    echo "hosts.sh: $*" >&2
    exit 1
}

# child PROCESS: the one that it has started.
child() {
    local pid
    pid=$(cat "/proc/$1/task/$1/children" 2>/dev/null)
    [[ -n $pid ]] && echo "${pid% }"
}

usage() {
    sed -n '/^#   /s/^# *//p' "$0" >&2
    exit 2
}

# ---- Outside: called on the machine -------------------------------------------------------------------------------

# Runs in the site's namespaces.
at_site() {
    exec nsenter --target "$(<"$SITE/pid")" --mount --pid --net --uts --ipc -- "$@"
}

# in_place USER PLACE CMD...: nothing of this script stays between the caller and nsenter.
in_place() {
    local user=$1 where=$2 enter=()
    shift 2
    local dir=${FW_DIR:-$SITE/shared} become=(setpriv --reuid "$user" --regid "$user" --init-groups)
    if [[ $where != head ]]; then
        enter=(nsenter --target "$(<"$SITE/$where/pid")" --mount --pid --net --uts --ipc --)
    fi
    if [[ $user == root ]]; then
        export HOME=/root
    else
        export HOME=/home/$user
    fi
    export USER=$user LOGNAME=$user PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
    # shellcheck disable=SC2016 # for the inner shell
    at_site "${enter[@]}" "${become[@]}" -- sh -c 'cd "$0" && exec "$@"' "$dir" "$@"
}

# Makes the files of a site. All that a host reads before it has its own /var/tmp is here.
lay_out() {
    local number host group
    mkdir -p "$SITE"/{shared,bin,nobin,etc,sharedhome}
    chmod 755 "$SITE"
    chown $JOB_ID:$JOB_ID "$SITE/shared" "$SITE/sharedhome"
    # The checkout may lie in a directory that is hidden inside.
    cp -- "$0" "$SITE/hosts.sh"

    for group in passwd group shadow; do
        grep -v "^$JOB_USER:" "/etc/$group" >"$SITE/etc/$group" || true
    done
    chmod 600 "$SITE/etc/shadow"
    echo "$JOB_USER:x:$JOB_ID:$JOB_ID::/home/$JOB_USER:/bin/bash" >>"$SITE/etc/passwd"
    echo "$JOB_USER:x:$JOB_ID:" >>"$SITE/etc/group"
    # No password fits, and the account is not locked: sshd refuses locked ones.
    echo "$JOB_USER:*:19000:0:99999:7:::" >>"$SITE/etc/shadow"

    ssh-keygen -q -t ed25519 -N '' -C throwaway -f "$SITE/key"
    chown $JOB_ID:$JOB_ID "$SITE/key"
    cat >"$SITE/ssh_config" <<CONFIG
Host h*
  User $JOB_USER
  IdentityFile $SITE/key
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile $SITE/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  BatchMode yes
  ConnectTimeout 5
  ServerAliveInterval 2
  ServerAliveCountMax 2
CONFIG
    printf '127.0.0.1 localhost\n%s.1 head\n' "$NET" >"$SITE/etc/hosts"
    : >"$SITE/known_hosts"
    for number in $(seq "$COUNT"); do
        host=h$number
        mkdir -p "$SITE/$host"/{home,tmp,var/tmp}
        chmod 1777 "$SITE/$host"/{tmp,var/tmp}
        chown $JOB_ID:$JOB_ID "$SITE/$host/home"
        ssh-keygen -q -t ed25519 -N '' -C "$host" -f "$SITE/$host/hostkey"
        echo "$NET.$((number + 10)) $host" >>"$SITE/etc/hosts"
        echo "$host,$NET.$((number + 10)) $(cut -d' ' -f1,2 "$SITE/$host/hostkey.pub")" >>"$SITE/known_hosts"
    done
}

# The foreground process of a site.
keep() {
    local knob status=0
    COUNT=${1:?how many hosts}
    shift
    [[ $SITE != /home/* && $SITE != /run/* ]] || fail "$SITE is hidden inside; choose a place such as /var/tmp"
    [[ ! -e $SITE/pid ]] || fail "$SITE is there already"
    mkdir -p "$SITE"
    SITE=$(realpath "$SITE")
    [[ $COUNT -le 200 ]] || fail "at most 200 hosts"
    echo $$ >"$SITE/keeper"
    lay_out
    echo "$COUNT" >"$SITE/count"
    for knob in "$@"; do
        [[ -d $SITE/${knob%%:*} ]] || fail "no such host: $knob"
        case ${knob#*:} in
            otherkey | nologin | nosshd | nobinary | sharedhome | peers | fullhome) : >"$SITE/${knob%%:*}/${knob#*:}" ;;
            *) fail "no such knob: $knob" ;;
        esac
    done
    # Process 1 of the site is the script in the role `site`. When it ends, the kernel ends all others; and it ends when
    # this process does.
    setpriv --pdeathsig KILL unshare --mount --pid --net --uts --ipc --fork --kill-child=SIGKILL --mount-proc \
        bash "$SITE/hosts.sh" site "$SITE" <&0 >"$SITE/console" 2>&1 &
    local outer=$!
    trap 'exec 2>/dev/null; kill -KILL "$outer"' TERM INT HUP
    until [[ -e $SITE/up ]]; do
        if ! kill -0 "$outer" 2>/dev/null; then
            cat "$SITE/console" >&2
            break
        fi
        sleep 0.02
    done
    child "$outer" >"$SITE/pid.part" && mv "$SITE/pid.part" "$SITE/pid"
    wait "$outer" || status=$?
    if [[ -z ${FLOCKWORK_KEEP_SITES-} ]]; then
        rm -rf --one-file-system -- "$SITE"
    fi
    return "$status"
}

up() {
    local keeper
    mkdir -p "$SITE"
    SITE=$(realpath "$SITE")
    mkfifo "$SITE/never"
    # Opened for reading and writing, it never ends.
    setsid bash "$0" keep "$SITE" "$@" 0<>"$SITE/never" >/dev/null &
    keeper=$!
    until [[ -e $SITE/pid ]]; do
        kill -0 "$keeper" 2>/dev/null || fail "the site did not come up"
        sleep 0.02
    done
}

down() {
    local keeper
    keeper=$(<"$SITE/keeper")
    kill "$keeper" 2>/dev/null || true
    # It removes the files, and is gone at last.
    while kill -0 "$keeper" 2>/dev/null; do
        sleep 0.02
    done
}

# ---- At the site: in its namespaces -------------------------------------------------------------------------------

# Process 1 of the site: the head.
site() {
    local number file starting=()
    mount --make-rprivate /
    hostname head
    mount -t tmpfs -o mode=755 tmpfs /run
    for file in passwd group shadow hosts; do
        mount --bind "$SITE/etc/$file" "/etc/$file"
    done
    home "$SITE/headhome"
    mount --bind "$SITE/bin" /usr/local/bin
    mount --bind "$SITE/ssh_config" /etc/ssh/ssh_config
    ip link set lo up
    ip link add br0 type bridge
    ip addr add "$NET.1/24" dev br0
    ip link set br0 up
    for number in $(seq "$(<"$SITE/count")"); do
        start "h$number" </dev/null &
        starting+=($!)
    done
    for number in "${starting[@]}"; do
        wait "$number"
    done
    : >"$SITE/up"
    # Until its keeper closes it, or is gone.
    while read -r _; do :; done
}

# home DIR: puts it where the job user's home is.
home() {
    mkdir -p "$1"
    chown $JOB_ID:$JOB_ID "$1"
    mount -t tmpfs -o mode=755 tmpfs /home
    mkdir "/home/$JOB_USER"
    mount --bind "$1" "/home/$JOB_USER"
}

# Gives a host its power: a network card, and process 1.
start() {
    local host=$1 number=${1#h}
    ip netns add "$host"
    # Always the same address, for the others remember it across a power-off.
    ip link add "v$number" type veth peer name eth0 address "$(printf '02:77:00:00:00:%02x' "$number")" netns "$host"
    ip link set "v$number" master br0 up
    ip -n "$host" link set lo up
    ip -n "$host" addr add "$NET.$((number + 10))/24" dev eth0
    ip -n "$host" link set eth0 up
    rm -f "$SITE/$host/pid"
    ip netns exec "$host" unshare --mount --pid --uts --ipc --fork --kill-child=SIGKILL --mount-proc \
        bash "$SITE/hosts.sh" host "$SITE" "$host" >>"$SITE/$host/console" 2>&1 </dev/null &
    local outer=$! pid="" tries=0
    disown
    until pid=$(child "$outer") && [[ -e /proc/$pid/root/run/fw/ready ]]; do
        kill -0 "$outer" 2>/dev/null || fail "$host: $(<"$SITE/$host/console")"
        sleep 0.02
    done
    until [[ -e $SITE/$host/nosshd ]] || listens "$NET.$((number + 10))"; do
        tries=$((tries + 1))
        [[ $tries -lt 500 ]] || fail "$host: no sshd: $(<"$SITE/$host/console")"
        sleep 0.02
    done
    echo "$outer" >"$SITE/$host/outer"
    echo "$pid" >"$SITE/$host/pid"
}

listens() {
    (exec 3<>"/dev/tcp/$1/22") 2>/dev/null
}

# Takes a host's power: first the cable, so that the last words of its connections reach nobody.
kill_host() {
    local host=$1 outer
    outer=$(<"$SITE/$host/outer")
    ip link set "v${host#h}" down
    kill -KILL "$(<"$SITE/$host/pid")" "$outer" 2>/dev/null || true
    while kill -0 "$outer" 2>/dev/null; do
        sleep 0.01
    done
    ip link del "v${host#h}"
    ip netns del "$host"
    rm -f "$SITE/$host/pid"
}

# signal_all HOST SIGNAL: to every process of the host, whatever it started meanwhile.
signal_all() {
    local host=$1 signal=$2 space process again=yes rest
    space=$(readlink "/proc/$(<"$SITE/$host/pid")/ns/pid")
    while [[ -n $again ]]; do
        again=""
        for process in /proc/[0-9]*; do
            [[ $(readlink "$process/ns/pid" 2>/dev/null) == "$space" ]] || continue
            rest=$(<"$process/stat") 2>/dev/null || continue
            rest=${rest##*) }
            if [[ $signal == STOP && ${rest%% *} != [TZ] ]]; then
                kill -STOP "${process#/proc/}" 2>/dev/null || true
                again=yes
            elif [[ $signal == CONT && ${rest%% *} == T ]]; then
                kill -CONT "${process#/proc/}" 2>/dev/null || true
            fi
        done
    done
}

# ---- At a host ----------------------------------------------------------------------------------------------------

# Process 1 of a host.
host() {
    local host=$1 own=$SITE/$1 place listens=yes
    mount --make-rprivate /
    hostname "$host"
    mount -t tmpfs -o mode=755 tmpfs /run
    mkdir -p /run/sshd /run/fw
    mount -t tmpfs tmpfs /dev/shm

    if [[ -e $own/nobinary ]]; then
        mount --bind "$SITE/nobin" /usr/local/bin
    fi
    if [[ -e $own/nosshd ]]; then
        listens=""
    fi
    if [[ -e $own/sharedhome ]]; then
        home "$SITE/sharedhome"
    elif [[ -e $own/fullhome ]]; then
        home "$own/home"
        mount -t tmpfs -o "size=2m,uid=$JOB_ID,gid=$JOB_ID,mode=755" tmpfs "/home/$JOB_USER"
        dd if=/dev/zero of="/home/$JOB_USER/filler" bs=64k 2>/dev/null || true
    else
        home "$own/home"
    fi

    if [[ -e $own/peers ]]; then
        # The site's words for ssh are the head's.
        umount /etc/ssh/ssh_config
        install -d -o $JOB_ID -g $JOB_ID -m 700 "/home/$JOB_USER/.ssh"
        install -o $JOB_ID -g $JOB_ID -m 600 "$SITE/key" "/home/$JOB_USER/.ssh/id_ed25519"
        install -o $JOB_ID -g $JOB_ID -m 600 "$SITE/known_hosts" "/home/$JOB_USER/.ssh/known_hosts"
    fi

    if [[ -e $own/otherkey ]]; then
        ssh-keygen -q -t ed25519 -N '' -C other -f /run/fw/hostkey
    else
        install -m 600 "$own/hostkey" /run/fw/hostkey
    fi
    if [[ -e $own/nologin ]]; then
        : >/run/fw/authorized
    else
        install -m 644 "$SITE/key.pub" /run/fw/authorized
    fi
    cat >/run/fw/sshd_config <<'CONFIG'
HostKey /run/fw/hostkey
AuthorizedKeysFile /run/fw/authorized
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PrintMotd no
PidFile none
MaxStartups 200:30:400
MaxSessions 100
Subsystem sftp internal-sftp
CONFIG

    # Their own places for temporary files, with the shared directory in them where it lies there. SITE itself is hidden
    # then, as the disks of other machines are.
    for place in /tmp /var/tmp; do
        if [[ $SITE == "$place"/* ]]; then
            mkdir -p "$own$SITE/shared"
            mount --bind "$SITE/shared" "$own$SITE/shared"
        fi
    done
    mount --rbind "$own/tmp" /tmp
    mount --rbind "$own/var/tmp" /var/tmp

    cd /
    trap '' TERM INT HUP
    if [[ -n $listens ]]; then
        /usr/sbin/sshd -D -e -f /run/fw/sshd_config &
    fi
    : >/run/fw/ready
    # Bash takes over orphans and buries them while it waits.
    while :; do
        sleep infinity &
        wait
    done
}

[[ $# -ge 2 ]] || usage
verb=$1
SITE=$2
shift 2
case $verb in
    up) up "$@" ;;
    keep) keep "$@" ;;
    down) down ;;
    exec) in_place "$JOB_USER" "$@" ;;
    root) in_place root "$@" ;;
    cut | heal | kill | start | freeze | thaw) at_site bash "$SITE/hosts.sh" "at:$verb" "$SITE" "$@" ;;
    site) site ;;
    host) host "$@" ;;
    at:cut) ip link set "v${1#h}" down ;;
    at:heal) ip link set "v${1#h}" up ;;
    at:kill) kill_host "$1" ;;
    at:start) start "$1" ;;
    at:freeze) signal_all "$1" STOP ;;
    at:thaw) signal_all "$1" CONT ;;
    *) usage ;;
esac
