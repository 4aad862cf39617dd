#!/bin/bash
# A SQLite database through a named pipe, for programs that only read files. cat stands for such a program.
#
#   fifo.sh backup app.db app.copy
#   fifo.sh restore app.copy new.db
#
# The reader of a named pipe cannot tell a broken stream from EOF: verify what it has made before you rely on it.
# --timeout ends the wait for a reader that never comes.
# Checked by: every line is run by a test, also with the program killed half way.
set -euo pipefail

case ${1-}/$# in
backup/3)
	dir=$(mktemp -d)
	trap 'rm -rf "$dir" "$3.unproven"' EXIT
	mkfifo "$dir/pipe"
	sqlite-checkpoint backup --timeout 10m "$2" "$dir/pipe" &
	cat "$dir/pipe" >"$3.unproven"
	wait $!
	sqlite-checkpoint verify "$3.unproven"
	mv "$3.unproven" "$3"
	;;
restore/3)
	mkfifo "$3.pipe"
	trap 'rm -f "$3.pipe"' EXIT
	cat "$2" >"$3.pipe" &
	sqlite-checkpoint restore "$3.pipe" "$3"
	wait $!
	;;
*)
	sed -n 's/^#   //p' "$0" >&2
	exit 2
	;;
esac
