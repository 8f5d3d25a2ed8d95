//! What is run on the hosts: small scripts for a plain `sh`, each one line for ssh.
//!
//! Their arguments are `$1` and so on, so nothing that people type becomes a part of a script.

use crate::hosts::sum::SH;

/// A lock that shows no sign of life for so many minutes is that of a copy which has died.
const DEAD_MINUTES: &str = "2";

/// Looks around. `$1`: the store, `$2`: its id.
/// Answers `platform Linux-x86_64`, then `store ok`, `store none` or `store other`.
pub(super) fn look() -> String {
    "echo \"platform $(uname -s)-$(uname -m)\"; \
     if [ ! -f \"$1/store.json\" ]; then echo store none; \
     elif grep -q -F -- \"$2\" \"$1/store.json\"; then echo store ok; else echo store other; fi"
        .to_owned()
}

/// Asks whether the program is there. `$1`: its path here, `$2`: its SHA-256, `$3`: the directory of copies (empty: the
/// usual one), `$4`: the copy's name, `$5`: its size.
///
/// Answers `have PATH`, or `send` and then takes its bytes from stdin; `have PATH` follows when they are right. A home
/// that several hosts share gets one copy: a directory that only one can make is the lock, and it holds the part that
/// has come so far, so its age tells whether that copy is alive.
pub(super) fn fetch() -> String {
    format!(
        "{SH}\
         p=$1 h=$2 d=$3 n=$4 size=$5; \
         good() {{ [ -f \"$1\" ] && [ -x \"$1\" ] && s=$(sum 2>/dev/null <\"$1\") && [ \"${{s%% *}}\" = \"$h\" ]; }}; \
         sum </dev/null >/dev/null || {{ echo 'nothing there computes SHA-256' >&2; exit 1; }}; \
         if good \"$p\"; then echo \"have $p\"; exit 0; fi; \
         if [ -z \"$d\" ]; then d=${{XDG_CACHE_HOME:-$HOME/.cache}}/flockwork; fi; \
         umask 077; mkdir -p -- \"$d\" || exit 1; \
         f=$d/$n l=$d/$n.lock; \
         while :; do \
         if good \"$f\"; then echo \"have $f\"; exit 0; fi; \
         if mkdir -- \"$l\" 2>/dev/null; then break; fi; \
         if [ ! -d \"$l\" ]; then echo \"cannot make $l\" >&2; exit 1; fi; \
         if [ -z \"$(find \"$l\" -mmin -{DEAD_MINUTES} 2>/dev/null)\" ]; then \
         mv -- \"$l\" \"$l.$$\" 2>/dev/null && rm -rf -- \"$l.$$\"; fi; \
         echo wait; sleep 1; done; \
         trap 'rm -rf -- \"$l\"' EXIT; trap 'exit 1' HUP INT TERM PIPE; \
         echo send; \
         cat >\"$l/part\" || exit 1; \
         got=$(wc -c <\"$l/part\"); \
         if [ \"$got\" -ne \"$size\" ]; then echo \"$got of $size bytes came\" >&2; exit 1; fi; \
         chmod 700 \"$l/part\"; \
         if ! good \"$l/part\"; then echo 'the checksum of the copy differs' >&2; exit 1; fi; \
         mv -f -- \"$l/part\" \"$f\" && echo \"have $f\""
    )
}

/// Starts the worker so that it outlives the connection. `$1`: the program, `$2`: the store, `$3`: slots or `auto`,
/// `$4`: the log, `$5`: what the worker's job is called, `$6`: `remove` if the program is to be removed when the last
/// worker that uses it has left; the rest goes to the worker.
///
/// Answers `slots N`, `pid N`, and then `up`, or `ended STATUS` with the end of the log on stderr.
pub(super) fn start() -> String {
    "p=$1 s=$2 slots=$3 log=$4 job=$5 remove=$6; shift 6; \
     v=$(\"$p\" --version 2>&1) || { echo \"$v\" | tail -n 1 >&2; echo 'the program does not run there' >&2; exit 1; }; \
     [ \"$slots\" = auto ] && slots=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1); \
     echo \"slots $slots\"; \
     : >>\"$log\" || exit 1; \
     cd /; FLOCKWORK_JOB=$job; export FLOCKWORK_JOB; \
     set -- \"$p\" worker \"$s\" --slots \"$slots\" \"$@\"; \
     if [ \"$remove\" = remove ]; then \
     u=$p.users/$(uname -n)-$$; mkdir -p -- \"$p.users\" && : >\"$u\" || exit 1; \
     set -- /bin/sh -c 'u=$1 p=$2; shift 2; trap : TERM HUP; \"$@\" & c=$!; \
     while :; do wait $c; r=$?; kill -0 $c 2>/dev/null || break; done; \
     rm -f -- \"$u\"; rmdir -- \"$p.users\" 2>/dev/null && rm -f -- \"$p\"; exit $r' sh \"$u\" \"$p\" \"$@\"; fi; \
     if command -v setsid >/dev/null; then set -- setsid \"$@\"; fi; \
     nohup \"$@\" </dev/null >>\"$log\" 2>&1 & \
     pid=$!; echo \"pid $pid\"; i=0; \
     while [ $i -lt 50 ]; do \
     if ! kill -0 $pid 2>/dev/null; then wait $pid; r=$?; echo \"ended $r\"; tail -n 1 -- \"$log\" >&2; exit 0; fi; \
     ls \"$s/workers\" 2>/dev/null | grep -q -e \"-$pid-\" && break; \
     [ \"$remove\" = remove ] && [ $i -gt 10 ] && break; \
     i=$((i+1)); sleep 0.1 2>/dev/null || sleep 1; done; \
     echo up"
        .to_owned()
}

/// Tells whether a worker lives. `$1`: its process, `$2`: the store. Answers `up` or `gone`.
pub(super) fn status() -> String {
    format!("{LIVES}if lives \"$1\" \"$2\"; then echo up; else echo gone; fi")
}

/// Asks a worker to leave, and waits for it. `$1`: its process, `$2`: the store, `$3`: how many seconds.
/// Answers `gone`, `left` or `stays`.
pub(super) fn stop() -> String {
    format!(
        "{LIVES}if ! lives \"$1\" \"$2\"; then echo gone; exit 0; fi; \
         kill -TERM -- \"-$1\" 2>/dev/null || kill -TERM \"$1\"; i=0; \
         while [ $i -lt $(($3 * 10)) ]; do lives \"$1\" \"$2\" || {{ echo left; exit 0; }}; \
         i=$((i+1)); sleep 0.1 2>/dev/null || {{ sleep 1; i=$((i+9)); }}; done; echo stays"
    )
}

/// Removes a copy of the program that nobody uses. `$1`: its path. Answers `removed`, `none`, or `used`.
pub(super) fn remove() -> String {
    "if [ ! -e \"$1\" ]; then echo none; exit 0; fi; \
     rmdir -- \"$1.users\" 2>/dev/null; \
     if [ -d \"$1.users\" ]; then echo used; else rm -f -- \"$1\" && echo removed; fi"
        .to_owned()
}

/// A number of a process may have been given to another: the words of its command line tell.
const LIVES: &str = "lives() { w=$(ps -o args= -p \"$1\" 2>/dev/null || tr '\\0' ' ' <\"/proc/$1/cmdline\" 2>/dev/null); \
                     case $w in *\" worker $2 \"*) return 0;; *) return 1;; esac; }; ";

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn scripts_are_single_lines_that_a_plain_shell_understands() {
        for script in [look(), fetch(), start(), status(), stop(), remove()] {
            assert!(!script.contains('\n'), "{script}");
            let checked = Command::new("sh").args(["-n", "-c", &script]).output().unwrap();
            assert!(
                checked.status.success(),
                "{script}\n{}",
                String::from_utf8_lossy(&checked.stderr)
            );
        }
    }
}
