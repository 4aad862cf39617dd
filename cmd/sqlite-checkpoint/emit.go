package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// run is the way from the source to the destination.
func (e *emission) run(ctx context.Context) (copied, sent, error) {
	publish := e.stream
	if e.image() {
		publish = e.file
	}
	for {
		did, how, err := e.through(ctx, publish)
		if !e.rename(err) {
			return did, how, err
		}
	}
}

// through is the whole program in reading order: copy, check, publish, result.
func (e *emission) through(ctx context.Context, publish func(context.Context, *engine.Snapshot) (stream.Summary, error)) (copied, sent, error) {
	snap, err := e.con.takeSnapshot(ctx, e.source, e.engineOptions())
	if err != nil {
		return copied{}, sent{}, err
	}
	defer snap.Close()
	if there, err := e.unchanged(ctx, snap); there != nil || err != nil {
		if err != nil {
			return copied{}, sent{}, err
		}
		did, how := e.sameAs(there, snap.Info())
		return did, how, nil
	}
	if err := e.begin(); err != nil {
		return copied{}, sent{}, err
	}
	for _, warning := range e.warnings(snap.Info()) {
		e.con.warn(warning)
	}
	sum, err := publish(ctx, snap)
	if err != nil {
		return copied{}, sent{}, err
	}
	did, how := e.result(snap.Info(), sum)
	return did, how, nil
}

// warnings are what an operator should know about the source.
func (e *emission) warnings(info engine.Info) []string {
	if warning := weakCheck(e.source, info); warning != "" {
		return append(slices.Clone(info.Warnings), warning)
	}
	return info.Warnings
}

// stream sends the copy, and then the sidecar: its presence means complete.
func (e *emission) stream(ctx context.Context, snap *engine.Snapshot) (stream.Summary, error) {
	sink, err := stream.OpenSink(ctx, e.dest, stream.SinkOptions{Timeout: e.Timeout, Stdout: e.con.stdout})
	if err != nil {
		return stream.Summary{}, e.outputFault(err)
	}
	defer sink.Close()
	sum, err := e.send(sink, snap)
	if err != nil {
		return sum, e.outputFault(err)
	}
	if err := sink.Commit(); err != nil {
		return sum, e.outputFault(err)
	}
	if err := e.seal(sum); err != nil {
		e.retract()
		return sum, err
	}
	return sum, nil
}

// retract takes back a file that was published, because its sidecar cannot be: nothing is left of what fails.
func (e *emission) retract() {
	if e.kind == stream.NewFile {
		os.Remove(e.dest)
		atomicfile.SyncDir(filepath.Dir(e.dest))
	}
}

// send encodes the copy into dst.
func (e *emission) send(dst io.Writer, snap *engine.Snapshot) (stream.Summary, error) {
	opts := stream.WriterOptions{
		Format:    stream.Raw,
		Level:     e.level,
		Size:      snap.Size(),
		Check:     string(snap.Info().Level),
		Hash:      snap.Hash,
		NoTrailer: e.NoTrailer,
		Go:        func(f func()) { engine.Background(f) },
		// Only a sidecar and a result in JSON tell it.
		NoStreamHash: e.sidecar == nil && !e.con.tellsJSON(),
	}
	if e.Zstd {
		opts.Format = stream.Zstd
	}
	w, err := stream.NewWriter(dst, opts)
	if err != nil {
		return stream.Summary{}, err
	}
	defer w.Close()
	engine.Background(func() { _, err = io.Copy(w, e.con.progress.follow(snap, "sending", snap.Size())) })()
	if err != nil {
		return stream.Summary{}, err
	}
	if err := w.Close(); err != nil {
		return stream.Summary{}, err
	}
	return w.Summary(), nil
}

// formatImage is the format of a plain database file, which is no stream.
const formatImage stream.Format = "image"

// file publishes the copy itself, when its sidecar lacks nothing but the name. If that fails, the copy goes, too.
func (e *emission) file(_ context.Context, snap *engine.Snapshot) (stream.Summary, error) {
	hash, err := snap.Hash()
	if err != nil {
		return stream.Summary{}, err
	}
	digest := stream.Digest(hash.Sum(nil))
	sum := stream.Summary{
		Format: formatImage, ImageSize: snap.Size(), ImageSHA256: digest, Check: string(snap.Info().Level),
		StreamSize: snap.Size(), StreamSHA256: digest,
	}
	if err := e.digest(digest); err != nil {
		return sum, err
	}
	if err := snap.Commit(e.dest); err != nil {
		return sum, err
	}
	if err := e.vouch(); err != nil {
		e.retract()
		return sum, err
	}
	return sum, nil
}

// digest writes the sidecar, still private.
func (e *emission) digest(d stream.Digest) error {
	if e.sidecar == nil {
		return nil
	}
	_, err := io.WriteString(e.sidecar, stream.FormatSidecar(d, e.name()))
	return e.sidecarFault(err)
}

// vouch publishes the sidecar: all it vouches for is out.
func (e *emission) vouch() error {
	if e.sidecar == nil {
		return nil
	}
	return e.sidecarFault(e.sidecar.Commit())
}

// seal writes and publishes the sidecar of a stream that is out.
func (e *emission) seal(sum stream.Summary) error {
	if err := e.digest(sum.StreamSHA256); err != nil {
		return err
	}
	return e.vouch()
}

func (e *emission) sidecarFault(err error) error {
	if err == nil {
		return nil
	}
	return fileFault(fmt.Errorf("write %s: %w", e.digestName, cause(err)))
}

func (e *emission) name() string {
	if e.kind == stream.Stdout {
		return "-"
	}
	return filepath.Base(e.dest)
}

// result is what there is to tell of an emission that is complete.
func (e *emission) result(info engine.Info, sum stream.Summary) (copied, sent) {
	c := copied{Source: path(e.source), Destination: path(e.dest), SizeBytes: sum.ImageSize, SHA256: sum.ImageSHA256.String()}
	s := sent{
		StreamBytes:  sum.StreamSize,
		StreamSHA256: sum.StreamSHA256.String(),
		Format:       string(sum.Format),
		Check:        string(info.Level),
		CheckReason:  text(info.Reason),
		PageSize:     info.PageSize,
		PageCount:    info.PageCount,
		JournalMode:  journalMode(info.WAL),
		Copy:         millis(info.Locked),
		Sidecar:      path(e.digestName),
		Warnings:     texts(e.warnings(info)),
	}
	return c, s
}
