#!/bin/bash
# A SQLite database, compressed and encrypted for a key: age-keygen -o key.txt; age-keygen -y key.txt
#
#   age.sh backup app.db app.db.zst.age age1...
#   age.sh verify app.db.zst.age key.txt
#   age.sh restore app.db.zst.age key.txt new.db
#
# The file gets its name once age has read the whole stream. A run that fails leaves a .part, which the next run
# replaces.
# Checked by: every line is run by a test with a real age, also with the program killed half way.
set -euo pipefail

case ${1-}/$# in
backup/4)
	# shellcheck disable=SC2016 # the inner shell expands them
	sqlite-checkpoint pipe --zstd "$2" -- \
		sh -c 'age -r "$1" >"$0.part" && sync "$0.part" && mv "$0.part" "$0"' "$3" "$4"
	;;
verify/3)
	age -d -i "$3" "$2" | sqlite-checkpoint verify -
	;;
restore/4)
	age -d -i "$3" "$2" | sqlite-checkpoint restore - "$4"
	;;
*)
	sed -n 's/^#   //p' "$0" >&2
	exit 2
	;;
esac
