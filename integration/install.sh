#!/bin/bash
# Installs, from Debian or Ubuntu, the programs that the tests run. It leaves alone those that are already installed,
# from whatever source.
#
#   integration/install.sh              all of them
#   integration/install.sh restic pv    only these
set -euo pipefail

# Program, and its package if that has another name.
programs='
	aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
	age
	bindfs
	borg          borgbackup
	borgmatic
	docker-compose
	faketime
	file
	git
	losetup       mount
	make
	mkfs.ext4     e2fsprogs
	mkfs.xfs      xfsprogs
	prlimit       util-linux
	promtool      prometheus
	ps            procps
	pv
	python3
	rclone
	restic
	rsync
	setfattr      attr
	shellcheck
	sqlite3
	ssh           openssh-client
	sshd          openssh-server
	strace
	systemd-analyze systemd
	systemd-nspawn systemd-container
	time
	zstd
'

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # not everyone's PATH has them

missing=()
known=' '
while read -r program package; do
	[ -n "$program" ] || continue
	known+="$program "
	[[ $# = 0 || " $* " = *" $program "* ]] || continue
	type -P "$program" >/dev/null || missing+=("${package:-$program}")
done <<<"$programs"

for wanted; do
	[[ $known = *" $wanted "* ]] || { echo "$0: $wanted is not in its list" >&2; exit 2; }
done

[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "Some programs are missing. Install them as root:" >&2
	echo "    apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
	exit 1
fi

# The tests start an sshd of their own: a package with a service must start it neither now nor at the next boot.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
fi

echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --yes --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" >/dev/null
if [[ " ${missing[*]} " = *" openssh-server "* ]] && command -v systemctl >/dev/null; then
	systemctl --quiet disable ssh.service
fi
