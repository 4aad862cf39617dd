#!/bin/bash
# A SQLite database through borg 1.2 or newer. BORG_REPO and BORG_PASSPHRASE say where to.
#
#   borg.sh backup app.db app-2026-11-22         borg starts us: if we fail, there is no archive
#   borg.sh backup-pipe app.db app-2026-11-22    we start borg: pipe kills it before it can take a broken stream as complete
#   borg.sh backup-fifo app.db app-2026-11-22    through a named pipe, beside other files of the same archive
#   borg.sh verify app.db app-2026-11-22
#   borg.sh restore app.db app-2026-11-22 new.db
#
# SQLite's pages stay where they are, so chunks of a fixed size find far more unchanged data than borg's default does.
# Use fixed,16384 for databases below about 10 GB; fixed,65536 limits the number of chunks for any size.
# Checked by: every line is run by a test against a real borg, also with the program killed half way.
set -euo pipefail

chunker=fixed,65536
name=$(realpath -m -- "${2:-.}") # as borg stores it: the whole path, without the first slash
name=${name#/}

case ${1-}/$# in
backup/3)
	borg create --chunker-params "$chunker" --stdin-name "$name" --content-from-command "::$3" -- sqlite-checkpoint backup "$2" -
	;;
backup-pipe/3)
	sqlite-checkpoint pipe "$2" -- borg create --chunker-params "$chunker" --stdin-name "$name" "::$3" -
	;;
backup-fifo/3)
	# A stream that breaks leaves an archive here, so the archive has another name until it has been proven. borg cannot
	# cut what comes from a named pipe into chunks of a fixed size (it seeks); these are the next best.
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"; borg delete "::$3.unproven" 2>/dev/null || true' EXIT
	mkdir -p "$dir/$(dirname "$name")"
	mkfifo "$dir/$name"
	sqlite-checkpoint backup --timeout 30m "$2" "$dir/$name" &
	(cd "$dir" && borg create --chunker-params buzhash,15,19,17,4095 --read-special "::$3.unproven" "$name")
	wait $!
	borg extract --stdout "::$3.unproven" "$name" | sqlite-checkpoint verify -
	borg rename "::$3.unproven" "$3"
	;;
verify/3)
	borg extract --stdout "::$3" "$name" | sqlite-checkpoint verify -
	;;
restore/4)
	borg extract --stdout "::$3" "$name" | sqlite-checkpoint restore - "$4"
	;;
*)
	sed -n 's/^#   //p' "$0" >&2
	exit 2
	;;
esac
