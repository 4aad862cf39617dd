// Package ledger makes databases whose contents prove that a copy of them is consistent, and
// processes that write to them without a pause.
package ledger

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// Schema makes a database of two tables. Each commit of a writer moves an amount from a to b: the
// sum over both never changes, and that over b tells how many commits there were.
const Schema = `
CREATE TABLE a(id INTEGER PRIMARY KEY, v INTEGER, filler BLOB);
CREATE TABLE b(id INTEGER PRIMARY KEY, v INTEGER, filler BLOB);
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<1000)
	INSERT INTO a SELECT i, 1000, randomblob(500) FROM c;
INSERT INTO b SELECT id, v, randomblob(500) FROM a;`

const (
	Sum     = "SELECT (SELECT sum(v) FROM a) + (SELECT sum(v) FROM b);" // is Total
	Total   = "2000000"
	Commits = "SELECT (sum(v) - 1000000) / 3 FROM b;" // of writers that are not restless
)

// Role is that of a writer, for testkit.Roles.
const Role = "ledger writer"

// An Order says how a process writes to a ledger.
type Order struct {
	DB          string
	BusyTimeout time.Duration
	Pause       time.Duration // after each commit, where many writers are to leave the machine something
	Restless    bool          // open and close, checkpoint, vacuum, roll back, too
	Modes       bool          // change the journal mode, too
	Seed        uint64
}

// A Tally is what a writer has done.
type Tally struct {
	Commits    int
	Collisions int // found the database busy: any reader of a WAL, for an instant, can do that (walIndexReadHdr)
	Busy       int // and again a millisecond later, the shortest time that an application can have SQLite wait
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

// Stop ends the writer as an application ends.
func (w Writer) Stop() (did Tally) {
	w.Helper()
	last := w.Player.Stop()
	if err := json.Unmarshal([]byte(last), &did); err != nil {
		w.Fatalf("writer: %v: %q", err, last)
	}
	return did
}
