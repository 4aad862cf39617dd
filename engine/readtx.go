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

// A readTx is an open read transaction on a source. Meanwhile the source cannot change under the
// copy, or, where it is read without locks, checkUndisturbed reports that it did.
type readTx struct {
	source    *sourceFile
	footprint *footprint
	residence *residence // of the copy
	conn      *conn
	locked    bool // by ourselves, besides SQLite
	how       access
	before    fileStates      // under our lock
	beside    neighbours      // likewise
	start     *txStart        // of the transaction, where the locks on the -shm are seen
	scratch   *atomicfile.Dir // of accessCopy
	pageSize  int64           // bytes
	pages     int64
	since     time.Time
	room      func(left int64) error // for so many bytes
}

var errHotJournal = errors.New("a hot rollback journal must be played back first")

// beginRead opens the source as its state demands and begins a read transaction. Errors are raw;
// see isTransient.
func (s *sourceFile) beginRead(ctx context.Context, tempDir string) (*readTx, error) {
	locked, err := s.lock()
	if err != nil {
		return nil, err
	}
	p := &readTx{
		source: s, footprint: startFootprint(s.file), locked: locked, since: time.Now(),
		room: func(int64) error { return nil },
	}
	s.stall.Count(true)
	if err := p.open(ctx, tempDir); err != nil {
		err = p.explain(err)
		p.Close()
		if p.how == accessCopy && (isIOError(err) || errors.Is(err, errSwapped)) {
			err = tempError("open a private copy in", tempDir, err)
		}
		return nil, err
	}
	return p, nil
}

// explain replaces an error of SQLite by the write that may have caused it.
func (p *readTx) explain(err error) error {
	if primary, _ := resultCode(err); primary != 0 || errors.Is(err, KindCorrupt) {
		if disturbed := p.checkUndisturbed(); disturbed != nil {
			return disturbed
		}
	}
	return err
}

func (p *readTx) open(ctx context.Context, tempDir string) error {
	p.before = p.source.fileStates()
	state, beside, err := p.source.survey("read")
	if err != nil {
		return err
	}
	p.how, p.beside = state.access(), beside
	if err := p.source.checkReadable(p.how); err != nil {
		return err
	}
	if p.tooFresh() {
		return errDisturbed
	}
	if err := p.awaitGrain(ctx); err != nil {
		return err
	}
	if err := p.connect(ctx, tempDir); err != nil {
		return err
	}
	if p.how == accessCopy { // which is ours
		return p.begin()
	}
	return p.beginOnSource()
}

// beginOnSource begins the transaction on the source itself. SQLite may open its -journal then.
func (p *readTx) beginOnSource() error {
	return p.source.owner.Do(func() error { return withoutFIFOs(p.source.path, errDisturbed, p.begin) })
}

// begin begins the transaction. Its statements are brief, and run in this very thread.
func (p *readTx) begin() error {
	ctx := context.Background()
	// The driver's Open has read the schema already, but only a transaction keeps what it saw.
	if err := p.conn.exec(ctx, "BEGIN"); err != nil {
		return err
	}
	if _, err := p.conn.queryInt(ctx, "SELECT count(*) FROM sqlite_schema"); err != nil {
		return err
	}
	if p.how == accessShared && p.beside.index {
		p.start = &txStart{osfile.Stat(p.source.path), p.source.walStart()}
	}
	var err error
	if p.pageSize, err = p.conn.queryInt(ctx, "PRAGMA page_size"); err != nil {
		return err
	}
	p.pages, err = p.conn.queryInt(ctx, "PRAGMA page_count")
	return err
}

// connect opens the connection. It never waits: we hold our own lock, so a writer may be waiting
// for us.
func (p *readTx) connect(ctx context.Context, tempDir string) (err error) {
	const readOnly, noWait, queryOnly = "mode=ro", "_busy_timeout=0", "_query_only=1"
	switch p.how {
	case accessReadOnly:
		p.conn, err = p.source.connect(nil, readOnly, noWait, queryOnly)
	case accessShared:
		p.conn, err = p.source.connect([]string{"-wal", "-shm"}, readOnly, "readonly_shm=1", noWait, queryOnly)
	case accessImmutable:
		p.conn, err = p.source.connect(nil, readOnly, "immutable=1", noWait, queryOnly)
	case accessCopy:
		p.conn, err = p.connectCopy(ctx, tempDir)
	case accessJournal:
		err = errHotJournal
	}
	return err
}

// connectCopy copies the database and its WAL to a private directory and opens that copy, in
// exclusive locking mode so that SQLite creates no -shm there.
func (p *readTx) connectCopy(ctx context.Context, tempDir string) (*conn, error) {
	fromWAL, err := p.source.openFile("-wal")
	if err != nil {
		return nil, sourceError("read", p.source.name, err)
	}
	defer fromWAL.Close()
	if err := scratchRoom(tempDir, p.before); err != nil {
		return nil, err
	}
	if p.scratch, err = atomicfile.NewDir(tempDir); err != nil {
		return nil, tempError("create", tempDir, err)
	}
	p.footprint.enter(p.before.main.Size)
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
	if err := p.checkUndisturbed(); err != nil {
		return nil, err
	}
	return openPrivate(main, []*os.File{wal}, "mode=rw", "_busy_timeout=0", "_query_only=1", "_locking_mode=EXCLUSIVE")
}

// copyFile copies to a new file, which is the caller's to close.
func (p *readTx) copyFile(ctx context.Context, from io.Reader, name string) (*os.File, error) {
	to, err := p.scratch.Create(name)
	if err != nil {
		return nil, tempError("create", p.scratch.Path(), err)
	}
	if _, err := copyContext(ctx, to, from, func(int64) { p.source.stall.Beat() }); err != nil {
		to.Close()
		return nil, err
	}
	return to, nil
}

// Close ends the transaction and gives up the lock. It is idempotent.
func (p *readTx) Close() {
	if p.conn != nil {
		p.source.owner.Do(p.conn.Close)
		p.conn = nil
	}
	if p.scratch != nil {
		p.scratch.Close()
	}
	p.source.stall.Count(false)
	if p.locked {
		unlockShared(p.source.file)
		p.locked = false
	}
	if p.footprint != nil {
		p.footprint.end()
		p.footprint = nil
	}
}
