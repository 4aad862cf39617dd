package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// A sidecar is the file with the digest of what was written. It is created before anything is
// written, so that an unusable name is found early, and gets its name last: if it exists, the
// output is complete. A nil sidecar does nothing.
type sidecar struct {
	path    string
	subject string // the name of what it is for
	file    *atomicfile.File
}

// createSidecar creates the file, still private: in place, if that is its directory; place may be
// nil. It returns nil if path is empty.
func createSidecar(path, subject string, place *atomicfile.Place) (*sidecar, error) {
	if path == "" {
		return nil, nil
	}
	create, name := atomicfile.Create, path
	if place != nil && filepath.Dir(path) == filepath.Clean(place.Path()) {
		create, name = place.Create, filepath.Base(path)
	}
	file, err := create(name)
	if err != nil {
		return nil, fileFault(fmt.Errorf("create %s: %w", path, cause(err)))
	}
	return &sidecar{path: path, subject: subject, file: file}, nil
}

// commit writes the digest and publishes the file.
func (s *sidecar) commit(d stream.Digest) error {
	if s == nil {
		return nil
	}
	_, err := io.WriteString(s.file, stream.FormatSidecar(d, s.subject))
	if err == nil {
		err = s.file.Commit()
	}
	if err != nil {
		return fileFault(fmt.Errorf("write %s: %w", s.path, cause(err)))
	}
	return nil
}

// Close removes the file if it is still private. It is idempotent.
func (s *sidecar) Close() error {
	if s == nil {
		return nil
	}
	return s.file.Close()
}
