#!/bin/sh
# A stand-in for a simulation: simulate.sh ALPHA BETA SEED. One set of parameters has no solution.
sleep 0.3
if [ "$1" = 0.2 ] && [ "$2" = 2 ]; then
    echo "step 14: singular matrix" >&2
    exit 3
fi
awk -v alpha="$1" -v beta="$2" -v seed="$3" 'BEGIN {
    print "iterating ..."
    printf "energy=%.3f steps=%d\n", -alpha * beta * seed, 10 * seed
}'
