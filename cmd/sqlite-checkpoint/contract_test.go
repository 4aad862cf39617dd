package main

import (
	"go/ast"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// scriptedFlags are what scripts rely on besides the names of flags: short names, aliases, defaults
// and choices.
const scriptedFlags = `
snapshot snap
snapshot --check auto of auto,quick,full,none
snapshot --level of fastest,default,better,best
snapshot --busy-timeout 10s
snapshot --mode -m passive of passive,full,restart,truncate
backup bk
backup --check auto of auto,quick,full,none
backup --level of fastest,default,better,best
backup --busy-timeout 10s
pipe
pipe --check auto of auto,quick,full,none
pipe --level of fastest,default,better,best
pipe --busy-timeout 10s
pipe --grace 5s
shadow
shadow --jobs -j
shadow --check auto of auto,quick,full,none
shadow --busy-timeout 10s
shadow --grace 5s
verify
verify --check none of none,auto,quick,full
verify --query-timeout 60s
restore
restore --check auto of auto,quick,full
checkpoint cp
checkpoint --mode -m passive of passive,full,restart,truncate
checkpoint --busy-timeout 10s
list
prune
prune --dry-run -n
info
doctor
watch
watch --every 15m
watch --poll 10s
watch --jobs -j 1
watch --grace 30s
help
version
completion
man
`

// TestFlags: neither a default nor a choice may change unnoticed.
func TestFlags(t *testing.T) {
	var got []string
	for _, command := range grammarOf(t).Model.Children {
		got = append(got, strings.TrimSpace(command.Name+" "+strings.Join(command.Aliases, " ")))
		for _, flag := range command.Flags {
			line := command.Name + " --" + flag.Name
			if flag.Short != 0 {
				line += " -" + string(flag.Short)
			}
			if flag.HasDefault {
				line += " " + flag.Default
			}
			if choices := flag.Enum + flag.Tag.Get("values"); choices != "" {
				line += " of " + choices
			}
			if line != command.Name+" --"+flag.Name {
				got = append(got, line)
			}
		}
	}
	compareLines(t, got, scriptedFlags)
}

// compareLines names the lines that only one of two lists has. An indented line continues another.
func compareLines(t *testing.T, got []string, list string) {
	t.Helper()
	want := strings.Split(strings.ReplaceAll(strings.TrimSpace(list), "\n\t", " "), "\n")
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("new: %s", line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("gone: %s", line)
		}
	}
}

// scriptedKeys are the keys of all JSON objects, by the type that they are encoded from.
const scriptedKeys = `
checkpointFields: mode busy wal_pages checkpointed_pages fully_checkpointed
checkpointResult: command database elapsed_ms
infoResult: command path size_bytes journal_mode wal_file_exists wal_size_bytes page_size page_count
	freelist_count resolved_path wal_frames wal_committed_frames wal_uncheckpointed_frames wal_uncheckpointed_bytes
	shm_file_exists journal held backup backup_detail backup_bytes truncated trailer encoding auto_vacuum
	reserved_bytes schema_cookie user_version application_id sqlite_version wal_reset_bug litestream? mode uid gid
	hard_links filesystem network_filesystem
listedCopy: name database time size_bytes format check digest proven problem?
listResult: command directory verified copies elapsed_ms
restoreResult: command source destination check_reason? set_aside? skipped? elapsed_ms
snapshotCheckpoint: error?
snapshotResult: command checkpoint backup elapsed_ms
verifyFields: format size_bytes sha256 stream_bytes stream_sha256 trailer proven check checked journal_mode
verifyResult: command source check_reason? elapsed_ms
doctorFinding: code severity evidence remedy
doctorDatabase: path verdict exit_status backup check size_bytes space_bytes expected_ms findings
doctorResult: command paths ready ready_but would_fail elapsed_ms databases
failure: code kind message hint findings?
pruneResult: command directory dry_run databases removed removed_bytes elapsed_ms
prunedDatabase: database keep remove left_alone refused?
prunedCopy: name time reasons? problem?
reportHead: program ok code command source started_at finished_at? last_success?
imageFields: source destination size_bytes sha256
streamFields: stream_bytes stream_sha256 format check check_reason? page_size page_count journal_mode copy_ms
	sidecar? warnings unchanged? shards?
backupResult: command elapsed_ms
shadowedDatabase: source size_bytes sha256 check outcome error?
shadowResult: command sources cmd exit_status database_count size_bytes copied unchanged failed skew_ms
	elapsed_ms databases databases_omitted?
shardFields: shard_bytes count written unchanged removed written_bytes
againstResult: database table_count rows_behind tables uncounted?
tableResult: name rows max_rowid database_rows database_max_rowid rows_behind
verifyDirResult: command source database_count size_bytes proven checked unlisted? elapsed_ms
evidence: restore_ms? queries? against?
queryResult: query row elapsed_ms
versionResult: command version sqlite go system modules
watchEvent: command event database? changed status elapsed_ms failures timed_out?
watchResult: command databases runs failed elapsed_ms
`

// TestKeys: no key may change. Add new ones here.
func TestKeys(t *testing.T) {
	var got []string
	for _, file := range sources(t, "*.go") {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if keys := keysOf(spec.Type); len(keys) > 0 {
				got = append(got, spec.Name.Name+": "+strings.Join(keys, " "))
			}
			return true
		})
	}
	compareLines(t, got, scriptedKeys)
}

func keysOf(expr ast.Expr) (keys []string) {
	object, ok := expr.(*ast.StructType)
	if !ok {
		return nil
	}
	for _, field := range object.Fields.List {
		if field.Tag == nil {
			continue
		}
		tag, _ := strconv.Unquote(field.Tag.Value)
		if key, tagged := reflect.StructTag(tag).Lookup("json"); tagged {
			keys = append(keys, strings.Replace(key, ",omitempty", "?", 1))
		}
	}
	return keys
}
