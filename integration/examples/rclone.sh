#!/bin/bash
# A SQLite database to any storage that rclone knows.
#
#   rclone.sh backup app.db remote:bucket/app-2026-11-22.db
#   rclone.sh verify remote:bucket/app-2026-11-22.db
#   rclone.sh restore remote:bucket/app-2026-11-22.db new.db
#
# rclone commits the file at EOF, whatever the reason for it. That is why pipe starts it, not a shell pipeline.
# Checked by: every line is run by a test against a real rclone and a local directory, also with the program killed half
# way.
# Not run by the tests: remotes over a network.
set -euo pipefail

case ${1-}/$# in
backup/3)
	sqlite-checkpoint pipe "$2" -- rclone rcat --size '{size}' "$3"
	;;
verify/2)
	rclone cat "$2" | sqlite-checkpoint verify -
	;;
restore/3)
	rclone cat "$2" | sqlite-checkpoint restore - "$3"
	;;
*)
	sed -n 's/^#   //p' "$0" >&2
	exit 2
	;;
esac
