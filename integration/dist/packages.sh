#!/bin/bash
# Installs, uses and removes the packages in bin/dist on the system that it runs on: check.sh runs it where that is thrown
# away.
set -euo pipefail
: "${VERSION:?}"
[ "${1-}" = thrown-away ] || { echo "$0: run check.sh packages" >&2; exit 2; }

here=$(cd "$(dirname "$0")" && pwd)
dist=$(cd "$here/../../bin/dist" && pwd)

step() { echo "== $*"; }
fail() {
	echo "packages.sh: $*" >&2
	exit 1
}

export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 TERM=xterm
cd /tmp
cp "$dist"/* .
sha256sum --quiet -c SHA256SUMS

# install_packages takes a qemu that knows PR_SET_CHILD_SUBREAPER from the backports of Debian 12, whose own does not.
install_packages() {
	local backports=()
	if grep -q '^VERSION_CODENAME=bookworm$' /etc/os-release; then
		echo 'deb http://deb.debian.org/debian bookworm-backports main' >/etc/apt/sources.list.d/backports.list
		backports=(qemu-user/bookworm-backports)
	fi
	apt-get update -qq
	apt-get install -qq --yes --no-install-recommends -o Dpkg::Use-Pty=0 \
		bash-completion crun file fish groff lintian man-db mandoc podman "${backports[@]:-qemu-user}" rpm sqlite3 systemd zsh \
		>/dev/null
}
install_packages
sqlite3 app.db 'PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES(1);' >/dev/null

# smoke tests what must work wherever the program runs. run tests what needs Linux's child subreapers.
smoke() {
	copy "$1"
	run "$1"
}
copy() {
	local program=$1 dir
	dir=$(mktemp -d)
	"$program" backup -q app.db "$dir/copy.db"
	"$program" verify -q "$dir/copy.db"
	"$program" backup -q --zstd app.db - >"$dir/copy.zst"
	"$program" restore -q "$dir/copy.zst" "$dir/new.db"
	[ "$(sqlite3 "$dir/new.db" 'SELECT * FROM t')" = 1 ] || fail "$program: restored another database"
}
run() {
	local program=$1 dir
	dir=$(mktemp -d)
	"$program" pipe -q app.db -- "$program" verify -q -
	mkdir "$dir/app" && cp app.db "$dir/app/"
	"$program" shadow -q --stage "$dir/stage" "$dir/app" -- tar -cf "$dir/tar" -P \
		--exclude-from '{exclude}' "$dir/app" '{stage}'
	tar -tPf "$dir/tar" | grep -qx "$dir/stage$dir/app/app.db" || fail "$program: shadow has shown no copy"
}

# refused checks that a command fails with a status and a line on stderr that contains a text.
refused() {
	local want=$1 text=$2 status=0
	shift 2
	"$@" >/dev/null 2>stderr || status=$?
	if [ "$status" != "$want" ] || ! grep -q "$text" stderr; then
		fail "$*: status $status, $(cat stderr)"
	fi
}

# emulated runs one of the functions above where the kernel runs arm64 programs with qemu: in a user namespace, which
# has its own table of formats.
emulated() {
	local magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
	local mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
	export -f copy run refused fail
	# shellcheck disable=SC2016 # the inner shell expands them
	unshare --user --map-root-user --mount bash -euo pipefail -c '
		mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
		printf %s ":arm64:M::$1:$2:$(command -v qemu-aarch64):PF" >/proc/sys/fs/binfmt_misc/register
		shift 2
		"$@"' - "$magic" "$mask" "$@"
}

step "the binaries are static and say their version"
go=$(command -v go || echo /usr/local/go/bin/go)
for arch in amd64 arm64; do
	tar -xzf sqlite-checkpoint_*_linux_"$arch".tar.gz
	program=$(echo /tmp/sqlite-checkpoint_*_linux_"$arch"/sqlite-checkpoint)
	file -b "$program" | grep -q 'statically linked' || fail "$program is not static"
	! ldd "$program" >/dev/null 2>&1 || fail "$program has libraries"
	facts=$("$go" version -m "$program")
	for fact in "GOARCH=$arch" CGO_ENABLED=1 -trimpath=true sqlite_fts5; do
		[[ $facts = *"$fact"* ]] || fail "$program: no $fact"
	done
done
native=$(echo /tmp/sqlite-checkpoint_*_linux_amd64/sqlite-checkpoint)
foreign=$(echo /tmp/sqlite-checkpoint_*_linux_arm64/sqlite-checkpoint)
"$native" --version | grep -qxF "sqlite-checkpoint $VERSION" || fail "--version is not $VERSION"
smoke "$native"
step "arm64, by $(qemu-aarch64 --version | head -1)"
mkdir srv && cp app.db srv/
emulated copy "$foreign"
if [ "$(qemu-aarch64 --version | sed -n 's/.* version \([0-9]*\).*/\1/p')" -ge 9 ]; then
	emulated run "$foreign"
	emulated refused 1 'does not allow a private mount namespace' "$foreign" shadow srv -- true
else
	echo "this qemu has no child subreapers: pipe and shadow must refuse"
	emulated refused 1 'needs the child subreapers of Linux' "$foreign" pipe app.db -- cat
	emulated refused 1 'needs the child subreapers of Linux' "$foreign" shadow srv -- true
fi

# listing lists the files outside /var, where apt and other programs keep theirs.
listing() { find /etc /lib /usr -xdev | sort; }

step "Debian package: lint, install, use, remove"
lintian --fail-on error --allow-root sqlite-checkpoint_*.deb || fail lintian
listing >before
apt-get install -qq --yes -o Dpkg::Use-Pty=0 ./sqlite-checkpoint_*_amd64.deb >/dev/null
smoke sqlite-checkpoint
systemd-analyze verify /usr/lib/systemd/system/sqlite-checkpoint*

step "manual pages"
for page in /usr/share/man/man[15]/sqlite-checkpoint*; do
	name=${page##*/} name=${name%.[15].gz}
	man -P cat "$name" >text
	grep -q NAME text || fail "man $name"
	tail -1 text | grep -qF "sqlite-checkpoint $VERSION" || fail "man $name is not of $VERSION"
	MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>warnings >/dev/null
	zcat "$page" | mandoc -Tlint -Wwarning >>warnings || true
	[ ! -s warnings ] || fail "$page: $(cat warnings)"
done

step "completion"
complete_bash() { zsh -f "$here/complete.zsh" bash /usr/share/bash-completion/bash_completion "sqlite-checkpoint $1"; }
complete_zsh() { zsh -f "$here/complete.zsh" zsh /usr/share/zsh/vendor-completions "sqlite-checkpoint $1"; }
complete_fish() { fish -c "complete -C 'sqlite-checkpoint $1'"; }
for shell in bash zsh fish; do
	while IFS=: read -r line want; do
		got=$("complete_$shell" "$line")
		[[ $got = *"$want"* ]] || fail "$shell does not complete '$line' to $want: $got"
	done <<-'LINES'
		back:backup
		backup --che:--check
		backup --check :quick
		backup --check=f:full
		checkpoint -m :truncate
		checkpoint --mode=t:truncate
		cp --mode=t:truncate
		backup --level :better
		help sha:shadow
		completion f:fish
		backup app.d:app.db
		verify --sidecar app.d:app.db
		pipe app.db -- sqlite:sqlite3
	LINES
done
apt-get purge -qq --yes -o Dpkg::Use-Pty=0 sqlite-checkpoint >/dev/null
listing | diff before - || fail "removed, but not without a trace"

step "RPM and Alpine packages: unpack and use"
rpm -K --nosignature sqlite-checkpoint-*.rpm
mkdir rpm apk
rpm --install --nodeps --root "$PWD/rpm" sqlite-checkpoint-*.x86_64.rpm
tar -C apk -xzf sqlite-checkpoint_*_x86_64.apk 2>/dev/null
grep -q '^arch = x86_64' apk/.PKGINFO
smoke "$PWD/rpm/usr/bin/sqlite-checkpoint"
smoke "$PWD/apk/usr/bin/sqlite-checkpoint"
rpm --erase --root "$PWD/rpm" sqlite-checkpoint
left=$(find rpm -name '*sqlite-checkpoint*')
[ -z "$left" ] || fail "the RPM is removed, but not without a trace: $left"

step "the image: not root, a root that is read-only, a mounted database"
mkdir oci data out
tar -C oci -xf sqlite-checkpoint_*_oci.tar
[ "$(du -sk oci | cut -f1)" -le $((2 * 12 * 1024)) ] || fail "the images are too large"
cp app.db data/
chown 65534:65534 data data/app.db out
mount -t cgroup2 cgroup2 /sys/fs/cgroup # in this mount namespace; crun accepts no other
podman() { command podman --root /tmp/storage --runroot /tmp/runroot --storage-driver vfs --cgroup-manager cgroupfs "$@"; }
image=$(podman pull -q "oci:/tmp/oci:$(sed -n 's/.*ref.name": *"\([^"]*amd64\)".*/\1/p' oci/index.json | head -1)")
contained() {
	podman run --rm --network none --cgroups=disabled --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 \
		--read-only --read-only-tmpfs=false -v /tmp/data:/data:ro -v /tmp/out:/out "$@"
}
contained --tmpfs /tmp "$image" backup -q /data/app.db - >image.out
"$native" verify -q image.out
contained "$image" backup -q /data/app.db /out/copy.db
"$native" verify -q out/copy.db
[ "$(stat -c %u out/copy.db)" = 65534 ] || fail "the image runs as root"
refused 6 'private directory in /tmp: read-only file system' contained "$image" backup -q /data/app.db -
echo "all packages work as promised"
