package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// recipe is the version of what buildDatabase makes. Increase it with every change of that, or old
// databases are used.
const recipe = "v1"

// schema is three tables with five indexes. The indexes are created before the rows, as in a
// database that has grown: their pages lie between those of the tables, and are not full.
const schema = `
CREATE TABLE event (id INTEGER PRIMARY KEY, at INTEGER, owner INTEGER, key TEXT, body TEXT);
CREATE TABLE document (id INTEGER PRIMARY KEY, at INTEGER, owner INTEGER, key TEXT, body TEXT);
CREATE TABLE session (id INTEGER PRIMARY KEY, at INTEGER, owner INTEGER, key TEXT, body TEXT);
CREATE INDEX event_owner ON event (owner, at);
CREATE INDEX event_key ON event (key);
CREATE INDEX document_owner ON document (owner, at);
CREATE INDEX document_key ON document (key);
CREATE INDEX session_key ON session (key);`

// shares are the tables' shares of all rows, in percent. As all rows are alike, they are also their
// shares of the bytes.
var shares = []struct {
	table   string
	percent int64
}{{"event", 50}, {"document", 30}, {"session", 20}}

const (
	bytesPerRow = 323     // with its entries in the indexes
	emptyBytes  = 9 << 12 // the schema and the roots of tables and indexes
)

// database returns the path of a database of that size, and builds it unless it exists.
func database(dir string, size int64) (string, error) {
	path := filepath.Join(dir, fmt.Sprintf("%s-%s.db", recipe, sizeName(size)))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	building := path + ".building"
	for _, suffix := range []string{"", "-wal", "-shm"} {
		os.Remove(building + suffix)
	}
	if err := buildDatabase(building, size); err != nil {
		return "", err
	}
	if err := checkRecipe(building, size); err != nil {
		return "", err
	}
	return path, os.Rename(building, path)
}

// buildDatabase has the sqlite3 shell import rows that are written to it through one pipe a table.
func buildDatabase(path string, size int64) error {
	fmt.Fprintf(os.Stderr, "building %s\n", path)
	commands := []string{path, "PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", "PRAGMA cache_size=-1000000",
		schema, "BEGIN"}
	for i, share := range shares {
		commands = append(commands, fmt.Sprintf(".import --csv /dev/fd/%d %s", i+3, share.table))
	}
	commands = append(commands, "COMMIT", "PRAGMA journal_mode=WAL")
	cmd := exec.Command("sqlite3", append([]string{"-batch", "-bail"}, commands...)...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said

	rows := max(10, (size-emptyBytes)/bytesPerRow)
	for i, share := range shares {
		from, to, err := os.Pipe()
		if err != nil {
			return err
		}
		defer from.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, from)
		go func() {
			defer to.Close()
			writeRows(to, rand.New(rand.NewPCG(6, uint64(i))), rows*share.percent/100)
		}()
	}
	if err := cmd.Run(); err != nil || strings.Contains(said.String(), "rror") {
		return fmt.Errorf("sqlite3 %s: %v\n%s", path, err, said.String())
	}
	return nil
}

// writeRows writes rows as CSV that needs no quotes. It ignores write errors: the reader reports
// why it has gone.
func writeRows(to io.Writer, random *rand.Rand, rows int64) {
	vocabulary := newVocabulary(random)
	w := bufio.NewWriterSize(to, 1<<16)
	defer w.Flush()
	var line []byte
	at := int64(1_700_000_000_000)
	for id := int64(1); id <= rows; id++ {
		at += random.Int64N(20_000)
		line = fmt.Appendf(line[:0], "%d,%d,%d,%016x,", id, at, random.Int64N(1+rows/50), random.Uint64())
		line = vocabulary.appendText(line, bodyLength(random))
		if _, err := w.Write(append(line, '\n')); err != nil {
			return
		}
	}
}

// bodyLength returns mostly 40 to 280 bytes; one row in 100 is large enough to need overflow pages.
func bodyLength(random *rand.Rand) int {
	if random.IntN(100) == 0 {
		return 4_000 + random.IntN(6_000)
	}
	return 40 + random.IntN(240)
}

// A vocabulary makes text that compresses about as well as text in real databases.
type vocabulary struct {
	random *rand.Rand
	words  []string
}

func newVocabulary(random *rand.Rand) *vocabulary {
	v := &vocabulary{random: random}
	for range 20_000 {
		word := make([]byte, 2+random.IntN(9))
		for i := range word {
			word[i] = "eeeeaaaooiittnnsrhldcumfpgwybvkxjqz"[random.IntN(35)]
		}
		v.words = append(v.words, string(word))
	}
	return v
}

// appendText appends words, some of them more often than others, and now and then a number, until
// there are n bytes.
func (v *vocabulary) appendText(text []byte, n int) []byte {
	for end := len(text) + n; len(text) < end; {
		switch kind := v.random.IntN(10); {
		case kind == 0:
			text = fmt.Appendf(text, "%d ", v.random.Uint32())
		case kind < 5:
			text = append(append(text, v.words[v.random.IntN(200)]...), ' ')
		default:
			text = append(append(text, v.words[v.random.IntN(len(v.words))]...), ' ')
		}
	}
	return text
}

// checkRecipe checks that the database has about the size and the compressibility that it should.
func checkRecipe(path string, size int64) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if got := float64(info.Size()) / float64(size); got < 0.9 || got > 1.1 {
		return fmt.Errorf("%s has %d bytes instead of about %d: bytesPerRow is wrong", path, info.Size(), size)
	}
	if size < 1e6 { // too small for the ratio to mean anything
		return nil
	}
	ratio, err := compression(path, min(info.Size(), 256e6))
	if err == nil && (ratio < 0.45 || ratio > 0.6) {
		err = fmt.Errorf("%s: zstd -3 makes %.2f of it, not about half", path, ratio)
	}
	return err
}

// compression returns the compressed size of the first n bytes under zstd -3, divided by n.
func compression(path string, n int64) (float64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var compressed counter
	cmd := exec.Command("zstd", "-q", "-3", "-T0", "-c")
	cmd.Stdin, cmd.Stdout = io.LimitReader(f, n), &compressed
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("zstd %s: %w", path, err)
	}
	return float64(compressed) / float64(n), nil
}

// A counter counts the bytes that are written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
