package stream

import (
	"crypto/sha256"
	"hash"
	"sync"
)

// A digester hashes beside the caller's work, one piece at a time.
type digester struct {
	hash hash.Hash
	busy sync.WaitGroup
}

func newDigester() *digester { return &digester{hash: sha256.New()} }

// worthwhile is the piece, in bytes, from which a goroutine is cheaper than waiting.
const worthwhile = 16 << 10

// start hashes p after what was started before. The caller must not change p until wait or the next start returns.
func (d *digester) start(p []byte) {
	d.busy.Wait()
	if len(p) < worthwhile {
		d.hash.Write(p)
		return
	}
	d.busy.Go(func() { d.hash.Write(p) })
}

func (d *digester) wait() { d.busy.Wait() }

// sum is the digest of all that was started.
func (d *digester) sum() Digest {
	d.busy.Wait()
	return Digest(d.hash.Sum(nil))
}
