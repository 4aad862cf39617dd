package main

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// refused are errors, and below each the command lines that it refuses; ” is an empty argument,
// SELECT_1 one argument of two words.
const refused = `
DB and DEST must not be empty
	backup '' b.db
	backup a.db ''
	backup '' dir --shards 4KiB
	backup a.db '' --shards 4KiB
	snapshot '' b.db
a timeout must not be negative
	backup a.db b.db --busy-timeout=-1s
	backup a.db b.db --timeout=-1s
--busy-timeout: must be a duration, such as 30s, 15m or 24h
	backup a.db b.db --busy-timeout soon
	backup a.db b.db --busy-timeout 1d
	backup a.db b.db --busy-timeout=
	backup a.db b.db --busy-timeout -
--busy-timeout: give a unit, as in 1.5s
	backup a.db b.db --busy-timeout 1.5
--busy-timeout: must not be negative
	backup a.db b.db --busy-timeout -1s
	backup a.db b.db --busy-timeout=-1
--pages-per-step: must not be negative
	backup a.db b.db --pages-per-step -1
--busy-timeout needs a value, and --zstd looks like a flag
	backup a.db b.db --busy-timeout --zstd
--sidecar needs a value, and -5 looks like a flag
	backup a.db b.db --sidecar -5
--level needs --zstd
	backup a.db - --level 3
--level 23: it must be 1 to 22, fastest, default, better or best
	backup a.db - --zstd --level 23
use --sidecar or --no-sidecar, not both
	backup a.db b.db --sidecar x --no-sidecar
--no-trailer needs --sidecar FILE: without either, nothing proves the stream complete
	backup a.db b.zst --zstd --no-trailer
	backup a.db - --no-trailer
	pipe a.db --no-trailer -- cat
--sidecar writes a file, not stdout: name FILE (./- for a file of that name)
	backup a.db c.db --sidecar -
	backup a.db - --sidecar -
--sidecar c.db: the name belongs to c.db
	backup a.db c.db --sidecar c.db
--sidecar a.db-wal: the name belongs to a.db
	backup a.db c.db --sidecar a.db-wal
--if-changed needs a directory as DEST, which has the earlier copies
	backup a.db b.db --if-changed
	backup a.db - --if-changed
a dated copy has its digest beside it: leave out --sidecar, --no-sidecar and --no-trailer
	backup a.db dir --sidecar x
	backup a.db dir --no-sidecar
	backup a.db dir --no-trailer
	backup a.db dir --if-changed --no-sidecar
--pages-per-step: must be a number from 1 to 1073741824
	backup a.db b.db --pages-per-step 0
	backup a.db b.db --pages-per-step 1073741825
--metrics noise: the name must end in .prom: node_exporter reads no other files
	backup a.db b.db --metrics noise
	watch a.db --metrics noise -- true
--metrics b.db: the name must end in .prom: node_exporter reads no other files
	backup b.db c.db --metrics b.db
--shards: must be a power of two from 4KiB to 16MiB, such as 64KiB
	backup a.db dir --shards 4095
	backup a.db dir --shards 2KiB
	backup a.db dir --shards 32MiB
	backup a.db dir --shards 20EB
--shards needs a directory as DEST
	backup a.db - --shards 4KiB
--shards and --zstd cannot be used together: a compressed stream changes with every page
	backup a.db dir --shards 4KiB --zstd
--if-changed is for dated copies; --shards never writes what has not changed
	backup a.db dir --shards 4KiB --if-changed
shards have a trailer and no sidecar: leave out --sidecar, --no-sidecar and --no-trailer
	backup a.db dir --shards 4KiB --sidecar x
	backup a.db dir --shards 4KiB --no-sidecar
	backup a.db dir --shards 4KiB --no-trailer
--check: must be one of auto, quick, full, none
	backup a.db b.db --check some
--report writes a file, not stdout: name FILE (./- for a file of that name)
	backup a.db c.db --report -
	info a.db --report=-
--report b.db: the name belongs to b.db
	backup a.db b.db --report b.db
--report a.db-wal: the name belongs to a.db
	backup a.db b.db --report a.db-wal
--mode: must be one of passive, full, restart, truncate
	snapshot a.db b.db --mode sideways
	checkpoint a.db --mode sideways
DB must not be empty
	pipe '' -- cat
missing argument: CMD, after --
	pipe a.db --
	pipe a.db -- ''
	shadow dir -- ''
	watch dir extra
pipe: --grace must not be negative
	pipe a.db --grace=-1s -- cat
pipe: {size} is not known before the stream is compressed: leave out {size} or --zstd
	pipe a.db --zstd -- cat {size}
DIR must not be empty
	shadow '' -- true
a.db is not a directory: backup and pipe copy a single database
	shadow a.db -- true
/ cannot be shadowed: name the directories below it
	shadow / -- true
shadow: a time must not be negative
	shadow dir --busy-timeout=-1s -- true
	shadow dir --grace=-1s -- true
--jobs: must be a number, at least 1
	shadow dir --jobs 0 -- true
	shadow dir --jobs=-1 -- true
	watch dir --each --jobs 0 -- true
	watch dir --each --jobs many -- true
shadow: {stage} needs --stage DIR
	shadow dir -- cp {stage} x
	shadow dir -- cp {exclude} {stage}
shadow: {exclude} goes with {stage}: without it CMD sees no live database
	shadow dir --stage stage -- cp {exclude} x
SRC is empty
	verify ''
	restore '' c.db
verify: unexpected argument b.db
	verify a.db b.db
verify dir: it is a directory; --query and --against are for one database
	verify dir --query SELECT_1
	verify dir --against a.db
verify dir: it is a directory; --sha256, --sidecar and --unproven are for one database
	verify dir --unproven
	verify dir --sidecar a.sha256
--query-timeout must be positive
	verify a.db --query-timeout 0s
	verify a.db --query-timeout=-1s
query BEGIN: it is not one SELECT
	verify a.db --query BEGIN
verify: --at-most-behind needs --against
	verify a.db --at-most-behind 1
	verify a.db --at-most-behind 1%
--at-most-behind: must be a number of rows, or a percentage as in 1%
	verify a.db --against b.db --at-most-behind=-1
	verify a.db --against b.db --at-most-behind=-1%
	verify a.db --against b.db --at-most-behind 101%
	verify a.db --against b.db --at-most-behind NaN%
	verify a.db --against b.db --at-most-behind x%
verify: --timeout must not be negative
	verify a.db --timeout=-1s
verify: unexpected argument cat
	verify a.db -- cat
--sha256 xyz: it must be 64 hexadecimal digits
	verify a.db --sha256 xyz
verify .: it is a directory without .sqlite-checkpoint.sha256
	verify .
missing argument: CMD, after --
	verify --from-command
	verify --from-command --
	restore --from-command
	restore --from-command c.db
	restore --from-command c.db --
missing argument: DB
	restore --from-command -- cat
missing argument: SRC
	verify
DB is empty
	restore a.db ''
	checkpoint ''
	info ''
restore writes a database file, not stdout: name DB (./- for a file of that name)
	restore a.db -
--name needs --at
	restore a.db b.db --name app
restore dir: it is a directory: choose a copy in it with --at, such as --at latest
	restore dir b.db
--at takes copies with a digest beside them only: leave out --sha256, --sidecar and --unproven
	restore dir b.db --at latest --sha256 xyz
	restore dir b.db --at latest --sidecar a.db
	restore dir b.db --at latest --unproven
--from-command and --at cannot be used together
	restore --from-command --at latest b.db -- cat
missing argument: DB, before --
	restore --from-command -- cat a.db
restore: --timeout must not be negative
	restore a.db b.db --timeout=-1s
restore: unexpected argument cat
	restore a.db b.db -- cat
--like none: no such file or directory
	restore a.db b.db --like none
--like dir: it is not a regular file
	restore a.db b.db --like dir
--mode 0: it must be an octal number up to 0777, such as 0640
	restore a.db b.db --mode 0
--mode 1000: it must be an octal number up to 0777, such as 0640
	restore a.db b.db --mode 1000
--mode 8: it must be an octal number up to 0777, such as 0640
	restore a.db b.db --mode 8
--owner no-such-user: there is no user no-such-user
	restore a.db b.db --owner no-such-user
--owner :no-such-group: there is no group no-such-group
	restore a.db b.db --owner :no-such-group
--check: must be one of auto, quick, full
	restore a.db b.db --check none
--busy-timeout must not be negative
	checkpoint a.db --busy-timeout=-1s
DIR is empty
	list ''
--name app: there is no dated copy
	list dir --name app
	prune --keep-last 1 dir --name app
prune needs DIR and a rule that keeps something, such as --keep-daily 7
	prune --keep-last 1 ''
	prune dir
	prune --keep-last 0 dir
PATH is empty
	doctor ''
exclude [: syntax error in pattern
	doctor dir --exclude [
	watch dir --exclude [ -- true
{db} and {name} in the command need --each
	watch dir -- cat {db}
	watch dir -- cat {name}
watch: a time must not be negative
	watch dir --every=-1s -- true
	watch dir --at-least=-1s -- true
	watch dir --timeout=-1s -- true
	watch dir --grace=-1s -- true
watch: --poll must be at least 100ms
	watch dir --poll 99ms -- true
watch: --jobs needs --each
	watch dir --jobs 2 -- true
--shard: "0/0" is not I/N, with I from 0 to N-1
	watch dir --shard 0/0 -- true
--shard: "2/2" is not I/N, with I from 0 to N-1
	watch dir --shard 2/2 -- true
--shard: "x/2" is not I/N, with I from 0 to N-1
	watch dir --shard x/2 -- true
--shard: "0/x" is not I/N, with I from 0 to N-1
	watch dir --shard 0/x -- true
--state none/state: its directory does not exist
	watch a.db --state none/state -- true
--state a.db/state: its directory does not exist
	watch a.db --state a.db/state -- true
SHELL: must be one of bash, zsh, fish
	completion csh
no such command: frobnicate
	help frobnicate
--report needs a value
	info a.db --report
unknown flag --bogus
	pipe a.db --bogus -- cat --json
	pipe a.db --bogus -- cat --report r
`

// TestUsageErrors: these command lines are refused before anything is done.
func TestUsageErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	// Commands that run CMD make this process the parent of orphans, which other tests wait for.
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	for _, name := range []string{"a.db", "b.db"} {
		if err := os.WriteFile(name, []byte("noise"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("dir", 0o700); err != nil {
		t.Fatal(err)
	}
	var want string
	for line := range strings.Lines(strings.TrimSpace(refused)) {
		command, indented := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "\t")
		if !indented {
			want = command
			continue
		}
		args := strings.Fields(command)
		for i, arg := range args {
			args[i] = strings.ReplaceAll(strings.ReplaceAll(arg, "''", ""), "_", " ")
		}
		code := 0
		stdout, stderr := captured(t, func(c *console) { code = c.finish(t.Context(), dispatch(t.Context(), c, args)) })
		first, _, _ := strings.Cut(strings.TrimPrefix(stderr, "sqlite-checkpoint: error: "), "\n")
		if code != exitUsage || stdout != "" || first != want {
			t.Errorf("%s: status %d, %s, want %s", command, code, first, want)
		}
	}
	if names, err := os.ReadDir("."); err != nil || len(names) != 3 {
		t.Errorf("there are %v, %v", names, err)
	}
}
