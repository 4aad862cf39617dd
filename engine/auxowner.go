package engine

import (
	"fmt"
	"io/fs"
	"os"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

// checkAuxFiles checks the files that SQLite would open beside the database. It follows no link
// there, and as root it would chown them to the owner of the database: a user who can write to the
// directory could put another user's file there.
func (s *sourceFile) checkAuxFiles() error {
	for _, suffix := range auxSuffixes {
		info, err := os.Lstat(s.path + suffix)
		if err != nil {
			continue // an error is reported where the file is needed
		}
		if why := s.foreign(info); why != "" {
			return &Error{Kind: KindForeignFile, Op: "open", Path: s.name, Err: fmt.Errorf("%s %s", s.path+suffix, why)}
		}
	}
	return nil
}

// foreign returns why the application of the database cannot have created the file, or "" if it
// can.
func (s *sourceFile) foreign(info fs.FileInfo) string {
	const othersMayWrite = 0o022
	switch uid := ownerID(info); {
	case info.Mode().Type() == fs.ModeSymlink:
		return "is a symbolic link"
	case os.Geteuid() != 0:
		return ""
	case !info.Mode().IsRegular():
		return "" // which is refused in any case
	case osfile.HardLinks(info) > 1:
		return "has another hard link"
	case uid != ownerID(s.info) && s.info.Mode()&othersMayWrite == 0:
		return fmt.Sprintf("belongs to uid %d, the database to uid %d", uid, ownerID(s.info))
	}
	return ""
}

// ownerID returns the file's user ID, -1 if unknown.
func ownerID(info fs.FileInfo) int {
	uid, _ := osfile.Owner(info)
	return uid
}
