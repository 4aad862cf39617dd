package engine

import (
	"fmt"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// TestTokenRandomSteps has applications do everything that can change a database, in random order,
// and checks that there is no commit between two equal tokens. TOKEN_STEPS is the number of steps
// of each round.
func TestTokenRandomSteps(t *testing.T) {
	steps := 500
	if testing.Short() {
		steps = 200
	}
	if n, err := strconv.Atoi(os.Getenv("TOKEN_STEPS")); err == nil {
		steps = n
	}
	for _, granularity := range []time.Duration{0, 10 * time.Millisecond, time.Second, 2 * time.Second} {
		t.Run(granularity.String(), func(t *testing.T) {
			w := newTokenWorld(t, granularity)
			for range steps {
				w.step()
			}
			t.Logf("seed %d: %d commits, %d tokens, %d settled, %d equal ones",
				w.seed, w.commits, w.taken, w.settled, w.equal)
			if w.commits < steps/5 || w.settled < steps/20 || w.equal < steps/100 {
				t.Error("this proves little")
			}
		})
	}
}

// A tokenWorld is a database, the applications that use it, and the tokens taken so far. With a
// granularity its clock is simulated: a file that has changed gets the clock's time, rounded down.
// Without one the times are the kernel's own.
type tokenWorld struct {
	t                              *testing.T
	seed                           uint64
	rng                            *rand.Rand
	granularity                    time.Duration
	clock                          int64         // simulated nanoseconds since 1970
	tick                           time.Duration // longer than a tick of the kernel clock, 0 if it has none
	files                          map[string]simulated
	db                             string
	apps                           [3]application // the last one only reads
	open                           [3]bool
	images                         [2][]byte
	version                        uint32           // counts commits
	seen                           map[Token]uint32 // the version at that token
	commits, taken, settled, equal int
}

// A simulated file has the time at which its contents last changed.
type simulated struct {
	contents uint64
	ino      uint64
	time     int64
}

var tokenHash = maphash.MakeSeed()

const tokenSchema = `CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB); CREATE INDEX tv ON t(v);
CREATE TRIGGER trim AFTER INSERT ON t BEGIN DELETE FROM t WHERE id < new.id - 50; END;
INSERT INTO t(v) VALUES(randomblob(%d));`

func newTokenWorld(t *testing.T, granularity time.Duration) *tokenWorld {
	w := &tokenWorld{t: t, seed: rand.Uint64(), granularity: granularity, clock: 1e18}
	w.rng = rand.New(rand.NewPCG(w.seed, 0))
	w.files, w.seen = map[string]simulated{}, map[Token]uint32{}
	dir := t.TempDir()
	for i := range w.images {
		db := filepath.Join(dir, fmt.Sprint("image", i))
		sqlite(t, db, fmt.Sprintf(tokenSchema, 5000*i))
		var err error
		if w.images[i], err = os.ReadFile(db); err != nil {
			t.Fatal(err)
		}
	}
	if granularity == 0 && coarseTimes(t, dir) {
		w.tick = 20 * time.Millisecond
	}
	w.db = filepath.Join(dir, "app.db")
	for i := range w.apps {
		w.apps[i] = open(t, ":memory:")
	}
	w.replace()
	return w
}

// coarseTimes reports whether two writes in a row, with a stat(2) between them, can leave a file's
// times unchanged: before Linux 6.13 they can.
func coarseTimes(t *testing.T, dir string) bool {
	var files [10]tokenFile
	for i := range files {
		path := filepath.Join(dir, "probe")
		if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
			t.Fatal(err)
		}
		var err error
		if files[i], _, err = lstatToken(path); err != nil {
			t.Fatal(err)
		}
		if i > 0 && files[i] == files[i-1] {
			return true
		}
	}
	return false
}

// step does one thing, and then, mostly, takes a token.
func (w *tokenWorld) step() {
	switch n := w.rng.IntN(1000); {
	case n < 500:
		w.commit(w.rng.IntN(2))
	case n < 600: // nothing
	case n < 700:
		w.try(w.rng.IntN(2), "PRAGMA wal_checkpoint("+w.pick("PASSIVE", "FULL", "RESTART", "TRUNCATE")+");")
	case n < 760:
		w.try(w.rng.IntN(2), "PRAGMA journal_mode="+w.pick("WAL", "WAL", "DELETE", "TRUNCATE", "PERSIST")+";")
	case n < 790:
		w.try(w.rng.IntN(2), "VACUUM;")
	case n < 840:
		w.try(2, w.pick("BEGIN; SELECT count(*) FROM t;", "COMMIT;"))
	case n < 890:
		w.transaction(w.rng.IntN(2))
	case n < 950:
		w.close(w.rng.IntN(3))
	case n < 960:
		w.crash(w.rng.IntN(3))
	case n < 980:
		w.replace()
	case n < 995:
		w.restoreOver()
	default:
		w.throughLink()
	}
	w.observe()
	if w.rng.IntN(4) > 0 {
		w.look()
	}
	w.pass()
}

// observe sets the times of files that have changed to the clock's.
func (w *tokenWorld) observe() {
	if w.granularity == 0 {
		return
	}
	for _, path := range []string{w.db, w.db + "-wal", w.db + "-journal"} {
		file, _, err := lstatToken(path)
		data, readErr := os.ReadFile(path)
		if err != nil || readErr != nil {
			delete(w.files, path)
			continue
		}
		time := w.clock - w.clock%int64(w.granularity)
		now := simulated{maphash.Bytes(tokenHash, data), file.ino, time}
		if before, ok := w.files[path]; !ok || before.contents != now.contents || before.ino != now.ino {
			w.files[path] = now
		}
	}
}

// pass advances the simulated clock, sometimes by nothing.
func (w *tokenWorld) pass() {
	limits := []time.Duration{0, 20 * time.Millisecond, 1500 * time.Millisecond, 6 * time.Second}
	time.Sleep(w.tick)
	w.clock += w.rng.Int64N(int64(limits[w.rng.IntN(len(limits))]) + 1)
}

func (w *tokenWorld) tokenClock() tokenClock {
	if w.granularity == 0 {
		return later()
	}
	c := later()
	c.now = func() time.Time { return time.Unix(0, w.clock) }
	c.lstat = func(path string) (tokenFile, int, error) {
		file, links, err := lstatToken(path)
		file.mtime, file.ctime = w.files[path].time, w.files[path].time
		return file, links, err
	}
	return c
}

// look takes a token and compares it with all others.
func (w *tokenWorld) look() {
	w.t.Helper()
	token := mustTake(w.t, w.tokenClock(), w.db)
	w.taken++
	if token.Doubt() == "" {
		w.settled++
	}
	version, ok := w.seen[token]
	switch {
	case ok && version != w.version:
		w.t.Fatalf("seed %d: commit %d was missed, the token is that of %d: %+v", w.seed, w.version, version, token)
	case ok:
		w.equal++
	}
	w.seen[token] = w.version
	if len(w.seen) > 10_000 {
		maps.DeleteFunc(w.seen, func(_ Token, at uint32) bool { return at+1000 < w.version })
	}
}
