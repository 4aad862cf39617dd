// Package dated knows the names of dated copies, such as app-20261123T101500Z.db, and the times
// that people ask for.
package dated

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	// SidecarSuffix follows the name of the copy in that of its sidecar.
	SidecarSuffix = ".sha256"
	zstdSuffix    = ".zst"
	layout        = "20060102T150405Z" // UTC, so that names sort by time
)

// A Name is the parsed file name of a copy.
type Name struct {
	Database   string    // the file name of the database, such as app.db
	Time       time.Time // in UTC, whole seconds
	Sequence   int       // 1, or 2 and more for further copies of the same second
	Compressed bool
}

// New names a copy of the database file at path, made at time t.
func New(path string, t time.Time, compressed bool) Name {
	return Name{Database: filepath.Base(path), Time: t.UTC().Truncate(time.Second), Sequence: 1, Compressed: compressed}
}

// String returns the file name.
func (n Name) String() string {
	stem, ext := split(n.Database)
	name := stem + "-" + n.Time.Format(layout)
	if n.Sequence > 1 {
		name += "-" + strconv.Itoa(n.Sequence)
	}
	name += ext
	if n.Compressed {
		name += zstdSuffix
	}
	return name
}

// split takes the extension off a database's file name. One that would be mistaken for a suffix of
// ours belongs to the stem.
func split(database string) (stem, ext string) {
	ext = filepath.Ext(database)
	if ext == database || ext == "." || ext == zstdSuffix || ext == SidecarSuffix || strings.ContainsRune(ext, '-') {
		ext = ""
	}
	return strings.TrimSuffix(database, ext), ext
}

var form = regexp.MustCompile(`(?s)^(.+)-(\d{8}T\d{6}Z)(?:-([1-9]\d{0,8}))?(\.[^.-]+)?$`)

// Parse is the inverse of String. It reports whether file is exactly such a name.
func Parse(file string) (Name, bool) {
	bare, compressed := strings.CutSuffix(file, zstdSuffix)
	parts := form.FindStringSubmatch(bare)
	if parts == nil {
		return Name{}, false
	}
	t, err := time.Parse(layout, parts[2])
	if err != nil {
		return Name{}, false
	}
	n := Name{Database: parts[1] + parts[4], Time: t, Sequence: 1, Compressed: compressed}
	if parts[3] != "" {
		n.Sequence, _ = strconv.Atoi(parts[3])
	}
	return n, n.String() == file
}

// Compare orders names by time, the oldest first.
func Compare(a, b Name) int {
	if order := a.Time.Compare(b.Time); order != 0 {
		return order
	}
	if a.Sequence != b.Sequence {
		return a.Sequence - b.Sequence
	}
	return strings.Compare(a.String(), b.String())
}

// Choose returns the database that a user means by name: the whole file name, or the same without
// extension. An empty name means the only one. Choose fails with a list of the candidates.
func Choose(databases []string, name string) (string, error) {
	var found []string
	for _, database := range databases {
		stem, _ := split(database)
		switch name {
		case database:
			return database, nil
		case "", stem:
			found = append(found, database)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", fmt.Errorf("there are several databases: %s", strings.Join(found, ", "))
	case len(databases) == 0:
		return "", errors.New("there is no dated copy")
	}
	return "", fmt.Errorf("no copies of a database of that name, only of %s", strings.Join(databases, ", "))
}
