package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

// errLayered means that names in a directory of overlayfs do not lead to what the application uses.
var errLayered = errors.New("overlayfs does not show what an application does in one of its layers")

// onOverlay reports whether the source is on overlayfs. There SQLite, which opens a -wal for
// writing even if it only reads, would copy it up: from then on it is not the file that an
// application writes in the lower layer.
func (s *sourceFile) onOverlay() bool {
	name, _, err := networkFilesystem(s.path)
	return err == nil && name == "overlayfs"
}

// checkLayers fails if the source, or a file beside it, was created, deleted or replaced in a layer
// of overlayfs after its name had been looked up: the kernel remembers what the name led to then,
// even if that was nothing. The list of the directory is of now.
func (s *sourceFile) checkLayers() (err error) {
	if !s.onOverlay() {
		return nil
	}
	for range 3 { // an application that uses the same mount may create or delete a file meanwhile
		names, _ := s.dir.Names() // none if this user may not list the directory
		if err = s.compareLayers(names); err == nil {
			return nil
		}
	}
	return err
}

// compareLayers compares what the directory lists with what the names lead to.
func (s *sourceFile) compareLayers(listed []string) error {
	for _, suffix := range databaseSuffixes {
		info, err := s.dir.Lstat(s.base + suffix)
		absent := errors.Is(err, fs.ErrNotExist)
		deleted := err == nil && osfile.HardLinks(info) == 0
		if deleted || absent && slices.Contains(listed, s.base+suffix) {
			return fmt.Errorf("%s%s: %w", s.path, suffix, errLayered)
		}
	}
	return nil
}
