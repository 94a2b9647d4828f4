#!/usr/bin/env bash
# Measures cold merges in a memory cgroup, by one or more builds of weld in turn: seconds, bytes that are read from the disk, and
# beside them what it takes to read every input once and to write the output.
#
#     cold.sh DIR [-l LIMIT] [-s SIZE] [-r ROUNDS] [-c CASES] WELD [OTHER-BUILD ...]
#
# DIR is on a disk and gets a base, two models and their importance files of SIZE (1GB) each, unless they are there; they stay.
# LIMIT (1500000000) is the bytes of the cgroup: a merge and its page cache. CASES are methods (sta,linear,ties,sce); of ROUNDS (3) the
# fastest counts. Needs the right to make a cgroup, of version 1 or 2; `weld bench --cold` measures without one.
set -euo pipefail

dir=${1:?usage: cold.sh DIR [-l LIMIT] [-s SIZE] [-r ROUNDS] [-c CASES] WELD [OTHER-BUILD ...]}
shift
limit=1500000000 size=1GB rounds=3 cases=sta,linear,ties,sce
while getopts l:s:r:c: flag; do
    case $flag in
        l) limit=$OPTARG ;;
        s) size=$OPTARG ;;
        r) rounds=$OPTARG ;;
        c) cases=$OPTARG ;;
        *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
weld=$(realpath -e "${1:?which build of weld?}")
shift
beside=()
for other in "$@"; do
    beside+=(--beside "$(realpath -e "$other")")
done

top=/sys/fs/cgroup
if [ -e $top/memory/memory.limit_in_bytes ]; then # version 1
    group=$top/memory/weld-cold-$$ file=memory.limit_in_bytes
elif grep -qw memory $top/cgroup.controllers 2>/dev/null; then # version 2
    grep -qw memory $top/cgroup.subtree_control || echo +memory > $top/cgroup.subtree_control
    group=$top/weld-cold-$$ file=memory.max
else
    echo "cold.sh: no memory cgroups at $top: see weld bench --cold" >&2
    exit 1
fi
mkdir "$group"
trap 'rmdir "$group"' EXIT
echo "$limit" > "$group/$file"
echo "cgroup of $limit bytes; load $(cut -d ' ' -f 1-3 /proc/loadavg)"
(
    echo "$BASHPID" > "$group/cgroup.procs"
    exec "$weld" bench "$dir" --cold --keep --size "$size" --models 2 --rounds "$rounds" --case "$cases" "${beside[@]}"
)
echo "load $(cut -d ' ' -f 1-3 /proc/loadavg)"
