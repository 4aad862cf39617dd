package integration

import (
	"os"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/picture"
	"golang.org/x/sys/unix"
)

// newPinned makes a database whose WAL a reader holds back. The writer is a session of its own.
func (b *bench) newPinned(name string) (reader, writer *session) {
	b.Helper()
	writer = b.open(name, "PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES(1);", "PRAGMA wal_checkpoint(TRUNCATE);", "INSERT INTO t VALUES(2);")
	reader = b.open(name, "BEGIN; SELECT * FROM t;")
	writer.run("INSERT INTO t VALUES(3);")
	return reader, writer
}

// A checkpoint that a reader blocks: passive does what it can, the others give up, and a snapshot is made in any case.
func TestBlockedCheckpoint(t *testing.T) {
	b := newBench(t)
	reader, writer := b.newPinned("app.db")
	b.run("--json", "checkpoint", "app.db").exits(0).json().mustBe(t, answer{"mode": "PASSIVE", "busy": false, "wal_pages": 2, "checkpointed_pages": 1, "fully_checkpointed": false})
	for _, mode := range []string{"FULL", "RESTART", "TRUNCATE"} {
		o := b.run("--json", "checkpoint", "-m", mode, "--busy-timeout", "100ms", "app.db").exits(4).says(`"kind":"busy"`)
		o.json().mustBe(t, answer{"mode": mode, "busy": true, "fully_checkpointed": false})
		o = b.run("--json", "snapshot", "-m", mode, "--busy-timeout", "100ms", "app.db", mode+".db").exits(0).says("no checkpoint, but")
		o.json().at("checkpoint").mustBe(t, answer{"mode": mode, "busy": true, "fully_checkpointed": false})
		if rows := b.sqlite(mode+".db", "SELECT count(*) FROM t;"); rows != "3" {
			t.Errorf("%s: %s rows in the copy, want 3", mode, rows)
		}
	}
	b.run("--json", "snapshot", "app.db", "passive.db").exits(0).json().at("checkpoint").mustBe(t, answer{"busy": false, "fully_checkpointed": false})
	reader.run("COMMIT;")
	b.run("--json", "cp", "-m", "truncate", "app.db").exits(0).json().mustBe(t, answer{"wal_pages": 2, "checkpointed_pages": 2, "fully_checkpointed": true})
	if left := size(b.path("app.db-wal")); left != 0 {
		t.Errorf("TRUNCATE left a WAL of %d bytes", left)
	}
	reader.Close()
	writer.Close()
}

// Nobody has it open: the checkpoint closes it as any application would, and the WAL is gone.
func TestCheckpointAfterCrash(t *testing.T) {
	for _, mode := range []string{"passive", "truncate"} {
		b := newBench(t)
		b.open("app.db", "PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES(1);").Kill()
		b.run("checkpoint", "-m", mode, "app.db").exits(0)
		if _, err := os.Stat(b.path("app.db-wal")); !os.IsNotExist(err) {
			t.Errorf("%s: the WAL is still there: %v", mode, err)
		}
		if rows := b.sqlite("app.db", "SELECT count(*) FROM t;"); rows != "1" {
			t.Errorf("%s: %s rows", mode, rows)
		}
	}
}

func TestCheckpointWithoutWAL(t *testing.T) {
	b := newBench(t)
	b.newDatabase("app.db", 10)
	nothing := answer{"busy": false, "wal_pages": 0, "checkpointed_pages": 0, "fully_checkpointed": true}
	before := picture.Take(t, b.dir)
	for _, mode := range []string{"passive", "full", "restart", "truncate"} {
		b.run("--json", "checkpoint", "-m", mode, "app.db").exits(0).says("note: ", "not in WAL mode").json().mustBe(t, nothing)
	}
	before.MustMatch(t, b.dir)
	b.run("--json", "snapshot", "app.db", "copy.db").exits(0).says("not in WAL mode").json().at("checkpoint").mustBe(t, nothing)
}

// While another connection checkpoints SQLite answers "busy, -1, -1". That is not a database without a WAL.
func TestCheckpointBesideAnother(t *testing.T) {
	b := newBench(t)
	s := b.open("app.db", "PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES(1);")
	shm, err := os.OpenFile(b.path("app.db-shm"), os.O_RDWR, 0)
	b.check(err)
	defer shm.Close()
	const checkpointLock = 121 // https://www.sqlite.org/walformat.html#wal_locks
	b.check(unix.FcntlFlock(shm.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Start: checkpointLock, Len: 1}))
	before := size(b.path("app.db-wal"))
	for _, mode := range []string{"full", "restart", "truncate"} {
		b.run("--json", "checkpoint", "-m", mode, "--busy-timeout", "100ms", "app.db").exits(4)
	}
	o := b.run("--json", "checkpoint", "--busy-timeout", "100ms", "app.db")
	if done, _ := o.json()["fully_checkpointed"].(bool); done {
		t.Errorf("nothing was checkpointed, but: %s%s", o.stdout, o.stderr)
	}
	o = b.run("--json", "snapshot", "--busy-timeout", "100ms", "app.db", "copy.db").exits(0)
	if o.json().at("checkpoint")["fully_checkpointed"] == true {
		t.Errorf("nothing was checkpointed, but: %s%s", o.stdout, o.stderr)
	}
	if after := size(b.path("app.db-wal")); after != before {
		t.Errorf("the WAL had %d bytes, has %d", before, after)
	}
	s.Close()
}
