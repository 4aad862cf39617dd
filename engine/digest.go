package engine

import (
	"context"
	"crypto/sha256"
	"hash"
	"io"
	"os"
)

// A digest is a SHA-256 that is being computed in its own goroutine, beside whatever else is done
// with the file.
type digest struct {
	cancel context.CancelFunc
	ended  func() // waits until hash or err is there
	hash   hash.Cloner
	err    error
}

// startDigest starts to hash size bytes of the file, which must stay open until wait or stop has
// returned.
func startDigest(ctx context.Context, file *os.File, size int64, start goFunc) *digest {
	ctx, cancel := context.WithCancel(ctx)
	d := &digest{cancel: cancel}
	d.ended = start.run(func() { d.hash, d.err = hashFile(ctx, file, size) })
	return d
}

func hashFile(ctx context.Context, file *os.File, size int64) (hash.Cloner, error) {
	h := sha256.New().(hash.Cloner)
	buffer := make([]byte, 1<<20)
	image := io.NewSectionReader(file, 0, size)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := image.Read(buffer)
		h.Write(buffer[:n])
		if err == io.EOF {
			return h, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// wait returns a clone of the finished hash.
func (d *digest) wait() (hash.Hash, error) {
	d.ended()
	if d.err != nil {
		return nil, d.err
	}
	return d.hash.Clone()
}

// stop ends the goroutine. It is idempotent.
func (d *digest) stop() {
	d.cancel()
	d.ended()
}
