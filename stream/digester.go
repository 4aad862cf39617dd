package stream

import (
	"crypto/sha256"
	"hash"
	"sync"
)

// A digester hashes in the background, one piece at a time.
type digester struct {
	hash hash.Hash
	busy sync.WaitGroup
}

func newDigester() *digester { return &digester{hash: sha256.New()} }

// minAsync is the smallest piece, in bytes, that is worth a goroutine.
const minAsync = 16 << 10

// start begins to hash p, after the pieces before it. The caller must not change p until wait or
// the next start returns.
func (d *digester) start(p []byte) {
	d.busy.Wait()
	if len(p) < minAsync {
		d.hash.Write(p)
		return
	}
	d.busy.Go(func() { d.hash.Write(p) })
}

func (d *digester) wait() { d.busy.Wait() }

// sum returns the digest of all pieces.
func (d *digester) sum() Digest {
	d.busy.Wait()
	return Digest(d.hash.Sum(nil))
}
