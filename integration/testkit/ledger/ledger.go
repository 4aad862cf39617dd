// Package ledger creates databases whose contents prove that a copy of them is consistent, and
// processes that keep writing to them.
package ledger

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// Schema creates two tables. Each commit of a writer moves an amount from a to b: the sum of both
// never changes, and that of b counts the commits.
const Schema = `
CREATE TABLE a(id INTEGER PRIMARY KEY, v INTEGER, filler BLOB);
CREATE TABLE b(id INTEGER PRIMARY KEY, v INTEGER, filler BLOB);
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<1000)
	INSERT INTO a SELECT i, 1000, randomblob(500) FROM c;
INSERT INTO b SELECT id, v, randomblob(500) FROM a;`

const (
	Sum     = "SELECT (SELECT sum(v) FROM a) + (SELECT sum(v) FROM b);" // is Total
	Total   = "2000000"
	Commits = "SELECT (sum(v) - 1000000) / 3 FROM b;" // of writers that are not Restless
)

// Role is that of a writer, for testkit.Roles.
const Role = "ledger writer"

// An Order says how a process is to write to a ledger.
type Order struct {
	DB          string
	BusyTimeout time.Duration
	Pause       time.Duration // after each commit, so that many writers leave CPU time for others
	Restless    bool          // also open and close, checkpoint, vacuum, roll back
	Modes       bool          // also change the journal mode
	Seed        uint64
}

// A Tally is what a writer has done.
type Tally struct {
	Commits    int
	Collisions int // found the database busy, as any reader of a WAL can make it for an instant (walIndexReadHdr)
	Busy       int // and again a millisecond later, the shortest busy timeout
	Restarts   int // of the WAL
	Elapsed    time.Duration
	Slowest    time.Duration // of the commits
}

// A Writer is a process that carries out an order.
type Writer struct{ *testkit.Player }

// Start returns when the first commit is done.
func Start(t testing.TB, order Order) Writer {
	t.Helper()
	text, err := json.Marshal(order)
	if err != nil {
		t.Fatal(err)
	}
	return Writer{testkit.StartRole(t, Role, string(text))}
}

// Stop has the writer exit, as an application does.
func (w Writer) Stop() (did Tally) {
	w.Helper()
	last := w.Player.Stop()
	if err := json.Unmarshal([]byte(last), &did); err != nil {
		w.Fatalf("writer: %v: %q", err, last)
	}
	return did
}
