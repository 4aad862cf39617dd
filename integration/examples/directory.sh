#!/bin/bash
# An application's whole directory, databases and files, through programs that read files. As root, or as the owner of all of it.
# RESTIC_REPOSITORY, BORG_REPO and BACKUP_HOST say where to.
#
#   directory.sh restic app                  one snapshot, in which every database is a verified copy
#   directory.sh restic-contained app        the same where mount namespaces are forbidden, as in most containers
#   directory.sh restic-restore app back     app's latest snapshot, into the directory back
#   directory.sh restic-contained-restore app back
#   directory.sh borg app monday             one archive
#   directory.sh borg-restore monday back
#   directory.sh ssh app monday              a directory on BACKUP_HOST, which gets its name once it is verified
#   directory.sh ssh-restore monday back
#   directory.sh rsync app mirror            a mirror, on this machine or, as host:mirror, on another one
#   directory.sh rsync-restore mirror back
#
# A restore ends with verify: every database that the manifest lists is whole. The copies are kept in STAGE, which has
# to lie on the file system of the directory; a database that has not changed is neither copied nor sent again.
# Checked by: every line is run by a test against real restics, borg, tar, sshd and rsync.
set -euo pipefail
stage=${STAGE:-/var/lib/sqlite-checkpoint/stage}

shadow() { sqlite-checkpoint shadow --stage "$stage" "$@"; }

# whole verifies what was restored of the directory $2 to the directory $1, below which it has its full path.
whole() { sqlite-checkpoint verify "$1$(realpath -m -- "$2")"; }

case ${1-}/$# in
restic/2)
	shadow "$2" -- restic backup "$(realpath -- "$2")"
	;;
restic-contained/2)
	shadow "$2" -- restic backup --exclude-file '{exclude}' "$(realpath -- "$2")" '{stage}'
	;;
restic-contained-restore/3)
	dir=$(realpath -m -- "$2") staged=$(realpath -m -- "$stage")
	restic restore --host "$(hostname)" --path "$dir" --path "$staged" --target "$3" latest
	cp -a -- "$3$staged$dir/." "$3$dir/" # the databases and the manifest, into the rest of the directory
	whole "$3" "$dir"
	;;
restic-restore/3)
	restic restore --host "$(hostname)" --path "$(realpath -m -- "$2")" --target "$3" latest
	whole "$3" "$2"
	;;
borg/3)
	cd -- "$2" && shadow . -- borg create "::$3" .
	;;
borg-restore/3)
	mkdir -p -- "$3" && cd -- "$3" && borg extract "::$2" && sqlite-checkpoint verify .
	;;
ssh/3)
	# tar cannot tell a connection that broke between two files from the end: the name appears only once tar has succeeded here.
	# shellcheck disable=SC2016 # expanded there
	shadow "$2" -- bash -euo pipefail -c '
		tar -cC "$0" . | ssh "$BACKUP_HOST" "rm -rf $1.part && mkdir $1.part && tar -xpC $1.part"
		ssh "$BACKUP_HOST" "sqlite-checkpoint verify $1.part && mv -T $1.part $1"' "$2" "$3"
	;;
ssh-restore/3)
	mkdir -p -- "$3"
	# shellcheck disable=SC2029 # expanded here
	ssh "$BACKUP_HOST" "tar -cC $2 ." | tar -xpC "$3"
	sqlite-checkpoint verify "$3"
	;;
rsync/3)
	# Without --modify-window=-1, rsync would skip a database that was committed to in the same second as the last copy.
	shadow "$2" -- rsync -aH --modify-window=-1 --delete "$2/" "$3/"
	;;
rsync-restore/3)
	rsync -aH "$2/" "$3/"
	sqlite-checkpoint verify "$3"
	;;
*)
	sed -n 's/^#   //p' "$0" >&2
	exit 2
	;;
esac
