#!/bin/bash
# Tests what make dist has made, as root. See make test-dist.
#
#   integration/dist/check.sh            everything
#   integration/dist/check.sh rebuild    builds everything again from the sources alone, and compares
#   integration/dist/check.sh packages   installs, uses and removes what is in bin/dist
set -euo pipefail
: "${VERSION:?}"

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
dist=$top/bin/dist
nobody=65534

step() { echo "== $*"; }
fail() {
	echo "check.sh: $*" >&2
	exit 1
}

# rebuild compares bin/dist with what another user builds from a clone elsewhere, at another time (for programs that
# read the clock through the C library), with another umask and time zone and no cache. Modules come from here, as they
# cannot change.
rebuild() {
	step "what somebody else makes elsewhere, at another time, is the same"
	[[ $VERSION != *-dirty ]] || fail "commit first: the build is compared with that of a clone"
	local work go
	work=$(mktemp -d)
	# shellcheck disable=SC2064 # work is local
	trap "rm -rf '$work'" EXIT
	chmod 755 "$work"
	mkdir "$work/home" "$work/modules"
	git clone -q --no-hardlinks "$top" "$work/clone"
	chown -R $nobody:$nobody "$work/clone" "$work/home"
	go=$(dirname "$(command -v go)")
	# shellcheck disable=SC2016 # the inner shell expands them
	MODULES=$(go env GOMODCACHE)/cache/download unshare --mount bash -euo pipefail -c '
		mount --bind "$MODULES" "$1/modules"
		cd "$1/clone"
		setpriv --reuid="$2" --regid="$2" --clear-groups env -i HOME="$1/home" TZ=Asia/Tokyo PATH="$3:$PATH" \
			GOPROXY="file://$1/modules" GOSUMDB=off faketime -f +400d bash -c "umask 077; exec make -s dist"' \
		- "$work" $nobody "$go" >/dev/null
	diff "$dist/SHA256SUMS" "$work/clone/bin/dist/SHA256SUMS" || fail "another build is not the same"
	rm -rf "$work"
}

# packages runs packages.sh in a copy of this machine's file system that is thrown away: an overlay in a mount namespace.
packages() {
	# shellcheck disable=SC2016 # the inner shell expands them
	unshare --mount --fork bash -euo pipefail -c '
		mount -t tmpfs tmpfs /mnt
		mkdir -p /mnt/{upper,work,root}
		mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
		for dir in proc sys dev; do mount --rbind "/$dir" "/mnt/root/$dir"; done
		mount -t tmpfs tmpfs /mnt/root/tmp
		mkdir -p "/mnt/root$1"
		mount --bind "$1" "/mnt/root$1"
		mkdir /mnt/root/.old
		cd /mnt/root
		pivot_root . .old # not chroot, in which there can be no user namespace
		umount -l /.old
		exec "$1/integration/dist/packages.sh" thrown-away' - "$top"
}

case ${1-} in
'')
	rebuild
	packages
	;;
rebuild) rebuild ;;
packages) packages ;;
*) fail "there is no $1" ;;
esac
