package stage

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

// Open opens the stage dir, which keeps its copies from run to run, and makes it if it is not
// there. It fails with KindBusy if another process uses the stage, and with KindExists if dir is
// anything but a stage.
func Open(dir string) (*Stage, error) {
	s := &Stage{dir: dir}
	if err := s.adopt(); err != nil {
		return nil, err
	}
	if err := s.lock(); errors.Is(err, unix.EWOULDBLOCK) {
		why := errors.New("another run uses it")
		return nil, &engine.Error{Kind: engine.KindBusy, Op: "lock the stage", Path: dir, Err: why}
	} else if err != nil {
		return nil, failure("lock the stage", dir, err)
	}
	if err := s.begin(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// adopt creates the directory, or makes sure that it is a private stage of this user.
func (s *Stage) adopt() error {
	err := os.MkdirAll(s.dir, 0o700)
	if err == nil {
		err = s.checkPrivate()
	}
	if err == nil {
		err = os.MkdirAll(s.meta(), 0o700)
	}
	if err != nil {
		return failure("use the stage", s.dir, err)
	}
	return nil
}

func (s *Stage) checkPrivate() error {
	info, err := os.Lstat(s.dir)
	if err != nil {
		return err
	}
	refused := func(why string) error {
		return &engine.Error{Kind: engine.KindExists, Op: "use the stage", Path: s.dir, Err: errors.New(why)}
	}
	if !info.IsDir() {
		return refused("not a directory")
	}
	if owner := int(info.Sys().(*syscall.Stat_t).Uid); owner != os.Geteuid() {
		return refused(fmt.Sprintf("the directory belongs to another user (%d)", owner))
	}
	if _, err := os.Lstat(s.meta()); errors.Is(err, fs.ErrNotExist) {
		if entries, err := os.ReadDir(s.dir); err != nil || len(entries) > 0 {
			return refused("the directory is neither empty nor a stage")
		}
	}
	return os.Chmod(s.dir, 0o700)
}

// begin removes what a killed run has left behind, and reads the records.
func (s *Stage) begin() error {
	if err := checkUnmounted(s.dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.meta())
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) == ".db" {
			err = errors.Join(err, os.Remove(filepath.Join(s.meta(), entry.Name())))
		}
	}
	if err != nil {
		return failure("clear", s.meta(), err)
	}
	s.records = readRecords(s.recordsName())
	return nil
}

// A record is what a stage knows of a copy that it keeps.
type record struct {
	Token []byte       // of the database, before it was copied
	Check engine.Check // that was asked for
	File  fileID       // the copy
	Copy  Copy
}

// A fileID changes with every change of a file, attributes included.
type fileID struct {
	Dev, Ino     uint64
	Size         int64
	Mtime, Ctime int64 // nanoseconds
}

func identify(path string) (fileID, error) {
	var stat unix.Stat_t
	if err := unix.Lstat(path, &stat); err != nil {
		return fileID{}, err
	}
	return fileID{uint64(stat.Dev), stat.Ino, stat.Size, stat.Mtim.Nano(), stat.Ctim.Nano()}, nil
}

// recordsVersion changes with the meaning of a record: those of another version are not used.
const recordsVersion = 1

type recordsFile struct {
	Version int
	Records map[string]record // by absolute path
}

func (s *Stage) recordsName() string { return filepath.Join(s.meta(), "records") }

// readRecords reads what Save wrote. Without it, all databases are copied again.
func readRecords(name string) map[string]record {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	var file recordsFile
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&file); err != nil || file.Version != recordsVersion {
		return nil
	}
	return file.Records
}

// Save records the copies for the next run, if the stage is kept and its records have changed.
func (s *Stage) Save(copies []Copy) error {
	if s.temporary {
		return nil
	}
	file := recordsFile{Version: recordsVersion, Records: map[string]record{}}
	changed := len(s.records) == 0
	for _, c := range copies {
		if c.Err != nil {
			continue
		}
		r := record{Token: c.token, Check: c.check, Copy: c}
		var err error
		if r.File, err = identify(s.Path(c.Source)); err != nil {
			return failure("look at", s.Path(c.Source), err)
		}
		file.Records[c.Source] = r
		changed = changed || !c.Unchanged
	}
	if !changed && len(file.Records) == len(s.records) {
		return nil
	}
	var data bytes.Buffer
	if err := gob.NewEncoder(&data).Encode(file); err != nil {
		return failure("write", s.recordsName(), err)
	}
	if err := atomicfile.Replace(s.recordsName(), data.Bytes(), 0o600); err != nil {
		return failure("write", s.recordsName(), err)
	}
	return nil
}

// kept returns the copy that the stage has of a database with that token, if the copy is unchanged.
func (s *Stage) kept(source string, token engine.Token, check engine.Check) (Copy, bool) {
	r, ok := s.records[source]
	if !ok || r.Check != check {
		return Copy{}, false
	}
	var then engine.Token
	if err := then.UnmarshalText(r.Token); err != nil || then != token {
		return Copy{}, false
	}
	if now, err := identify(s.Path(source)); err != nil || now != r.File {
		return Copy{}, false
	}
	c := r.Copy
	c.Moment, c.Unchanged, c.token, c.check = time.Now(), true, r.Token, r.Check
	return c, true
}
