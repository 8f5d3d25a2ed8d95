#!/usr/bin/env bash
# Counts system calls per task with strace, for each thread of master and worker.
# Usage: benches/syscalls.sh [TASKS] [DIRECTORY]     (needs strace; TASKS defaults to 5000)
set -euo pipefail
cd "$(dirname "$0")/.."
tasks=${1:-5000}
dir=${2:-${TMPDIR:-/tmp}}
command -v strace >/dev/null || { echo "error: strace is not installed" >&2; exit 2; }
program=$(cargo bench --bench end_to_end --no-run --message-format=json 2>/dev/null |
    sed -n 's/.*"executable":"\([^"]*end_to_end[^"]*\)".*/\1/p' | tail -n 1)
trace=$(mktemp -d)
trap 'rm -rf "$trace"' EXIT
strace -ff -qq -o "$trace/t" "$program" store --tasks "$tasks" --dir "$dir" >/dev/null
python3 - "$trace" "$tasks" <<'PY'
import collections, glob, re, sys

trace, tasks = sys.argv[1], int(sys.argv[2])
CHANGES = {"linkat", "unlinkat", "renameat", "renameat2", "mkdirat"}
for path in sorted(glob.glob(trace + "/t.*")):
    calls, changes = collections.Counter(), 0
    for line in open(path, errors="replace"):
        name = re.match(r"[a-z_0-9]+(?=\()", line)
        if name:
            calls[name.group()] += 1
            changes += name.group() in CHANGES or (name.group() == "openat" and "O_CREAT" in line)
    total = sum(calls.values())
    if total < tasks:
        continue
    # A slot makes links, the master's first thread makes inputs, the janitor only removes.
    who = "worker" if calls["linkat"] >= tasks else "master" if calls["pwrite64"] >= tasks else "cleaning"
    top = ", ".join(f"{name} {count / tasks:.2f}" for name, count in calls.most_common(7))
    print(f"{who:<9} {total / tasks:5.2f} calls per task, {changes / tasks:4.2f} change a directory: {top}")
PY
