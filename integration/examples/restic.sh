#!/bin/bash
# A SQLite database through restic. RESTIC_REPOSITORY and RESTIC_PASSWORD_FILE say where to.
#
#   restic.sh backup app.db          restic starts us: if we fail, there is no snapshot. Needs restic 0.17
#   restic.sh backup-pipe app.db     any restic: pipe kills it before it can take a broken stream as complete
#   restic.sh backup-stdin app.db    any restic: a broken stream fails here, but its snapshot stays; verify refuses it
#   restic.sh verify app.db          proves that app.db in this host's latest snapshot is whole
#   restic.sh restore app.db new.db
#
# A repository may hold databases of many hosts, and many that are called app.db: the stream is stored under the whole
# path, and restored by host and path. On another machine, replace hostname by the name of the first one. The stream is
# not compressed: restic finds what has not changed since the last time, and compresses the rest.
# Checked by: every line is run by a test against real restics, also with the program killed half way.
set -euo pipefail
path=$(realpath -m -- "${2:-.}")

dump() { restic dump --host "$(hostname)" --path "$path" latest "$path"; }

case ${1-}/$# in
backup/2)
	restic backup --stdin-filename "$path" --stdin-from-command -- sqlite-checkpoint backup "$2" -
	;;
backup-pipe/2)
	sqlite-checkpoint pipe "$2" -- restic backup --stdin --stdin-filename "$path"
	;;
backup-stdin/2)
	sqlite-checkpoint backup "$2" - | restic backup --stdin --stdin-filename "$path"
	;;
verify/2)
	dump | sqlite-checkpoint verify -
	;;
restore/3)
	dump | sqlite-checkpoint restore - "$3"
	;;
*)
	sed -n 's/^#   //p' "$0" >&2
	exit 2
	;;
esac
