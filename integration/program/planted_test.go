package program

import (
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// What a repository may return instead of the backup. Each is refused with its reason in one line.
var planted = []struct {
	fault, command string
	code           int
	reason         string
}{
	{"empty", `:`, 8, "empty"},
	{"cut", `head -c 100000 good`, 8, "truncated"},
	{"flipped", `head -c 20000 good; printf x; tail -c +20002 good`, 8, "mismatch"},
	{"another application's database", `cat other`, 8, "no such table: users"},
	{"yesterday's", `cat yesterday`, 8, "table log: 100 rows behind: 1000 of 1100"},
	{"no tables", `cat hollow`, 8, "no such table: users"},
	{"a dropped table", `cat dropped`, 8, "table log is missing"},
	{"a broken index", `cat index`, 5, "SQLite's check found damage"},
	{"index counts as the WAL-reset bug leaves them", `cat counts`, 5, "SQLite's check found damage"},
	{"wrong snapshot", `exec "$RESTIC" dump latest /app.db`, 8, "no such table: users"},
	{"wrong key", `RESTIC_PASSWORD=wrong exec "$RESTIC" dump latest /app.db`, 12, "exited with status 12"},
	{"failure after good bytes", `cat good; exit 1`, 1, "exited with status 1"},
	{"hang", `head -c 100000 good; sleep 1000`, 8, "nothing has arrived for 1s"},
	{"text", `echo "Fatal: unable to open repository"`, 8, "not a"},
	{"a bare image", `cat image.db`, 8, "no trailer"},
}

// plant makes the files that the commands read, and a repository in which the newest app.db is
// another host's.
func plant(b *harness.Bench) {
	b.Helper()
	b.SQLite("app.db", "CREATE TABLE users(name); CREATE INDEX by_name ON users(name); CREATE TABLE log(n);",
		"INSERT INTO users SELECT 'user ' || value FROM generate_series(1, 10000);",
		"INSERT INTO log SELECT value FROM generate_series(1, 1000);")
	b.Bash(`
		stream() { sqlite-checkpoint backup -q --check none "$1" - >"$2"; }
		stream app.db yesterday
		sqlite3 app.db "INSERT INTO log SELECT value FROM generate_series(1, 100)"
		stream app.db good
		sqlite-checkpoint backup -q --no-sidecar app.db image.db
		sqlite3 other.db "CREATE TABLE t(x)"; stream other.db other
		sqlite3 hollow.db "VACUUM"; stream hollow.db hollow
		cp app.db dropped.db; sqlite3 dropped.db "DROP TABLE log"; stream dropped.db dropped
		# The index is out of sight while its table changes.
		misfit() {
			cp app.db $1.db
			root=$(sqlite3 $1.db "SELECT rootpage FROM sqlite_schema WHERE name = 'by_name'")
			sqlite3 $1.db "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'by_name'"
			sqlite3 $1.db "$2"
			sqlite3 $1.db "PRAGMA writable_schema = ON;
				INSERT INTO sqlite_schema
				VALUES('index', 'by_name', 'users', $root, 'CREATE INDEX by_name ON users(name)')"
			stream $1.db $1
		}
		misfit index "UPDATE users SET name = 'somebody else' WHERE rowid = 5000"
		misfit counts "INSERT INTO users VALUES('one that the index lost')"
		"$RESTIC" init
		"$RESTIC" backup --stdin --stdin-filename /app.db --host here <good
		"$RESTIC" backup --stdin --stdin-filename /app.db --host elsewhere <other`).Exits(0)
}

func TestPlantedFaults(t *testing.T) {
	t.Setenv("RESTIC", harness.Tool(t, "bin/restic"))
	b := harness.NewBench(t)
	plant(b)
	proof := func(timeout, command string) harness.Outcome {
		return b.Run("verify", "--check", "full", "--timeout", timeout, "--query", "SELECT count(*) FROM users",
			"--against", "app.db", "--at-most-behind", "10", "--report", "proof.json",
			"--from-command", "--", "bash", "-c", command)
	}
	proof("1m", `exec "$RESTIC" dump --host here latest /app.db`).Exits(0)
	proof("1m", "cat good").Exits(0)
	for _, p := range planted {
		timeout := "1m"
		if p.fault == "hang" {
			timeout = "1s"
		}
		o := proof(timeout, p.command).Silent()
		var reasons []string
		for line := range strings.Lines(o.Stderr) {
			if strings.HasPrefix(line, "sqlite-checkpoint: error: ") {
				reasons = append(reasons, line)
			}
		}
		if o.Code != p.code || len(reasons) != 1 || !strings.Contains(reasons[0], p.reason) {
			t.Errorf("%s: exit status %d, want %d and %q\n%s", p.fault, o.Code, p.code, p.reason, o.Stderr)
		}
	}
	if report := string(b.Read("proof.json")); !strings.Contains(report, `"last_success":"20`) {
		t.Errorf("no last success: %s", report)
	}
}
