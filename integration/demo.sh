#!/bin/bash
# What the program is for: a database that is being written to goes through restic, and comes back whole.
set -euo pipefail
cd "$(dirname "$0")/.."
home=$PWD
restic=$(type -P restic)
PATH=$home/bin:$PATH

here=$(mktemp -d)
finish() {
	[ -z "${writer:-}" ] || kill "$writer" 2>/dev/null || true
	wait
	rm -rf "$here"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

export RESTIC_REPOSITORY=$here/repository RESTIC_PASSWORD=demo RESTIC_CACHE_DIR=$here/cache
restic() { "$restic" "$@"; }

bold='' plain=''
[ ! -t 1 ] || bold=$'\e[1m' plain=$'\e[m'
say() { printf '\n%s# %s%s\n' "$bold" "$*" "$plain"; }
show() { printf '%s$ %s%s\n' "$bold" "$1" "$plain" && eval "$1"; }
fail() { echo "demo: $*" >&2 && exit 1; }

# Every commit moves 1 from a to b, so that the sum over both never changes, and the sum over b counts the commits.
moved() { sqlite3 "$1" '.timeout 5000' 'SELECT sum(v) FROM b'; }
total() { sqlite3 "$1" '.timeout 5000' 'SELECT (SELECT sum(v) FROM a) + (SELECT sum(v) FROM b)'; }

cd "$here"
sqlite3 app.db >/dev/null <<-'SQL'
	PRAGMA journal_mode=WAL;
	CREATE TABLE a(id INTEGER PRIMARY KEY, v INTEGER, filler BLOB);
	CREATE TABLE b(id INTEGER PRIMARY KEY, v INTEGER, filler BLOB);
	INSERT INTO a SELECT value, 1000000, randomblob(3000) FROM generate_series(1, 1000);
	INSERT INTO b SELECT value, 0, randomblob(3000) FROM generate_series(1, 1000);
	CREATE TRIGGER move AFTER UPDATE ON a BEGIN UPDATE b SET v = v + old.v - new.v WHERE id = old.id; END;
SQL
before=$(total app.db)
yes 'UPDATE a SET v = v - 1 WHERE id = abs(random()) % 1000 + 1;' |
	sqlite3 -cmd '.timeout 5000' -cmd 'PRAGMA synchronous=NORMAL' app.db >/dev/null 2>&1 &
writer=$!
restic init --quiet

say 'A database in WAL mode, and a process that never stops writing to it'
show 'sqlite-checkpoint info app.db'

say 'Into restic: the copy is checked before the first byte leaves'
committed=$(moved app.db)
show 'sqlite-checkpoint snapshot app.db - | restic backup --stdin --stdin-filename app.db'

say 'Did all of it arrive?'
show 'restic dump latest app.db | sqlite-checkpoint verify -'

say 'Back again'
show 'restic dump latest app.db | sqlite-checkpoint restore - restored.db'
show "sqlite3 restored.db 'PRAGMA integrity_check'" | tee answer
tail -n 1 answer | grep -qx ok || fail 'restored.db is not intact'
[ "$(total restored.db)" = "$before" ] || fail "the sum over both tables is $(total restored.db), not $before"
[ "$(moved restored.db)" -ge "$committed" ] || fail 'a commit is missing'
echo "$committed commits before the backup, $(moved restored.db) in the copy, $(moved app.db) by now; sum over both tables: $before"

say 'Openable without us: sqlite3 takes the stream as it is'
show 'restic dump latest app.db > plain.db'
show "sqlite3 plain.db 'SELECT count(*) FROM a'"

say 'Half a stream is never taken for a whole one'
show 'head -c 1000000 plain.db | sqlite-checkpoint restore - half.db || echo "exit status $?"'
[ ! -e half.db ] || fail 'half.db was made'

# Debian's restic is older than --stdin-from-command; make bin/restic builds one that has it.
restic=$home/bin/restic
[ -x "$restic" ] || { say 'Done.'; exit; }

say 'With a current restic: if we fail, there is no snapshot'
show 'restic backup --stdin-filename app.db --stdin-from-command -- sqlite-checkpoint snapshot app.db -'
show 'restic backup --stdin-filename app.db --stdin-from-command -- sqlite-checkpoint snapshot missing.db - || echo "exit status $?"'
show 'restic snapshots --compact'
say 'Done.'
