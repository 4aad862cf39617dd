#!/bin/bash
# A SQLite database to another machine by ssh. BACKUP_HOST is the machine.
#
#   ssh.sh backup app.db app.db.zst         sqlite-checkpoint is also there, and proves the stream
#   ssh.sh backup-plain app.db app.copy.db  it is not: sha256sum proves the image
#   ssh.sh verify app.db.zst
#   ssh.sh restore app.db.zst new.db
#
# If the connection breaks, the far end sees an ordinary EOF. So the far end has to prove the stream before the file
# gets its name. Names must not contain spaces.
# Checked by: every line is run by a test against a real sshd, also with ssh and the program killed half way.
set -euo pipefail
# shellcheck disable=SC2029 # names are expanded here, on purpose

case ${1-}/$# in
backup/3)
	sqlite-checkpoint pipe --zstd "$2" -- ssh "$BACKUP_HOST" \
		"t=$3.\$\$ && trap 'rm -f \$t' EXIT && cat >\$t && sqlite-checkpoint verify \$t && mv \$t $3"
	;;
backup-plain/3)
	sqlite-checkpoint pipe "$2" -- ssh "$BACKUP_HOST" \
		"t=$3.\$\$ && trap 'rm -f \$t' EXIT && cat >\$t && head -c {image_size} \$t | sha256sum | grep -q {sha256} && mv \$t $3"
	;;
verify/2)
	ssh "$BACKUP_HOST" "sqlite-checkpoint verify $2"
	;;
restore/3)
	ssh "$BACKUP_HOST" "cat $2" | sqlite-checkpoint restore - "$3"
	;;
*)
	sed -n 's/^#   //p' "$0" >&2
	exit 2
	;;
esac
