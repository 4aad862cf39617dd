#!/bin/bash
# Installs, uses and removes what make dist has made, in a copy of this machine's file system that is thrown away (an overlay
# in a mount namespace of its own), so root is needed. See make test-dist.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
dist=$top/bin/dist

step() { echo "== $*"; }
fail() {
	echo "check.sh: $*" >&2
	exit 1
}

if [ "${1-}" != inside ]; then
	step "what a clone makes elsewhere, with another umask, home and time zone, is the same"
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	git clone -q "$top" "$work/clone"
	GOMODCACHE=$(go env GOMODCACHE)
	GOCACHE=$(go env GOCACHE)
	export GOMODCACHE GOCACHE
	(umask 077 && cd "$work/clone" && HOME=$work TZ=Asia/Tokyo make -s dist VERSION="$VERSION" >/dev/null)
	diff "$dist/SHA256SUMS" "$work/clone/bin/dist/SHA256SUMS" || fail "another build is not the same"
	(cd "$dist" && sha256sum --quiet -c SHA256SUMS)
	# shellcheck disable=SC2016 # the inner shell expands them
	exec unshare --mount --fork bash -euo pipefail -c '
		mount -t tmpfs tmpfs /mnt
		mkdir -p /mnt/{upper,work,root}
		mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
		for dir in proc sys dev; do mount --rbind "/$dir" "/mnt/root/$dir"; done
		mount -t tmpfs tmpfs /mnt/root/tmp
		mkdir -p "/mnt/root$1"
		mount --bind "$1" "/mnt/root$1"
		exec chroot /mnt/root "$1/integration/dist/check.sh" inside' - "$top"
fi

export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 TERM=xterm
cd /tmp
cp "$dist"/* .
apt-get update -qq
apt-get install -qq --yes --no-install-recommends -o Dpkg::Use-Pty=0 \
	bash-completion buildah fish groff lintian man-db qemu-user-static rpm sqlite3 systemd zsh >/dev/null
sqlite3 app.db 'PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES(1);' >/dev/null

# smoke tries what must work wherever the program runs at all. pipe is left out: qemu knows no subreapers.
smoke() {
	local dir
	dir=$(mktemp -d)
	"$@" backup -q app.db "$dir/copy.db"
	"$@" verify -q "$dir/copy.db"
	"$@" backup -q --zstd app.db - >"$dir/copy.zst"
	"$@" restore -q "$dir/copy.zst" "$dir/new.db"
	[ "$(sqlite3 "$dir/new.db" 'SELECT * FROM t')" = 1 ] || fail "$*: restored another database"
}

step "the binaries are static and say their version"
for arch in amd64 arm64; do
	tar -xzf sqlite-checkpoint_*_linux_"$arch".tar.gz
	program=$(echo sqlite-checkpoint_*_linux_"$arch"/sqlite-checkpoint)
	file -b "$program" | grep -q 'statically linked' || fail "$program is not static"
	"$(command -v go || echo /usr/local/go/bin/go)" version -m "$program" | grep -q "GOARCH=$arch" || fail "$program: not $arch"
done
native=$(echo /tmp/sqlite-checkpoint_*_linux_amd64/sqlite-checkpoint)
smoke "$native"
"$native" pipe -q app.db -- "$native" verify -q -
if [ "$(uname -m)" = x86_64 ]; then
	smoke qemu-aarch64-static ./sqlite-checkpoint_*_linux_arm64/sqlite-checkpoint
fi

# listing is what there is, apart from what apt keeps for itself, and from what others do meanwhile.
listing() { find /etc /lib /usr -xdev | sort; }

step "Debian package: lint, install, use, remove"
lintian --fail-on error --allow-root sqlite-checkpoint_*_amd64.deb || fail lintian
listing >before
apt-get install -qq --yes -o Dpkg::Use-Pty=0 ./sqlite-checkpoint_*_amd64.deb >/dev/null
smoke sqlite-checkpoint
for page in 'sqlite-checkpoint' 'sqlite-checkpoint-backup' 'sqlite-checkpoint-stream'; do
	man -P cat "$page" | grep -q NAME || fail "man $page"
done
systemd-analyze verify /usr/lib/systemd/system/sqlite-checkpoint@.timer
bash_completes() {
	bash -c 'source /usr/share/bash-completion/bash_completion; source /usr/share/bash-completion/completions/sqlite-checkpoint
		COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sqlite_checkpoint; echo "${COMPREPLY[*]}"' - sqlite-checkpoint "$@"
}
fish_completes() { fish -c "complete -C 'sqlite-checkpoint $*'" | cut -f1 | xargs; }
zsh_completes() { FPATH_FIRST=/usr/share/zsh/vendor-completions zsh -f "$here/complete.zsh" "sqlite-checkpoint $*"; }
for shell in bash fish zsh; do
	[[ "$("${shell}_completes" back)" = *backup* ]] || fail "$shell does not complete a command"
	[[ "$("${shell}_completes" backup --che)" = *--check* ]] || fail "$shell does not complete a flag"
	[[ "$("${shell}_completes" backup --check '')" = *quick* ]] || fail "$shell does not complete a level"
done
apt-get purge -qq --yes -o Dpkg::Use-Pty=0 sqlite-checkpoint >/dev/null
listing | diff before - || fail "removed, but not without a trace"

step "RPM and Alpine packages: unpack and use"
rpm -K --nosignature sqlite-checkpoint-*.x86_64.rpm
mkdir rpm apk
rpm --install --nodeps --root "$PWD/rpm" sqlite-checkpoint-*.x86_64.rpm
tar -C apk -xzf sqlite-checkpoint_*_x86_64.apk 2>/dev/null
grep -q '^arch = x86_64' apk/.PKGINFO
smoke rpm/usr/bin/sqlite-checkpoint
smoke apk/usr/bin/sqlite-checkpoint

step "the image: not root, a mounted database"
mkdir oci data
tar -C oci -xf sqlite-checkpoint_*_oci.tar
[ "$(du -sk oci | cut -f1)" -le $((2 * 12 * 1024)) ] || fail "the images are too large"
cp app.db data/
chown 65534:65534 data data/app.db
export BUILDAH_ISOLATION=chroot
buildah() { command buildah --root /tmp/storage --runroot /tmp/runroot --storage-driver vfs "$@"; }
container=$(buildah from -q "oci:/tmp/oci:$(sed -n 's/.*ref.name": *"\([^"]*amd64\)".*/\1/p' oci/index.json | head -1)")
[ "$(buildah inspect --format '{{.OCIv1.Config.User}}' "$container")" = 65534:65534 ] || fail "the image runs as root"
buildah run -v /tmp/data:/data:ro "$container" -- /sqlite-checkpoint backup -q /data/app.db - >image.out
smoke_size=$(stat -c %s image.out)
[ "$smoke_size" -gt 4096 ] || fail "the image has backed nothing up"
"$native" verify -q image.out
echo "all packages hold what they promise"
