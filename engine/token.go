package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

// A Token is the state of a database as stat(2) shows it: device, inode, size and modification time
// of the database, of its -wal and of its -journal, unless they are absent or empty, and the change
// time of the database. Two equal tokens of one path prove that nothing was committed between them,
// as every commit writes to one of these files. Different tokens prove nothing.
//
// A Token is comparable: use ==, or use it as a key. One that [Token.Doubt] doubts equals no other
// token, nor does one that was taken before the last boot. The zero Token equals no token that was
// taken.
type Token struct {
	boot               string
	main, wal, journal tokenFile
	doubt              Doubt
	nonce              uint64 // random where doubt is not empty
}

// A tokenFile is a file's part of a token, zero without a file, and for an empty -wal or -journal.
type tokenFile struct {
	dev, ino     uint64
	size         int64
	mtime, ctime int64 // nanoseconds since 1970; ctime is 0 for -wal and -journal
}

// A Doubt is the reason why a [Token] equals no other one.
type Doubt string

const (
	// DoubtRecent: a file was modified so recently that the next change might leave its times as
	// they are. A token that is taken two seconds later, with no change between, is not doubted.
	DoubtRecent Doubt = "recent"
	// DoubtFilesystem: stat(2) may return cached attributes on a network, FUSE or unknown file
	// system.
	DoubtFilesystem Doubt = "filesystem"
	// DoubtHardLinks: the database has several names, and an application that uses another one also
	// has the -wal under that other name.
	DoubtHardLinks Doubt = "hard_links"
	// DoubtBoot: the kernel does not identify the current boot, and a crash can lose recent times.
	DoubtBoot Doubt = "boot"
)

// tokenMargin is the age that all times of a token must have. File systems round times down: the
// kernel's clock ticks every 1 to 10 ms, and FAT, the coarsest, stores even seconds only.
const tokenMargin = 2 * time.Second

// TakeToken returns the token of the database path. It opens nothing and takes no lock, so that it
// is safe for a database that the process has open. Errors are of type [*Error]: [KindMissing] or
// [KindUnreadable].
func TakeToken(path string) (Token, error) {
	return tokenClock{now: time.Now, lstat: lstatToken, boot: osfile.BootID()}.take(path)
}

// A tokenClock is what a token depends on besides the files.
type tokenClock struct {
	now   func() time.Time
	lstat func(path string) (file tokenFile, links int, err error)
	boot  string
}

func (c tokenClock) take(name string) (Token, error) {
	const op = "stat"
	path := name
	if info, err := os.Lstat(name); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		// SQLite finds the -wal beside the link's target.
		if path, err = Resolve(name); err != nil {
			return Token{}, sourceError(op, name, err)
		}
	}
	now := c.now() // before the first stat(2): what changes later is newer than this
	main, links, err := c.lstat(path)
	if err != nil {
		return Token{}, sourceError(op, name, err)
	}
	t := Token{boot: c.boot, main: main}
	if t.wal, err = c.lstatSide(path + "-wal"); err != nil {
		return Token{}, sourceError(op, name, err)
	}
	if t.journal, err = c.lstatSide(path + "-journal"); err != nil {
		return Token{}, sourceError(op, name, err)
	}
	reliable, err := reliableTimes(path)
	if err != nil {
		return Token{}, sourceError(op, name, err)
	}
	if t.doubt = t.judge(now, reliable, links); t.doubt != "" {
		t.nonce = rand.Uint64()
	}
	return t, nil
}

func (t Token) judge(now time.Time, reliable bool, links int) Doubt {
	switch {
	case !reliable:
		return DoubtFilesystem
	case links > 1:
		return DoubtHardLinks
	case t.boot == "":
		return DoubtBoot
	case !t.settled(now):
		return DoubtRecent
	}
	return ""
}

// lstatSide leaves out what a connection that only reads changes: it creates an empty -wal and
// removes it. Whenever root opens a database, SQLite also gives a -wal or -journal to the
// database's owner, which changes its change time. The next commit changes the modification time.
func (c tokenClock) lstatSide(path string) (tokenFile, error) {
	file, _, err := c.lstat(path)
	file.ctime = 0
	if errors.Is(err, fs.ErrNotExist) || err == nil && file.size == 0 {
		return tokenFile{}, nil
	}
	return file, err
}

func lstatToken(path string) (tokenFile, int, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return tokenFile{}, 0, err
	}
	if !info.Mode().IsRegular() {
		return tokenFile{}, 0, errors.New("not a regular file")
	}
	s, _ := osfile.StateOf(info)
	return tokenFileOf(s), osfile.HardLinks(info), nil
}

func tokenFileOf(s osfile.FileState) tokenFile {
	return tokenFile{s.Dev, s.Ino, s.Size, s.Mtime.UnixNano(), s.Ctime.UnixNano()}
}

// settled reports whether any later change must give one of the files another time.
func (t Token) settled(now time.Time) bool {
	return t.main.settled(now) && t.wal.settled(now) && t.journal.settled(now)
}

func (f tokenFile) settled(now time.Time) bool {
	return max(f.mtime, f.ctime) <= now.Add(-tokenMargin).UnixNano()
}

// reliableFilesystems are local: what stat(2) returns is current, not cached.
var reliableFilesystems = map[string]bool{
	"btrfs": true, "ext4": true, "f2fs": true, "overlayfs": true, "tmpfs": true, "xfs": true, "zfs": true,
	"apfs": true, "hfs": true, "ufs": true,
}

func reliableTimes(path string) (bool, error) {
	name, network, err := networkFilesystem(path)
	return reliableFilesystems[name] && !network, err
}

// Doubt returns why the token equals no other one; it is empty if it may.
func (t Token) Doubt() Doubt { return t.doubt }

// WALSize returns the size of the -wal in bytes, 0 if there is none.
func (t Token) WALSize() int64 { return t.wal.size }

// tokenFormat has the version, the boot ID, the three files, the doubt and the nonce.
const tokenFormat = "1 %s %s %s %s %s %x"

// MarshalText encodes the token as one line of ASCII, for [Token.UnmarshalText].
func (t Token) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, tokenFormat, orDash(t.boot), t.main.text(), t.wal.text(), t.journal.text(),
		orDash(string(t.doubt)), t.nonce), nil
}

// UnmarshalText decodes what [Token.MarshalText] wrote, and fails on everything else.
func (t *Token) UnmarshalText(text []byte) error {
	fields := strings.Split(string(text), " ")
	if len(fields) != len(strings.Split(tokenFormat, " ")) {
		return errTokenText
	}
	read := Token{boot: fromDash(fields[1]), doubt: Doubt(fromDash(fields[5]))}
	for i, file := range []*tokenFile{&read.main, &read.wal, &read.journal} {
		file.parse(fields[2+i])
	}
	fmt.Sscanf(fields[6], "%x", &read.nonce)
	if again, _ := read.MarshalText(); string(again) != string(text) {
		return errTokenText
	}
	*t = read
	return nil
}

var errTokenText = errors.New("not a token")

const tokenFileFormat = "%d:%d:%d:%d:%d"

func (f tokenFile) text() string {
	if f == (tokenFile{}) {
		return "-"
	}
	return fmt.Sprintf(tokenFileFormat, f.dev, f.ino, f.size, f.mtime, f.ctime)
}

func (f *tokenFile) parse(text string) {
	fmt.Sscanf(text, tokenFileFormat, &f.dev, &f.ino, &f.size, &f.mtime, &f.ctime)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func fromDash(s string) string {
	if s == "-" {
		return ""
	}
	return s
}
