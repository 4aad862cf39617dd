#!/bin/bash
# Makes what is released, below bin/dist: see make dist, which sets GOFLAGS, LDFLAGS and VERSION. What it makes depends on
# the sources and on SOURCE_DATE_EPOCH (the time of the commit) alone, not on the directory, the user or the time.
#
#   integration/dist/dist.sh              everything
#   integration/dist/dist.sh amd64        for one architecture
set -euo pipefail
: "${GOFLAGS:?}" "${LDFLAGS:?}" "${VERSION:?}"
umask 022
export TZ=UTC LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
out=$top/bin/dist
arches=("$@")
[ $# -gt 0 ] || arches=(amd64 arm64)
epoch=${SOURCE_DATE_EPOCH:-$(git -C "$top" log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH=$epoch

# v1.2.3 is a release; anything else is on the way to the first or the next one.
version=${VERSION#v}
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+ ]] || version=0.0.0+${version//-/.}

rm -rf "$out"
mkdir -p "$out/tree/"{man,man5,completions,systemd,doc,debian}
cd "$out"

host=$(go env GOARCH)
declare -A cc=([amd64]=x86_64-linux-gnu-gcc [arm64]=aarch64-linux-gnu-gcc)
for arch in $(printf '%s\n' "$host" "${arches[@]}" | sort -u); do
	mkdir "tree/$arch"
	[ "$arch" = "$host" ] && compiler=gcc || compiler=${cc[$arch]}
	GOOS=linux GOARCH=$arch CC=$compiler go -C "$top" build -ldflags "$LDFLAGS -buildid=" \
		-o "$out/tree/$arch/" ./cmd/sqlite-checkpoint
done
tool() { GOFLAGS=-trimpath CGO_ENABLED=0 go -C "$here" tool -n "$1"; }
nfpm=$(tool nfpm)
sbom=$(tool cyclonedx-gomod)
md2man=$(tool go-md2man)

program=tree/$host/sqlite-checkpoint
day=$(date -u -d "@$epoch" +%F)
$program man tree/man "$day"
{
	printf '%% "SQLITE-CHECKPOINT-STREAM" "5" "%s" "sqlite-checkpoint %s" ""\n' "$day" "$VERSION"
	printf '# NAME\nsqlite-checkpoint-stream - the format of a stream\n\n'
	cat "$top/stream/FORMAT.md"
} | $md2man >tree/man5/sqlite-checkpoint-stream.5
gzip -9n tree/man/* tree/man5/*
$program completion bash >tree/completions/sqlite-checkpoint.bash
$program completion zsh >tree/completions/_sqlite-checkpoint
$program completion fish >tree/completions/sqlite-checkpoint.fish
for unit in "$top"/integration/examples/*.service "$top"/integration/examples/*.timer; do
	sed 's|/usr/local/bin/|/usr/bin/|g' "$unit" >"tree/systemd/${unit##*/}"
done
cp "$here/lintian" tree/lintian

# The licences of everything that is linked in: each module, Go, SQLite, the C library.
{
	cat "$top/LICENSE"
	go version -m "$program" | awk '$1 == "dep" {print $2}' | while read -r module; do
		dir=$(go -C "$top" list -m -f '{{.Dir}}' "$module")
		printf '\n\n== %s\n\n' "$module"
		find "$dir" -maxdepth 1 \( -name 'LICENSE*' -o -name 'COPYING*' \) -exec cat {} +
	done
	printf '\n\n== Go\n\n'
	cat "$(go env GOROOT)/LICENSE"
	printf '\n\n== SQLite\n\nIn the public domain: https://www.sqlite.org/copyright.html\n'
	printf '\n\n== GNU C Library\n\nLGPL-2.1-or-later: https://www.gnu.org/software/libc/. The sources of this program, to link it with\nanother C library, are at https://github.com/greyforgelabs/sqlite-checkpoint.\n'
} >tree/doc/LICENSES
cp "$top/README.md" "$top/.github/CHANGELOG.md" tree/doc/
gzip -9n tree/doc/CHANGELOG.md

# What Debian requires in a package.
{
	sed -n 's/^Copyright/&/p' "$top/LICENSE"
	echo 'License: MIT. What is linked in has licences of its own: /usr/share/doc/sqlite-checkpoint/LICENSES.'
	echo 'The GNU C Library is under the LGPL: /usr/share/common-licenses/LGPL-2.1.'
	echo
	cat "$top/LICENSE"
} >tree/debian/copyright
{
	printf 'sqlite-checkpoint (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.gz.\n\n' "$version"
	printf ' -- The sqlite-checkpoint authors <sqlite-checkpoint@users.noreply.github.com>  %s\n' "$(date -R -d "@$epoch")"
} | gzip -9n >tree/debian/changelog.gz

archive() { tar --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner "$@"; }

for arch in "${arches[@]}"; do
	name=sqlite-checkpoint_${version}_linux_$arch
	mkdir "$name"
	cp "tree/$arch/sqlite-checkpoint" "$top/LICENSE" "$name/"
	cp -r tree/man tree/man5 tree/completions tree/systemd tree/doc "$name/"
	archive -c "$name" | gzip -9n >"$name.tar.gz"
	rm -r "$name"
	"$sbom" bin -json -noserial -notimestamp -output-version 1.5 -version "v$version" \
		-output "$name.cdx.json" "tree/$arch/sqlite-checkpoint" 2>/dev/null
	# The hashes of the tool itself show where it was built.
	sed -i -Ez 's/,\n *"hashes": \[[^]]*"MD5"[^]]*\]//g' "$name.cdx.json"
	for format in deb rpm apk; do
		ARCH=$arch VERSION=$version "$nfpm" package -f "$here/nfpm.yaml" -p "$format" -t . >/dev/null
	done
done

images=()
for arch in "${arches[@]}"; do images+=("$arch=$out/tree/$arch/sqlite-checkpoint"); done
GOFLAGS=-trimpath CGO_ENABLED=0 go -C "$here" run ./image "$version" "$epoch" "$out/image" "${images[@]}"
archive -C image -cf "sqlite-checkpoint_${version}_oci.tar" .

rm -r tree image
sha256sum ./*.* | sed 's| \./| |' >SHA256SUMS
ls -l
