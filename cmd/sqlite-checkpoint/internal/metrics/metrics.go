// Package metrics keeps a file for the textfile collector of Prometheus' node_exporter. What one
// run writes, later runs and other commands keep: a last success outlives starts, failures and
// reboots.
package metrics

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

// A Name is the name of a metric.
type Name string

const (
	LastSuccess Name = "sqlite_checkpoint_last_success_timestamp_seconds"
	LastAttempt Name = "sqlite_checkpoint_last_attempt_timestamp_seconds"
	Running     Name = "sqlite_checkpoint_running"
	ExitStatus  Name = "sqlite_checkpoint_last_exit_status"
	Duration    Name = "sqlite_checkpoint_last_duration_seconds"
	Size        Name = "sqlite_checkpoint_size_bytes"
	CheckLevel  Name = "sqlite_checkpoint_check_level"
	WALSize     Name = "sqlite_checkpoint_wal_bytes"
)

// help says what each metric is, in the order of the file.
var help = []struct {
	name Name
	text string
}{
	{LastSuccess, "When the last successful run began."},
	{LastAttempt, "When the last run began."},
	{Running, "1 while a run is going on, and after one that was killed."},
	{ExitStatus, "Exit status of the last finished run."},
	{Duration, "How long the last finished run took."},
	{Size, "Size of the database image in the last successful run."},
	{CheckLevel, "Check that the image passed: 0 none, 1 structural, 2 quick, 3 full."},
	{WALSize, "Size of the -wal file when the last run ended."},
}

// A Series is a command and the database that its values are about.
type Series struct{ Command, Database string }

// Values are the metrics of a series.
type Values map[Name]float64

// Changes are values to set; a series that is nil is removed.
type Changes map[Series]Values

// ErrForeign means that a file is not a metrics file of ours.
var ErrForeign = errors.New("it exists and is not a metrics file of sqlite-checkpoint")

// Check fails if Update could not replace the file: with ErrForeign if it is another program's.
func Check(file string) error {
	dir, name, err := atomicfile.OpenPlaceOf(file)
	if err != nil {
		return err
	}
	defer dir.Close()
	_, err = read(dir, name)
	return err
}

// Update sets values in the file and keeps all others, including those that other processes set at
// the same time.
func Update(file string, changes func(before map[Series]Values) Changes) error {
	dir, name, err := atomicfile.OpenPlaceOf(file)
	if err != nil {
		return err
	}
	defer dir.Close()
	lock, err := lockDir(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	all, err := read(dir, name)
	if err != nil {
		return err
	}
	for series, values := range changes(all) {
		series.Database = Label(series.Database)
		if values == nil {
			delete(all, series)
			continue
		}
		if all[series] == nil {
			all[series] = Values{}
		}
		maps.Copy(all[series], values)
	}
	return dir.Replace(name, encode(all), 0o644)
}

// lockTimeout is far longer than any update takes.
const lockTimeout = 10 * time.Second

// lockDir keeps other updates of the files in dir out until it is closed.
func lockDir(dir *atomicfile.Place) (*os.File, error) {
	f, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(lockTimeout); ; time.Sleep(5 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) || time.Now().After(deadline) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", dir.Path(), err)
		}
	}
}

func encode(all map[Series]Values) []byte {
	var out bytes.Buffer
	sorted := slices.SortedFunc(maps.Keys(all), func(a, b Series) int {
		return strings.Compare(a.Command+"\x00"+a.Database, b.Command+"\x00"+b.Database)
	})
	for _, metric := range help {
		fmt.Fprintf(&out, "# HELP %s %s\n# TYPE %s gauge\n", metric.name, metric.text, metric.name)
		for _, series := range sorted {
			if value, ok := all[series][metric.name]; ok {
				number := strconv.FormatFloat(value, 'g', -1, 64)
				fmt.Fprintf(&out, labels+" %s\n", metric.name, escape(series.Command), escape(series.Database), number)
			}
		}
	}
	return out.Bytes()
}

const labels = `%s{command="%s",database="%s"}`

// read reads what encode made. A file that does not exist has nothing in it.
func read(dir *atomicfile.Place, name string) (map[Series]Values, error) {
	all := map[Series]Values{}
	info, err := dir.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err == nil && !info.Mode().IsRegular() {
		err = ErrForeign
	}
	if err != nil {
		return nil, err
	}
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "# ") {
			continue
		}
		name, series, value, ok := parse(lines.Text())
		if !ok {
			return nil, ErrForeign
		}
		if all[series] == nil {
			all[series] = Values{}
		}
		all[series][name] = value
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, ErrForeign
	}
	return all, lines.Err()
}

func parse(line string) (name Name, series Series, value float64, ok bool) {
	metric, rest, _ := strings.Cut(line, `{command="`)
	command, rest, _ := strings.Cut(rest, `",database="`)
	end := strings.LastIndex(rest, `"} `)
	if end < 0 || !strings.HasPrefix(metric, "sqlite_checkpoint_") {
		return "", Series{}, 0, false
	}
	value, err := strconv.ParseFloat(rest[end+3:], 64)
	return Name(metric), Series{unescape(command), unescape(rest[:end])}, value, err == nil
}

var (
	escaper   = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	unescaper = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n")
)

func escape(s string) string   { return escaper.Replace(s) }
func unescape(s string) string { return unescaper.Replace(s) }

// Label returns the path as the file has it: bytes that are not UTF-8 become \xNN.
func Label(path string) string {
	if utf8.ValidString(path) {
		return path
	}
	var out strings.Builder
	for i, r := range path {
		if _, width := utf8.DecodeRuneInString(path[i:]); r == utf8.RuneError && width == 1 {
			fmt.Fprintf(&out, `\x%02x`, path[i])
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}
