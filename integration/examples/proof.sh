#!/bin/bash
# Proves that a backup can be restored: once a week, by a timer or cron. REPORT, a file, is the evidence: when, which digest,
# what SQLite's check and the queries said, how long it took, and when it last succeeded.
#
#   proof.sh restic app.db REPORT               the latest snapshot of app.db
#   proof.sh borg app.db monday REPORT          an archive
#   proof.sh rclone remote:bucket/app.db REPORT
#   proof.sh ssh app.db.zst REPORT              a file on BACKUP_HOST
#   proof.sh disk copies/app.db REPORT          a file, with its .sha256 beside it unless it is a stream
#
# QUERY is a query for which only the right database returns something other than 0. AGAINST, if set, is the live
# database; in each table at most BEHIND of its rows (a number, or 5%) may be missing in the backup.
# Checked by: every line is run by a test against real restics, borg, rclone and sshd, and refuses a backup that is too
# old.
set -euo pipefail
# shellcheck disable=SC2029 # names are expanded here, on purpose

report=${!#}
proof() {
	sqlite-checkpoint verify --report "$report" --check full --timeout 1h --query "${QUERY:-SELECT count(*) FROM sqlite_schema}" \
		${AGAINST:+--against "$AGAINST" --at-most-behind "${BEHIND:-5%}"} "$@"
}

case ${1-}/$# in
restic/3)
	path=$(realpath -m -- "$2")
	proof --from-command -- restic dump --host "$(hostname)" --path "$path" latest "$path"
	;;
borg/4)
	path=$(realpath -m -- "$2")
	proof --from-command -- borg extract --stdout "::$3" "${path#/}"
	;;
rclone/3)
	proof --from-command -- rclone cat "$2"
	;;
ssh/3)
	proof --from-command -- ssh "$BACKUP_HOST" "cat $2"
	;;
disk/3)
	proof "$2"
	;;
*)
	sed -n 's/^#   //p' "$0" >&2
	exit 2
	;;
esac
