package main

import (
	"context"
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
	destDir
	ifChanged bool
}

// job plans the backup. A DEST that is a directory stands for a new copy in it, with a dated name,
// unless it gets shards.
func (cmd *backupCmd) job(con *console) (*job, error) {
	con.streaming = cmd.Dest == "-"
	if cmd.Shards != 0 {
		return cmd.shardsJob(con)
	}
	to := datedDest{ifChanged: cmd.IfChanged}
	dest := cmd.Dest
	if isDirectory(cmd.Dest) || strings.HasSuffix(cmd.Dest, "/") {
		to.dir = cmd.Dest
		dest = to.name(cmd.DB, cmd.Zstd)
	}
	switch {
	case cmd.IfChanged && to.dir == "":
		return nil, usagef("--if-changed needs a directory as DEST, which has the earlier copies")
	case to.dir != "" && stream.IsShards(to.dir):
		err := fmt.Errorf("create a copy in %s: it contains the shards of a stream", to.dir)
		return nil, &fault{kind: kindUsage, err: err, hint: "add --shards SIZE, or name another directory"}
	case to.dir != "" && (cmd.Sidecar != "" || cmd.NoSidecar || cmd.NoTrailer):
		return nil, usagef("a dated copy has its digest beside it: leave out --sidecar, --no-sidecar and --no-trailer")
	case to.dir != "":
		if err := to.make(cmd.DB); err != nil {
			return nil, err
		}
	}
	j, err := newJob(con, cmd.DB, dest, to, &cmd.streamFlags)
	if err != nil {
		to.removeIfMade()
	}
	return j, err
}

// name returns the path of a new copy, numbered after all copies of the same second. It leaves gaps
// that prune has made: a copy in one would look older than it is.
func (d datedDest) name(source string, compressed bool) string {
	name := dated.New(source, time.Now(), compressed)
	entries, _ := os.ReadDir(d.dir) // publishing the copy reports what is wrong with the directory
	for _, entry := range entries {
		there, ours := dated.Parse(strings.TrimSuffix(entry.Name(), dated.SidecarSuffix))
		if ours && there.Database == name.Database && there.Time.Equal(name.Time) {
			name.Sequence = max(name.Sequence, there.Sequence+1)
		}
	}
	return within(d.dir, name.String())
}

// rename gives a dated copy another name if err says that another backup has taken its name. It
// reports whether it has another name.
func (j *job) rename(err error) bool {
	if err == nil || j.to.dir == "" || classify(err).kind != engine.KindExists {
		return false
	}
	taken := j.dest
	j.dest = j.to.name(j.source, j.Zstd)
	return j.dest != taken
}

// unchanged returns the newest copy of the database if it is whole and has the same image as snap.
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

// claimedDigest returns the digest of the image in the trailer or else the sidecar of a copy; zero
// without either.
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

// sameAs returns the result of a backup that made no copy because it has found the same one there.
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
