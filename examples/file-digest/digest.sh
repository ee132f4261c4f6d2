#!/bin/sh
# Digests this shard's files of a folder: digest.sh ROOT OUT
#
# Takes the files that git tracks in ROOT (all files when it is no work tree) whose path hash falls
# to this shard, and writes OUT/shard-<item>.tsv: SHA-256, lines, bytes and path, with tabs
# between. Names with line ends are not supported; the Rust version of this job reads them.
set -eu

root=$1 out=$2
item=$MUSTER_SHARD_ITEM count=$MUSTER_SHARD_COUNT

list() {
    if why=$(LC_ALL=C git rev-parse --is-inside-work-tree 2>&1); then
        git -c core.quotePath=false ls-files
        return
    fi
    case $why in
    *"not a git repository"* | *"not found"*) find . ! -type d | sed 's|^\./||' ;;
    *)
        echo "git cannot list the files of $root: $why" >&2
        return 1
        ;;
    esac
}

# The shard of a path: a checksum of its name, so that every shard finds out by itself.
shard_of() {
    sum=$(printf %s "$1" | cksum)
    echo $((${sum%% *} % count))
}

digest() {
    sha256=$(sha256sum <"$1")
    lines=$(wc -l <"$1")
    bytes=$(wc -c <"$1")
    printf '%s\t%d\t%d\t%s\n' "${sha256%% *}" "$lines" "$bytes" "$1"
}

mkdir -p "$out"
cd "$root"
part=$out/.shard-$item.tsv.$$
trap 'rm -f "$part" "$part.list"' EXIT
list >"$part.list"
LC_ALL=C sort -u -o "$part.list" "$part.list"
while IFS= read -r path; do
    # Folders, submodules and links that lead nowhere are no files.
    if [ -f "$path" ] && [ "$(shard_of "$path")" -eq "$item" ]; then
        digest "$path"
    fi
done <"$part.list" >"$part"
mv "$part" "$out/shard-$item.tsv"

awk -F '\t' '{ lines += $2; bytes += $3 } END { printf "files=%d lines=%d bytes=%d", NR, lines, bytes }' \
    "$out/shard-$item.tsv" >"$MUSTER_RESULT"
