#!/bin/bash
# Breaks the program on purpose, in a copy of the tree, one patch at a time: the test that a patch names in its first line
# must turn red. It is make that sets GOFLAGS.
#
#   make mutants
#   integration/mutants/run.sh skip-the-check guard-lets-go      only these
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
mkdir "$tree"
tar -c --exclude=./.git . | tar -x -C "$tree"

# survives PATCH tells why, if the named test does not fail as a test does.
survives() {
	local package test
	read -r package test < <(sed -n '1s/^# test: //p' "$1") || { echo "it names no test"; return; }
	patch -s -p1 -d "$tree" <"$1" || { echo "it does not apply"; return; }
	# In a PID namespace of its own, whose end takes along what a broken program leaves running.
	if (cd "$tree" && unshare --pid --fork --mount-proc go test -count=1 -run "^${test//\//\$/^}" "$package") >"$work/log" 2>&1; then
		echo "$package $test stays green"
	elif ! grep -q -e '--- FAIL: ' "$work/log"; then
		echo "$package $test fails for another reason:"
		tail -20 "$work/log"
	else
		return 1
	fi
}

names=("$@")
if [ $# = 0 ]; then
	for patch in integration/mutants/*.patch; do names+=("$(basename "$patch" .patch)"); done
fi

alive=0
for name in "${names[@]}"; do
	patch=integration/mutants/$name.patch
	if why=$(survives "$patch"); then
		echo "ALIVE   $name: $why"
		alive=$((alive + 1))
	else
		echo "killed  $name, by $(sed -n '1s/^# test: //p' "$patch")"
	fi
	sed -n 's,^+++ b/,,p' "$patch" | while read -r file; do cp "$file" "$tree/$file"; done
done
echo "${#names[@]} mutants, $alive alive"
[ "$alive" = 0 ]
