#!/bin/bash
# A SQLite database to any storage that rclone knows.
#
#   rclone.sh backup app.db remote:bucket/app-2026-11-22.db
#   rclone.sh verify remote:bucket/app-2026-11-22.db
#   rclone.sh restore remote:bucket/app-2026-11-22.db new.db
#
# rclone takes any end of its input for the end of the file. That is why pipe starts it, and not a shell's pipeline.
# Checked by: every line is run by a test against a real rclone and a local directory, with the program killed half way, too.
# Not run by the tests: remotes over a network.
set -euo pipefail

case ${1-} in
backup)
	sqlite-checkpoint pipe "$2" -- rclone rcat --size '{size}' "$3"
	;;
verify)
	rclone cat "$2" | sqlite-checkpoint verify -
	;;
restore)
	rclone cat "$2" | sqlite-checkpoint restore - "$3"
	;;
*)
	sed -n 's/^#   //p' "$0" >&2
	exit 2
	;;
esac
