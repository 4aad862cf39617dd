package ledger

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/mattn/go-sqlite3"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

type writer struct {
	order  Order
	random *rand.Rand
	conn   *sqlite3.SQLiteConn
	did    Tally
}

// Write carries out an order until standard input is at EOF, and prints its tally.
func Write(text string) error {
	var w writer
	if err := json.Unmarshal([]byte(text), &w.order); err != nil {
		return err
	}
	w.random = rand.New(rand.NewPCG(w.order.Seed, 1))
	defer w.close()
	if err := w.open(); err != nil {
		return err
	}
	if err := w.writeUntil(testkit.UntilEOF()); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(w.did)
}

func (w *writer) writeUntil(end <-chan struct{}) error {
	if err := w.commit(); err != nil {
		return err
	}
	start, before := time.Now(), WALSequence(w.order.DB)
	testkit.Ready()
	for {
		select {
		case <-end:
			w.did.Elapsed = time.Since(start)
			w.did.Restarts = int(WALSequence(w.order.DB) - before)
			return nil
		case <-time.After(w.order.Pause):
		}
		if err := w.commit(); err != nil {
			return err
		}
		if w.order.Restless {
			if err := w.fidget(); err != nil {
				return err
			}
		}
	}
}

func (w *writer) open() error {
	dsn := fmt.Sprintf("file:%s?mode=rw&_busy_timeout=%d", w.order.DB, w.order.BusyTimeout.Milliseconds())
	for {
		c, err := (&sqlite3.SQLiteDriver{}).Open(dsn)
		if err == nil {
			w.conn = c.(*sqlite3.SQLiteConn)
			return w.exec("PRAGMA wal_autocheckpoint=50; PRAGMA synchronous=OFF")
		}
		if !isBusy(err) { // as it may be while another process recovers the WAL
			return err
		}
	}
}

func (w *writer) close() {
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
}

func (w *writer) exec(sql string) error {
	_, err := w.conn.Exec(sql, nil)
	return err
}

// commit moves an amount, or counts why it could not.
func (w *writer) commit() error {
	begin := time.Now()
	err := w.move()
	w.did.Slowest = max(w.did.Slowest, time.Since(begin))
	if isBusy(err) {
		w.did.Collisions++
		time.Sleep(time.Millisecond)
		err = w.move()
	}
	switch {
	case isBusy(err):
		w.did.Busy++
		return nil
	case err == nil:
		w.did.Commits++
	}
	return err
}

func (w *writer) move() error {
	from, to := w.random.IntN(1000)+1, w.random.IntN(1000)+1
	err := w.exec(fmt.Sprintf(`BEGIN IMMEDIATE; UPDATE a SET v=v-3 WHERE id=%d;
		INSERT OR REPLACE INTO b SELECT id, v+3, randomblob(500) FROM b WHERE id=%d; COMMIT`, from, to))
	w.rollback()
	return err
}

func (w *writer) rollback() {
	if !w.conn.AutoCommit() {
		w.exec("ROLLBACK")
	}
}

// fidget sometimes does other things that applications do.
func (w *writer) fidget() error {
	var err error
	switch w.random.IntN(12) {
	case 0, 1:
		w.close()
		err = w.open()
	case 2:
		err = w.exec("PRAGMA wal_checkpoint(" + w.oneOf("PASSIVE", "FULL", "RESTART", "TRUNCATE") + ")")
	case 3:
		err = w.exec("VACUUM")
	case 4:
		if w.order.Modes {
			err = w.exec("PRAGMA journal_mode=" + w.oneOf("WAL", "DELETE", "TRUNCATE", "PERSIST"))
		}
	case 5:
		w.exec("BEGIN IMMEDIATE; UPDATE a SET v=v+1000; UPDATE b SET v=v-500")
		w.rollback()
	}
	if isBusy(err) {
		return nil
	}
	return err
}

func (w *writer) oneOf(words ...string) string { return words[w.random.IntN(len(words))] }

func isBusy(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && (e.Code == sqlite3.ErrBusy || e.Code == sqlite3.ErrLocked)
}

// WALSequence returns how often the WAL was restarted:
// https://www.sqlite.org/fileformat2.html#walformat
func WALSequence(db string) uint32 {
	file, err := os.Open(db + "-wal")
	if err != nil {
		return 0
	}
	defer file.Close()
	var b [4]byte
	file.ReadAt(b[:], 12)
	return binary.BigEndian.Uint32(b[:])
}
