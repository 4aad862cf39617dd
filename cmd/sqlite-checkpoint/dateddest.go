package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/dated"
	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// A datedDest is a directory that gets a copy with a dated name.
type datedDest struct {
	dir       string // empty if the destination is something else
	made      bool   // by this run
	ifChanged bool
}

// job plans the backup. A DEST that is a directory stands for a new copy in it, with a dated name.
func (cmd *backupCmd) job(con *console) (*job, error) {
	con.streaming = cmd.Dest == "-"
	to := datedDest{ifChanged: cmd.IfChanged}
	dest := cmd.Dest
	if isDirectory(cmd.Dest) || strings.HasSuffix(cmd.Dest, "/") {
		to.dir = cmd.Dest
		dest = to.name(cmd.DB, cmd.Zstd)
	}
	switch {
	case cmd.IfChanged && to.dir == "":
		return nil, usagef("--if-changed needs a directory as DEST, which has the earlier copies")
	case to.dir != "" && (cmd.Sidecar != "" || cmd.NoSidecar || cmd.NoTrailer):
		return nil, usagef("a dated copy has its digest beside it: leave out --sidecar, --no-sidecar and --no-trailer")
	case to.dir != "":
		if err := to.make(cmd.DB); err != nil {
			return nil, err
		}
	}
	j, err := newJob(con, cmd.DB, dest, to, &cmd.streamFlags)
	if err != nil {
		to.unmake()
	}
	return j, err
}

// make creates the directory for copies of source if nothing but it is missing: a whole path that is
// missing looks like a file system that is not mounted.
func (d *datedDest) make(source string) error {
	if isDirectory(d.dir) {
		return nil
	}
	if _, err := os.Stat(source); err != nil {
		return &engine.Error{Kind: engine.KindMissing, Op: "open", Path: source, Err: cause(err)}
	}
	parent, name, err := atomicfile.OpenPlaceOf(filepath.Clean(d.dir))
	if err == nil {
		defer parent.Close()
		err = parent.Mkdir(name)
	}
	switch {
	case err == nil:
		d.made = true
		parent.Sync() // publishing the copy tells what is wrong
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("create a copy in %s: %w", d.dir, cause(err))
		return &fault{kind: engine.KindTemp, err: err, hint: "mount it, or create its parent with mkdir"}
	case !isDirectory(d.dir): // another backup may have made it meanwhile
		return fileFault(fmt.Errorf("create directory %s: %w", d.dir, cause(err)))
	}
	return nil
}

// unmake removes the directory if this run has made it and nothing is in it.
func (d *datedDest) unmake() {
	if !d.made {
		return
	}
	if parent, name, err := atomicfile.OpenPlaceOf(filepath.Clean(d.dir)); err == nil {
		parent.Rmdir(name)
		parent.Close()
	}
}

func isDirectory(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// name is the path of a new copy: of this second, and after all of the same second that have left a
// name there. A gap that prune has left between them is not filled: the newest copy would look
// older than they.
func (d datedDest) name(source string, compressed bool) string {
	name := dated.New(source, time.Now(), compressed)
	entries, _ := os.ReadDir(d.dir) // publishing the copy tells what is wrong with the directory
	for _, entry := range entries {
		there, ours := dated.Parse(strings.TrimSuffix(entry.Name(), dated.SidecarSuffix))
		if ours && there.Database == name.Database && there.Time.Equal(name.Time) {
			name.Sequence = max(name.Sequence, there.Sequence+1)
		}
	}
	return within(d.dir, name.String())
}

// rename gives a dated copy another name if err says that its name has been taken since, by another
// backup in the same second. It reports whether the backup is to be tried again.
func (j *job) rename(err error) bool {
	if err == nil || j.to.dir == "" || classify(err).kind != engine.KindExists {
		return false
	}
	j.dest = j.to.name(j.source, j.Zstd)
	return j.resolve(true) == nil && j.checkNames() == nil
}

// unchanged finds the newest copy of the database, if it is whole and has the very image of snap.
func (j *job) unchanged(ctx context.Context, snap *engine.Snapshot) (*datedCopy, error) {
	if !j.to.ifChanged {
		return nil, nil
	}
	dir, err := readCopyDir(j.place, "")
	if err != nil {
		return nil, err
	}
	copies := dir.of(filepath.Base(j.source))
	if len(copies) == 0 || copies[len(copies)-1].imageSize() != snap.Size() {
		return nil, nil
	}
	digest, err := snap.SHA256()
	if err != nil {
		return nil, err
	}
	newest := copies[len(copies)-1]
	if newest.claimedDigest() != digest {
		return nil, nil
	}
	newest.prove(ctx, io.Discard)
	if !newest.proven || newest.digest != digest {
		return nil, context.Cause(ctx)
	}
	return newest, nil
}

// claimedDigest is the digest of the image that the trailer or else the sidecar of a copy claims;
// zero without either.
func (c *datedCopy) claimedDigest() stream.Digest {
	if c.claims.Trailer {
		return c.claims.ImageSHA256
	}
	digest, _ := sidecarOf(c.dir, c.Name.String())
	return digest
}

// sidecarOf reads the sidecar of a copy.
func sidecarOf(dir *atomicfile.Place, image string) (stream.Digest, error) {
	file, err := dir.Open(image + dated.SidecarSuffix)
	if err != nil {
		return stream.Digest{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return stream.Digest{}, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxSidecar {
		return stream.Digest{}, fs.ErrInvalid
	}
	line, err := io.ReadAll(file)
	if err != nil {
		return stream.Digest{}, err
	}
	return stream.ParseSidecar(line, image)
}

// sameAs is the result of a backup that has made no copy, as there is one already.
func (j *job) sameAs(there *datedCopy, info engine.Info) backupResult {
	r := j.result(info, stream.Summary{Format: formatImage, ImageSize: there.imageSize(), ImageSHA256: there.digest})
	r.Destination, r.Sidecar, r.StreamSHA256, r.Unchanged = path(there.path), "", "", true
	if there.claims.Trailer {
		r.Format = string(there.claims.Format)
	}
	if there.sidecar {
		r.Sidecar = path(there.path + dated.SidecarSuffix)
	}
	return r
}
