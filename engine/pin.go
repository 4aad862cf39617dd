package engine

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

// A pin is an open read transaction on a source. While it is held the source cannot change under the copy, or, where no lock is
// to be had, undisturbed tells that it did.
type pin struct {
	source   *sourceFile
	conn     *conn
	locked   bool // by ourselves, besides SQLite
	how      access
	before   guard           // under our lock
	beside   neighbours      // likewise
	began    *beginning      // of the transaction, where the locks on the -shm are seen
	scratch  *atomicfile.Dir // of accessCopy
	pageSize int64           // bytes
	pages    int64
	since    time.Time
	room     func(left int64) error // for so many bytes
}

var errHotJournal = errors.New("a hot rollback journal must be played back first")

// pin opens the source as its state demands and begins a read transaction. Errors are raw; see transient.
func (s *sourceFile) pin(ctx context.Context, tempDir string) (*pin, error) {
	locked, err := s.lock()
	if err != nil {
		return nil, err
	}
	p := &pin{source: s, locked: locked, since: time.Now(), room: func(int64) error { return nil }}
	s.watch.locked.Store(true)
	if err := p.open(ctx, tempDir); err != nil {
		err = p.explain(err)
		p.Close()
		if p.how == accessCopy && (ioFailed(err) || errors.Is(err, errSwapped)) {
			err = tempError("open a private copy in", tempDir, err)
		}
		return nil, err
	}
	return p, nil
}

// explain prefers, to an error that SQLite met, that somebody wrote meanwhile: it may be no more than the trace of that.
func (p *pin) explain(err error) error {
	if primary, _ := resultCode(err); primary != 0 || IsKind(err, KindCorrupt) {
		if disturbed := p.undisturbed(); disturbed != nil {
			return disturbed
		}
	}
	return err
}

// ioFailed tells whether SQLite could not read or write.
func ioFailed(err error) bool {
	primary, _ := resultCode(err)
	return primary == codeIO || primary == codeFull || primary == codeCantOpen
}

func (p *pin) open(ctx context.Context, tempDir string) error {
	p.before = p.source.stamps()
	state, beside, err := p.source.survey("read")
	if err != nil {
		return err
	}
	p.how, p.beside = state.access(), beside
	if p.tooFresh() {
		return errDisturbed
	}
	if err := p.settle(ctx); err != nil {
		return err
	}
	if err := p.connect(ctx, tempDir); err != nil {
		return err
	}
	if p.how == accessCopy { // which is ours
		return p.begin()
	}
	return p.source.owner.Do(p.begin)
}

// begin begins the transaction. Its statements are brief, and run in this very thread.
func (p *pin) begin() error {
	ctx := context.Background()
	// The driver's Open has read the schema already, but only a transaction keeps what it saw.
	if err := p.conn.exec(ctx, "BEGIN"); err != nil {
		return err
	}
	if _, err := p.conn.queryInt(ctx, "SELECT count(*) FROM sqlite_schema"); err != nil {
		return err
	}
	if p.how == accessShared && p.beside.index {
		p.began = &beginning{osfile.Stat(p.source.path), p.source.walStart()}
	}
	var err error
	if p.pageSize, err = p.conn.queryInt(ctx, "PRAGMA page_size"); err != nil {
		return err
	}
	p.pages, err = p.conn.queryInt(ctx, "PRAGMA page_count")
	return err
}

// connect opens the connection. It never waits: with our own lock held, whoever holds another one is waiting for us.
func (p *pin) connect(ctx context.Context, tempDir string) (err error) {
	const readOnly, noWait, queryOnly = "mode=ro", "_busy_timeout=0", "_query_only=1"
	switch p.how {
	case accessReadOnly:
		p.conn, err = p.source.connect(readOnly, noWait, queryOnly)
	case accessShared:
		p.conn, err = p.source.connect(readOnly, "readonly_shm=1", noWait, queryOnly)
	case accessImmutable:
		p.conn, err = p.source.connect(readOnly, "immutable=1", noWait, queryOnly)
	case accessCopy:
		p.conn, err = p.connectCopy(ctx, tempDir)
	case accessJournal:
		err = errHotJournal
	}
	return err
}

// connectCopy copies the database and its WAL as they are to a private directory and opens the copy: exclusively, so that
// SQLite makes no -shm there.
func (p *pin) connectCopy(ctx context.Context, tempDir string) (*conn, error) {
	fromWAL, err := p.source.openFile("-wal")
	if err != nil {
		return nil, sourceError("read", p.source.name, err)
	}
	defer fromWAL.Close()
	if err := spaceBeside(tempDir, p.before, p.before.main.Size+p.before.wal.Size)(p.before.main.Size + p.before.wal.Size); err != nil {
		return nil, err
	}
	if p.scratch, err = atomicfile.NewDir(tempDir); err != nil {
		return nil, tempError("create", tempDir, err)
	}
	const name = "source.db"
	main, err := p.copyFile(ctx, io.NewSectionReader(p.source.file, 0, p.before.main.Size), name)
	if err != nil {
		return nil, err
	}
	defer main.Close()
	wal, err := p.copyFile(ctx, io.NewSectionReader(fromWAL, 0, p.before.wal.Size), name+"-wal")
	if err != nil {
		return nil, err
	}
	defer wal.Close()
	if err := p.undisturbed(); err != nil {
		return nil, err
	}
	return openPrivate(main, []*os.File{wal}, "mode=rw", "_busy_timeout=0", "_query_only=1", "_locking_mode=EXCLUSIVE")
}

// copyFile copies to a new file, which is the caller's to close.
func (p *pin) copyFile(ctx context.Context, from io.Reader, name string) (*os.File, error) {
	to, err := p.scratch.Create(name)
	if err != nil {
		return nil, tempError("create", p.scratch.Path(), err)
	}
	if _, err := copyContext(ctx, to, from, func(int64) { p.source.watch.beat() }); err != nil {
		to.Close()
		return nil, err
	}
	return to, nil
}

// Close ends the transaction and gives up the lock. It is idempotent.
func (p *pin) Close() {
	if p.conn != nil {
		p.source.owner.Do(p.conn.Close)
		p.conn = nil
	}
	if p.scratch != nil {
		p.scratch.Close()
	}
	p.source.watch.locked.Store(false)
	if p.locked {
		unlockShared(p.source.file)
		p.locked = false
	}
}

// persist calls try until it succeeds, fails for good, or has failed for something transient until the timeout.
func persist(ctx context.Context, timeout time.Duration, try func() error) error {
	if timeout == 0 {
		timeout = DefaultBusyTimeout
	}
	deadline := time.Now().Add(timeout)
	for delay := time.Millisecond; ; delay = min(2*delay, 25*time.Millisecond) {
		err := try()
		if err == nil || !transient(err) || time.Now().Add(delay).After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(delay):
		}
	}
}
