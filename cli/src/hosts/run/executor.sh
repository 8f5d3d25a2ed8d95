# What runs on a host beside the command: it starts it, gives signs of life, and stops it when it is told to or when the
# connection ends. It is sent as one line, so each line ends where a blank may follow.
#
# $1 a word that nobody else knows, $2 seconds between signs of life or 0, $3 seconds between TERM and KILL, $4 the
# directory to work in or nothing, $5 the directory to remove in the end or nothing, $6 the host's name, $7 a file or
# nothing; then the command.
t=$1 b=$2 g=$3 w=$4 d=$5; export FLOCKWORK_HOST="$6" FLOCKWORK_FILE="$7" FLOCKWORK_DIR="$4"; shift 7;
m() { printf '\036%s %s\n' "$t" "$*" >&2; };
printf '\036%s hello\n' "$t"; m hello;
# Nothing but the reader below has our stdin.
exec 3<&0 </dev/null;
if [ -n "$w" ]; then cd "$w" || { printf '\036%s end\n' "$t"; m fail; exit 0; }; fi;
# A shell's child in the background ignores INT and QUIT, and the command should not.
e=; env --default-signal=INT,QUIT true 2>/dev/null && e='env --default-signal=INT,QUIT';
if command -v setsid >/dev/null 2>&1; then k=setsid; else k=; set -m 2>/dev/null; fi;
$k $e sh -c 'exec "$@"' sh "$@" 3<&- &
p=$!;
set +m 2>/dev/null;
m begin $p;
trap '' PIPE;
k() { kill -s "$1" -- "-$p" 2>/dev/null || kill -s "$1" "$p" 2>/dev/null; };
# Stops the command and what it has started. From then on it goes on to its end, whatever happens to the others.
x() { trap '' USR1; k TERM; i=0; while k 0 && [ $i -lt $((g*5)) ]; do
sleep .2 2>/dev/null || { sleep 1; i=$((i+4)); }; i=$((i+1)); done; k KILL; };
# It waits for the word to stop, or for the end of the connection.
{ while read -r a <&3 && [ "$a" != stop ]; do :; done; x; } >/dev/null 2>&1 &
r=$!;
h=;
if [ "$b" -gt 0 ]; then
{ n=; trap 'kill $n 2>/dev/null; exit 0' USR1; while kill -0 $$ 2>/dev/null; do
sleep "$b" >/dev/null 2>&1 & n=$!; wait $n; m beat || { x; exit 0; }; done; } >/dev/null 3<&- &
h=$!; fi;
wait $p 2>/dev/null; c=$?;
# Whoever stops it ends when all is stopped; who does not ends at once. No flag is needed, and no trap while we wait:
# bash 5.2 may wait for ever if a trapped signal comes together with the end of a child.
kill -s USR1 $r $h 2>/dev/null; wait $r 2>/dev/null;
if [ -n "$d" ]; then cd /; rm -rf -- "$d"; fi;
printf '\036%s end\n' "$t"; m end $c;
exit 0
