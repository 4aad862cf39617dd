#!/bin/bash
# A SQLite database through restic. RESTIC_REPOSITORY and RESTIC_PASSWORD_FILE say where to.
#
#   restic.sh backup app.db          restic starts us: if we fail, there is no snapshot. Needs restic 0.17
#   restic.sh backup-pipe app.db     any restic: pipe kills it before it could take a break for the end
#   restic.sh backup-stdin app.db    any restic: a broken stream fails here, but its snapshot stays; verify refuses it
#   restic.sh verify app.db          is what the latest snapshot has of app.db whole?
#   restic.sh restore app.db new.db
#
# The stream goes in uncompressed: restic finds what has not changed since the last time, and compresses the rest.
# Checked by: every line is run by a test against real restics, with the program killed half way, too.
set -euo pipefail

case ${1-} in
backup)
	restic backup --stdin-filename "$2" --stdin-from-command -- sqlite-checkpoint backup "$2" -
	;;
backup-pipe)
	sqlite-checkpoint pipe "$2" -- restic backup --stdin --stdin-filename "$2"
	;;
backup-stdin)
	sqlite-checkpoint backup "$2" - | restic backup --stdin --stdin-filename "$2"
	;;
verify)
	restic dump latest "$2" | sqlite-checkpoint verify -
	;;
restore)
	restic dump latest "$2" | sqlite-checkpoint restore - "$3"
	;;
*)
	sed -n 's/^#   //p' "$0" >&2
	exit 2
	;;
esac
