package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// A job is one backup: from a source through a checked private copy to a destination.
type job struct {
	plan
	to      datedDest
	shards  *shardsDest // nil for another destination
	command *pipeCmd    // which the stream goes to; nil for a destination
	con     *console
	place   *atomicfile.Place // directory of a new file, while it runs; else nil
}

// run makes the backup. If another backup has taken the dated name meanwhile, it tries another one.
func (j *job) run(ctx context.Context) (backupResult, error) {
	if j.target == stream.NewFile {
		var err error
		dir := cmp.Or(j.to.dir, filepath.Dir(j.dest))
		if j.place, err = atomicfile.OpenPlace(dir); err != nil {
			return backupResult{}, fileFault(fmt.Errorf("create %s: %w", j.dest, cause(err)))
		}
		defer j.place.Close()
		j.network = atomicfile.MayHang(dir)
	}
	if err := j.shards.open(); err != nil {
		return backupResult{}, j.destinationFault(err)
	}
	defer j.shards.close()
	j.network = j.network || j.shards != nil && atomicfile.MayHang(j.dest)
	for {
		result, err := j.attempt(ctx)
		if j.rename(err) && j.aim() == nil {
			continue
		}
		if err != nil {
			bounded(stepLimit, func() { j.to.removeIfMade(); j.shards.removeIfMade() })
		}
		return result, err
	}
}

// attempt is the whole program in reading order: copy, check, send or publish, digest.
func (j *job) attempt(ctx context.Context) (backupResult, error) {
	snap, err := j.con.takeSnapshot(ctx, j.source, j.snapshotOptions(j.place))
	if err != nil {
		return backupResult{}, err
	}
	defer snap.Close()
	same, err := j.unchanged(ctx, snap)
	if err != nil {
		return backupResult{}, err
	}
	if same != nil {
		return j.sameAs(same, snap.Info()), nil
	}
	for _, warning := range j.warnings(snap.Info()) {
		j.con.warn(warning)
	}
	sum, err := j.deliverInTime(ctx, snap)
	if err != nil {
		return backupResult{}, err
	}
	return j.result(snap.Info(), sum), nil
}

// deliver brings the copy and its sidecar to the destination.
func (j *job) deliver(ctx context.Context, snap *engine.Snapshot, w *hangWatch) (stream.Summary, error) {
	w.Count(true)
	sidecar, err := createSidecar(j.sidecarPath, j.subject(), j.place)
	w.Count(false)
	if err != nil {
		return stream.Summary{}, err
	}
	sum, err := j.emit(ctx, snap, w)
	if errors.Is(err, atomicfile.ErrHangs) { // Close would hang, too
		return sum, err
	}
	w.Count(true)
	defer sidecar.Close()
	if err != nil {
		return sum, err
	}
	if err := sidecar.commit(sum.StreamSHA256); err != nil {
		j.unpublish()
		return sum, err
	}
	return sum, nil
}

// emit sends the copy to its destination. If it fails, no file has been published.
func (j *job) emit(ctx context.Context, snap *engine.Snapshot, w *hangWatch) (stream.Summary, error) {
	switch {
	case j.command != nil:
		return j.sendToCommand(ctx, snap)
	case j.isImage():
		return j.publishImage(snap)
	}
	return j.sendToSink(ctx, snap, w)
}

func (j *job) sendToSink(ctx context.Context, snap *engine.Snapshot, w *hangWatch) (stream.Summary, error) {
	w.Count(true)
	to, err := j.openSink(ctx, snap.Size())
	w.Count(false)
	if err != nil {
		return stream.Summary{}, j.destinationFault(err)
	}
	if w.network {
		to = &watchedSink{sink: to, watch: w, commits: j.Timeout > 0 && j.shards == nil}
	}
	defer to.Close()
	sum, err := j.send(to, snap)
	if err == nil {
		err = to.Commit()
	}
	if err != nil {
		return sum, j.destinationFault(err)
	}
	return sum, nil
}

// A sink is a place that a stream goes to.
type sink interface {
	io.Writer
	Commit() error
	Close() error
}

func (j *job) openSink(ctx context.Context, imageSize int64) (sink, error) {
	if j.shards != nil {
		return j.shards.newSink(ctx, imageSize)
	}
	return stream.OpenSink(ctx, j.dest, stream.SinkOptions{
		Timeout: j.Timeout, Stdout: j.con.stdout, Place: j.place,
	})
}

// send encodes the copy into dst.
func (j *job) send(dst io.Writer, snap *engine.Snapshot) (stream.Summary, error) {
	w, err := stream.NewWriter(dst, j.writerOptions(snap))
	if err != nil {
		return stream.Summary{}, err
	}
	defer w.Close()
	background(func() { _, err = io.Copy(w, snap) })()
	if err != nil {
		return stream.Summary{}, err
	}
	if err := w.Close(); err != nil {
		return stream.Summary{}, err
	}
	return w.Summary(), nil
}

func (j *job) writerOptions(snap *engine.Snapshot) stream.WriterOptions {
	opts := stream.WriterOptions{
		Format:    stream.Raw,
		Level:     j.level,
		Size:      snap.Size(),
		Check:     string(snap.Info().Level),
		Hash:      snap.Hash,
		NoTrailer: j.NoTrailer,
		Progress:  func(done int64) { j.con.progress.show("sending", done, snap.Size()) },
		Go:        func(f func()) { background(f) },
		// Only a sidecar and JSON show it.
		NoStreamHash: j.sidecarPath == "" && !j.con.wantsJSON(),
	}
	if j.Zstd {
		opts.Format = stream.Zstd
	}
	return opts
}

// formatImage is the format of a plain database file, which is no stream.
const formatImage stream.Format = "image"

// publishImage makes the copy itself the destination.
func (j *job) publishImage(snap *engine.Snapshot) (stream.Summary, error) {
	digest, err := snap.SHA256()
	if err != nil {
		return stream.Summary{}, err
	}
	sum := stream.Summary{
		Format: formatImage, ImageSize: snap.Size(), ImageSHA256: digest, Check: string(snap.Info().Level),
		StreamSize: snap.Size(), StreamSHA256: digest,
	}
	return sum, snap.Commit()
}

// unpublish removes the file that was just published, because its sidecar could not be: a failure
// leaves nothing.
func (j *job) unpublish() {
	if j.target == stream.NewFile {
		j.place.Remove(filepath.Base(j.dest))
		j.place.Sync()
	}
}

// destinationFault classifies an error of the destination. Errors of the engine keep their kind.
func (j *job) destinationFault(err error) error {
	var known *engine.Error
	switch {
	case errors.As(err, &known), errors.Is(err, stream.ErrStalled):
		return err
	case errors.Is(err, stream.ErrTerminal), errors.Is(err, stream.ErrClosed), isShardsFault(err):
		return err
	case j.shards != nil:
		return fileFault(fmt.Errorf("write shards: %w", err))
	case j.target == stream.NewFile, j.target == 0 && j.dest != "-":
		return fileFault(err)
	}
	return &fault{kind: kindOutput, err: err}
}

// warnings are what an operator should know about the source.
func (j *job) warnings(info engine.Info) []string {
	if warning := weakCheck(j.source, info); warning != "" {
		return append(slices.Clone(info.Warnings), warning)
	}
	return info.Warnings
}

// result describes the backup that was made.
func (j *job) result(info engine.Info, sum stream.Summary) backupResult {
	c := imageFields{
		Source:      path(j.source),
		Destination: path(j.dest),
		SizeBytes:   sum.ImageSize,
		SHA256:      sum.ImageSHA256.String(),
	}
	s := streamFields{
		StreamBytes:  sum.StreamSize,
		StreamSHA256: sum.StreamSHA256.String(),
		Format:       string(sum.Format),
		Check:        string(info.Level),
		CheckReason:  text(info.Reason),
		PageSize:     info.PageSize,
		PageCount:    info.PageCount,
		JournalMode:  journalMode(info.WAL),
		Copy:         millis(info.Locked),
		Sidecar:      path(j.sidecarPath),
		Warnings:     texts(j.warnings(info)),
		Shards:       j.shards.fields(),
	}
	s.Unchanged = s.Shards != nil && s.Shards.WrittenBytes == 0
	return backupResult{imageFields: c, streamFields: s}
}
