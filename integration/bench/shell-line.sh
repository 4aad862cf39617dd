#!/bin/bash
# The same without this program: a consistent copy, checked, hashed and sent.
#
#   shell-line.sh DB >image
#   shell-line.sh --zstd DB >image.zst
set -euo pipefail

finish="cat"
if [ "$1" = --zstd ]; then
	finish='zstd -q -3 -T0 -c'
	shift
fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

sqlite3 "$1" ".backup $dir/copy.db"
[ "$(sqlite3 "$dir/copy.db" 'PRAGMA quick_check')" = ok ]
sha256sum "$dir/copy.db" >&2
$finish "$dir/copy.db"
