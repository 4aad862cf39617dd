#!/bin/bash
# A SQLite database to another disk.
#
#   disk.sh backup app.db /mnt/app-2026-11-22.db         a plain database, and its .sha256
#   disk.sh backup-zstd app.db /mnt/app-2026-11-22.zst   compressed
#   disk.sh backup-pv app.db /mnt/app-2026-11-22.db      through pv, at most 50 MB a second
#   disk.sh verify /mnt/app-2026-11-22.db                or .zst
#   disk.sh restore /mnt/app-2026-11-22.db new.db        or .zst
#
# A backup-pv that fails leaves a .part, which the next run replaces. Without sqlite-checkpoint:
#
#   disk.sh plain-verify /mnt/app-2026-11-22.db
#   disk.sh plain-restore /mnt/app-2026-11-22.zst new.db
#
# Checked by: every line is run by a test with the real programs, also with ours killed half way.
set -euo pipefail

case ${1-}/$# in
backup/3)
	sqlite-checkpoint backup "$2" "$3"
	;;
backup-zstd/3)
	sqlite-checkpoint backup --zstd "$2" "$3"
	;;
backup-pv/3)
	# shellcheck disable=SC2016 # the inner shell expands them
	sqlite-checkpoint pipe "$2" -- \
		sh -c 'pv --rate-limit 50m --size "$1" >"$0.part" && sync "$0.part" && mv "$0.part" "$0"' "$3" '{size}'
	;;
verify/2)
	sqlite-checkpoint verify "$2"
	;;
restore/3)
	sqlite-checkpoint restore "$2" "$3"
	;;
plain-verify/2)
	(cd "$(dirname "$2")" && sha256sum -c "$(basename "$2").sha256")
	;;
plain-restore/3)
	zstd -d "$2" -o "$3"
	sqlite3 "$3" 'PRAGMA integrity_check'
	;;
*)
	sed -n 's/^#   //p' "$0" >&2
	exit 2
	;;
esac
