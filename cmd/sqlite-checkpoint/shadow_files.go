package main

import (
	"path/filepath"
	"strings"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// manifestName is the file with the digests of all databases in a directory, for sha256sum -c.
const manifestName = ".sqlite-checkpoint.sha256"

func (s *shadowRun) writeManifests() error {
	for _, root := range s.manifests() {
		var text strings.Builder
		var modified time.Time
		for _, c := range s.copies {
			name, err := filepath.Rel(root.path, c.Source)
			if err != nil || c.Err != nil || !inside(c.Source, root.path) {
				continue
			}
			text.WriteString(stream.FormatSidecar(stream.Digest(c.SHA256), name))
			if c.Modified.After(modified) {
				modified = c.Modified
			}
		}
		if err := s.stage.Write(filepath.Join(root.path, manifestName), []byte(text.String()), modified); err != nil {
			return err
		}
	}
	return nil
}

// excludeName is the file that {exclude} stands for.
const excludeName = "exclude"

// writeExclude writes patterns of the databases and the files beside them, one a line, for restic
// and tar.
func (s *shadowRun) writeExclude() error {
	var text strings.Builder
	for _, database := range s.databases {
		for _, name := range engine.DatabaseFiles(database) {
			text.WriteString(escapePattern.Replace(name) + "\n")
		}
	}
	text.WriteString(escapePattern.Replace(s.stage.Aside("")) + "\n")
	return s.stage.WriteAside(excludeName, []byte(text.String()))
}

// escapePattern turns a path into a pattern that matches only that path in restic and tar. restic
// also expands $ and trims lines. A pattern cannot contain a line break, so it matches any
// character there.
var escapePattern = strings.NewReplacer(
	`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `$`, `[$]`, " ", "[ ]", "\t", "[\t]", "\n", "?", "\r", "?")
