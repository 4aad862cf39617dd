package main

import (
	"path/filepath"
	"strings"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// manifestName is the file that says what every database in a directory has to be, as sha256sum -c
// reads it.
const manifestName = ".sqlite-checkpoint.sha256"

func (s *shadowing) writeManifests() error {
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

// writeExclude lists the databases and what belongs to them, one pattern a line, for restic and
// tar.
func (s *shadowing) writeExclude() error {
	var text strings.Builder
	for _, database := range s.databases {
		for _, name := range engine.DatabaseFiles(database) {
			text.WriteString(escapePattern.Replace(name) + "\n")
		}
	}
	text.WriteString(escapePattern.Replace(s.stage.Aside("")) + "\n")
	return s.stage.WriteAside(excludeName, []byte(text.String()))
}

// escapePattern makes of a path a pattern that restic and tar take for that path alone. restic also
// expands $ and trims lines. A line break fits into no line, so that any character there has to do.
var escapePattern = strings.NewReplacer(
	`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `$`, `[$]`, " ", "[ ]", "\t", "[\t]", "\n", "?", "\r", "?")
