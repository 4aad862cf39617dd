package faults

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"

	"github.com/klauspost/compress/zstd"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// streamFaults are about what verify and restore are given.
var streamFaults = []matrixRow{
	{row: 82, name: "empty input", try: func(s *scene) { s.noStream(nil, "empty input") }},
	{row: 83, name: "truncated at every byte", try: truncations},
	{row: 84, name: "truncated exactly at the end of the payload", try: func(s *scene) {
		raw, compressed := s.streams()
		s.noStream(raw[:len(raw)-stream.TrailerSize], "no trailer")
		s.noStream(compressed[:len(compressed)-stream.TrailerSize-8], "no trailer")
	}},
	{row: 85, name: "bit flip at every byte", try: bitFlips},
	{row: 86, name: "trailing garbage", try: func(s *scene) {
		raw, compressed := s.streams()
		for _, data := range [][]byte{raw, compressed} {
			for _, n := range []int{1, 31, 1 << 20} {
				s.noStream(slices.Concat(data, make([]byte, n)), "data after the end")
				s.noStream(slices.Concat(data, randomBytes(n)), "data after the end")
			}
		}
	}},
	{row: 87, name: "two streams concatenated", try: func(s *scene) {
		raw, compressed := s.streams()
		for _, data := range [][]byte{slices.Concat(raw, raw), slices.Concat(compressed, compressed),
			slices.Concat(raw, compressed), slices.Concat(compressed, raw)} {
			s.noStream(data, "data after the end")
		}
	}},
	{row: 88, name: "zstd skippable or second frame", try: foreignFrames},
	{row: 89, name: "trailer of another stream, twice, or inside the payload", try: trailers},
	{row: 90, name: "wrong length field", try: wrongLengths},
	{row: 91, name: "zstd bomb or huge window", try: bombs},
	{row: 92, name: "right digest of a corrupt database", try: func(s *scene) {
		s.rollback()
		s.patch(3*4096, make([]byte, 4096)...)
		o := s.try(trial{args: []string{"backup", "--check", "none", s.db, "-"}})
		s.try(trial{args: []string{"verify", "-"}, stdin: bytes.NewReader(o.stdout)})
		s.try(trial{args: []string{"verify", "--check", "quick", "-"}, stdin: bytes.NewReader(o.stdout),
			codes: []int{codeCorrupt}, says: []string{"verify -"}})
		s.try(trial{args: []string{"restore", "-", filepath.Join(s.out, "new.db")}, stdin: bytes.NewReader(o.stdout),
			codes: []int{codeCorrupt}, says: []string{"new.db"}})
	}},
	{row: 93, name: "wrong sidecar", try: wrongSidecars},
	{row: 94, name: "unknown format version or fields", try: func(s *scene) {
		raw, _ := s.streams()
		s.noStream(edited(raw, "sqlite-checkpoint/1", "sqlite-checkpoint/2"), "newer format")
		s.noStream(edited(raw, "sqlite-checkpoint/1", "sqlite-checkpoint/0"), "trailer")
		s.noStream(edited(raw, " check=quick", " check=wrong"), "trailer")
		s.noStream(edited(raw, " check=quick", ""), "trailer")
		later := edited(raw, " check=quick", " check=quick later=field")
		s.try(trial{args: []string{"verify", "-"}, stdin: bytes.NewReader(later)})
	}},
	{row: 95, name: "restore target exists", try: func(s *scene) {
		for name, block := range map[string]func(path string) error{
			"file":             func(path string) error { return os.WriteFile(path, []byte("precious"), 0o600) },
			"directory":        func(path string) error { return os.Mkdir(path, 0o755) },
			"dangling symlink": func(path string) error { return os.Symlink("nowhere", path) },
		} {
			s.part(name, func(s *scene) { s.targetTaken(block, "new.db") })
		}
	}},
	{row: 96, name: "file beside the restore target exists", try: func(s *scene) {
		for _, suffix := range []string{"-wal", "-shm", "-journal"} {
			s.part(suffix, func(s *scene) {
				s.targetTaken(func(path string) error { return os.WriteFile(path+suffix, nil, 0o600) }, "new.db"+suffix)
			})
		}
	}},
	{row: 97, name: "restore target appears meanwhile", try: func(s *scene) {
		for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
			s.part("new.db"+suffix, func(s *scene) { s.targetAppears(suffix) })
		}
	}},
	{row: 98, name: "error or SIGKILL at the Nth write of a restore", try: restoreSweep},
	{row: 99, name: "power cut", try: syncOrder},
	{row: 100, name: "restore to a read-only or forbidden directory", try: func(s *scene) {
		raw, _ := s.streams()
		target := filepath.Join(s.out, "new.db")
		args := []string{"restore", "-", target}
		s.try(trial{args: args, stdin: bytes.NewReader(raw), codes: []int{codeSpace},
			says:  []string{s.out, "read-only"},
			under: s.mounted(fmt.Sprintf("mount --bind %s %[1]s && mount -o remount,bind,ro %[1]s", s.out))})
		s.try(trial{args: args, stdin: bytes.NewReader(raw), codes: []int{codeSpace},
			says: []string{s.out, "permission denied"}, under: s.user(harness.Nobody)})
		s.try(trial{args: []string{"restore", "-", filepath.Join(s.out, "missing", "new.db")},
			stdin: bytes.NewReader(raw), codes: []int{codeSpace}, says: []string{"missing", "no such file"}})
		s.part("file system without links", noLinks)
	}},
	{row: 101, name: "restored database in WAL mode", try: func(s *scene) {
		s.wal()
		raw := s.try(trial{}).stdout
		target := filepath.Join(s.out, "new.db")
		s.try(trial{args: []string{"restore", "-", target}, stdin: bytes.NewReader(raw), makes: []string{"new.db"}})
		for _, args := range [][]string{{"verify", "-"}, {"info", target}} {
			if o := s.try(trial{args: args, stdin: bytes.NewReader(raw)}); !strings.Contains(string(o.stdout),
				"WAL mode") {
				s.Errorf("%s does not say WAL mode: %s", args[0], o.stdout)
			}
		}
		s.Check(os.Chmod(target, 0o644))
		if out, err := s.TrySQLite(harness.Nobody, target, "SELECT count(*) FROM t;"); err == nil {
			s.Errorf("a reader without a writable directory got %s: README says otherwise", out)
		}
	}},
	{row: 102, name: "restore input is a terminal or a directory", try: func(s *scene) {
		target := filepath.Join(s.out, "new.db")
		for _, command := range [][]string{{"verify", s.source}, {"restore", s.source, target}} {
			s.try(trial{args: command, codes: []int{codeUsage}, says: []string{s.source, "is a directory"}})
		}
		for _, line := range []string{" verify -", " restore - " + target} {
			if o := s.onTerminal(s.Program + line); o.code != codeUsage || !strings.Contains(string(o.stdout),
				"it is a terminal") {
				s.Errorf("exit status %d: %s", o.code, o.stdout)
			}
		}
	}},
}

// streams backs up a small database in both forms.
func (s *scene) streams() (raw, compressed []byte) {
	s.Helper()
	s.tinyRollback()
	raw = s.try(trial{}).stdout
	compressed = s.try(trial{args: []string{"backup", "--zstd", s.db, "-"}}).stdout
	return raw, compressed
}

// noStream wants what it is given to be refused, by verify and by restore, from stdin and from a
// file.
func (s *scene) noStream(data []byte, cause string) {
	s.Helper()
	target := filepath.Join(s.out, "new.db")
	file := s.save(data)
	defer os.Remove(file)
	for _, tr := range []trial{
		{args: []string{"verify", "-"}, stdin: bytes.NewReader(data), says: []string{"-", cause}},
		{args: []string{"verify", file}, says: []string{file, cause}},
		{args: []string{"restore", "-", target}, stdin: bytes.NewReader(data), says: []string{"-", cause}},
		{args: []string{"restore", file, target}, says: []string{file, cause}},
	} {
		tr.codes = []int{codeStream}
		s.try(tr)
	}
}

// edited replaces something in a raw stream's trailer and makes its checksum right again.
func edited(raw []byte, old, new string) []byte {
	image, trailer := raw[:len(raw)-stream.TrailerSize], string(raw[len(raw)-stream.TrailerSize:])
	line, _, _ := strings.Cut(trailer, " line=")
	line = strings.Replace(line, old, new, 1)
	line += fmt.Sprintf(" line=%08x", crc32.ChecksumIEEE([]byte(line)))
	return slices.Concat(image, fmt.Appendf(nil, "%-255s\n", line))
}

// truncations cuts a small stream at every byte and a large one at many points.
func truncations(s *scene) {
	raw, compressed := s.streams()
	for _, data := range [][]byte{raw, compressed} {
		for n := range data {
			if readStream(data[:n], stream.ReaderOptions{}) == nil {
				s.Errorf("%d of %d bytes pass", n, len(data))
			}
		}
		s.tally.add("refused", len(data))
		for i := range 12 {
			s.noStream(data[:i*len(data)/12], "")
		}
		s.noStream(data[:len(data)-1], "truncated")
	}
	s.part("large", func(s *scene) {
		s.SQLite(s.db, rowsSQL(20000))
		for _, flags := range [][]string{nil, {"--zstd"}} {
			data := s.try(trial{args: slices.Concat([]string{"backup"}, flags, []string{s.db, "-"})}).stdout
			const points = 200
			for i := range points {
				n := len(data) - 1 - i*i*len(data)/points/points // more of them towards the end
				if readStream(data[:n], stream.ReaderOptions{}) == nil {
					s.Errorf("%d of %d bytes pass", n, len(data))
				}
			}
			s.tally.add("refused", points)
		}
	})
}

// bitFlips flips a bit of every byte: the stream is refused, or the image is the same all the same.
func bitFlips(s *scene) {
	raw, compressed := s.streams()
	image := raw[:len(raw)-stream.TrailerSize]
	for _, data := range [][]byte{raw, compressed} {
		same := 0
		for i := range data {
			for bit := range 8 {
				data[i] ^= 1 << bit
				got, err := readImage(data)
				data[i] ^= 1 << bit
				if err == nil && !bytes.Equal(got, image) {
					s.Errorf("bit %d of byte %d: another image passes", bit, i)
				} else if err == nil {
					same++
				}
			}
		}
		s.tally.add("refused", 8*len(data)-same)
		s.tally.add("same image", same)
		if same > len(data)/10 {
			s.Errorf("%d flips make no difference", same)
		}
		for i := 0; i < len(data); i += len(data) / 11 {
			flipped := bytes.Clone(data)
			flipped[i] ^= 0x10
			if _, err := readImage(flipped); err != nil {
				s.noStream(flipped, "")
			}
		}
	}
}

func readImage(data []byte) ([]byte, error) {
	r := stream.NewReader(bytes.NewReader(data), stream.ReaderOptions{})
	defer r.Close()
	return io.ReadAll(r)
}

// foreignFrames puts zstd frames where none belongs, which every zstd decoder would accept.
func foreignFrames(s *scene) {
	_, compressed := s.streams()
	trailer := compressed[len(compressed)-stream.TrailerSize-8:]
	frames := compressed[:len(compressed)-len(trailer)]
	skippable := []byte("\x50\x2a\x4d\x18\x05\x00\x00\x00hello")
	empty := s.zstdFrame(nil)
	for _, data := range [][]byte{
		slices.Concat(skippable, compressed),
		slices.Concat(frames, skippable, trailer),
		slices.Concat(compressed, skippable),
		slices.Concat(empty, compressed),
		slices.Concat(frames, empty, trailer),
		slices.Concat(compressed, empty),
		slices.Concat(frames, frames, trailer),
		slices.Concat(frames, trailer, trailer),
	} {
		s.noStream(data, "")
	}
}

func (s *scene) zstdFrame(data []byte, options ...zstd.EOption) []byte {
	s.Helper()
	encoder, err := zstd.NewWriter(nil, append(options, zstd.WithZeroFrames(true))...)
	s.Check(err)
	defer encoder.Close()
	return encoder.EncodeAll(data, nil)
}

func trailers(s *scene) {
	raw, compressed := s.streams()
	s.Check(os.Remove(s.db))
	s.tinyRollback()
	other := s.try(trial{}).stdout
	s.noStream(slices.Concat(raw[:len(raw)-stream.TrailerSize], other[len(other)-stream.TrailerSize:]), "mismatch")
	s.noStream(slices.Concat(raw, raw[len(raw)-stream.TrailerSize:]), "data after the end")
	s.noStream(slices.Concat(compressed, compressed[len(compressed)-stream.TrailerSize-8:]), "data after the end")
	s.part("inside", func(s *scene) {
		line := string(raw[len(raw)-stream.TrailerSize:])
		s.SQLite(s.db, rowsSQL(10), fmt.Sprintf("INSERT INTO t(v) VALUES('%s');", line),
			fmt.Sprintf("INSERT INTO t(v) VALUES('%s');", strings.Repeat(line, 40)))
		for _, flags := range [][]string{nil, {"--zstd"}} {
			data := s.try(trial{args: slices.Concat([]string{"backup"}, flags, []string{s.db, "-"})}).stdout
			s.try(trial{args: []string{"verify", "-"}, stdin: bytes.NewReader(data)})
		}
	})
}

// wrongLengths edits the length in the trailer, and the fields of the database header that say
// where the image ends.
func wrongLengths(s *scene) {
	raw, _ := s.streams()
	size := fmt.Sprintf(" size=%d", len(raw)-stream.TrailerSize)
	for _, wrong := range []string{"0", "-1", "1", "9223372036854775808", "9223372036854775807", "18446744073709551615",
		"+" + size[6:], "0" + size[6:], size[6:] + "0", ""} {
		s.noStream(edited(raw, size, " size="+wrong), "")
	}
	for _, wrong := range [][]byte{{0, 0, 0, 0}, {0, 0, 0, 1}, {0xff, 0xff, 0xff, 0xfe}, {0xff, 0xff, 0xff, 0xff},
		{0x80, 0, 0, 0}} {
		data := bytes.Clone(raw)
		copy(data[28:], wrong)
		s.modestly(data)
	}
	for _, wrong := range [][]byte{{0, 0}, {0, 1}, {2, 1}, {0x80, 0}, {0xff, 0xff}} {
		data := bytes.Clone(raw)
		copy(data[16:], wrong)
		s.modestly(data)
	}
}

// modestly wants data refused without much memory or work.
func (s *scene) modestly(data []byte) {
	s.Helper()
	target := filepath.Join(s.out, "new.db")
	for _, args := range [][]string{{"verify", "-"}, {"verify", "--check", "quick", "-"}, {"restore", "-", target}} {
		s.try(trial{args: args, stdin: bytes.NewReader(data), codes: []int{codeStream, codeSpace},
			weigh: true}).modest(5*time.Second, 200)
	}
}

func bombs(s *scene) {
	raw, _ := s.streams()
	image := raw[:len(raw)-stream.TrailerSize]
	bomb := s.zstdFrame(append(bytes.Clone(image), make([]byte, 512<<20)...), zstd.WithEncoderCRC(true),
		zstd.WithEncoderConcurrency(1))
	s.modestly(bomb)
	s.modestly(slices.Concat(s.zstdFrame(image), bomb))
	// A frame that asks for a window of 3.75 TB, of 2 GB, and one that declares 2^63 bytes.
	for _, header := range []string{"\x28\xb5\x2f\xfd\x00\xff", "\x28\xb5\x2f\xfd\x00\xa8",
		"\x28\xb5\x2f\xfd\xe0\x00\x00\x00\x00\x00\x00\x00\x80",
		"\x28\xb5\x2f\xfd\xe0\xff\xff\xff\xff\xff\xff\xff\xff"} {
		s.modestly(slices.Concat([]byte(header), image))
		s.modestly(slices.Concat([]byte(header), s.zstdFrame(image)[6:]))
	}
}

func wrongSidecars(s *scene) {
	s.rollback()
	copied := filepath.Join(s.out, "copy.db")
	s.try(trial{args: []string{"backup", s.db, copied}, makes: []string{"copy.db", "copy.db.sha256"}})
	sidecar := copied + ".sha256"
	right := string(s.Read(sidecar))
	hex, _, _ := strings.Cut(right, " ")
	s.try(trial{args: []string{"verify", copied}})
	for _, wrong := range []string{
		"", "\n", hex, hex + "\n", right + right, right + "\n",
		hex + " *copy.db\n", hex + " copy.db\n",
		strings.ToUpper(hex) + "  copy.db\n", hex + "  copy.db\r\n", hex[1:] + "  copy.db\n", "SHA256 (copy.db) = " +
			hex + "\n", strings.Repeat("x", 1<<20),
		strings.Repeat("0", 64) + "  copy.db\n",
	} {
		s.Write(sidecar, []byte(wrong))
		for _, args := range [][]string{{"verify", copied}, {"verify", "--sidecar", sidecar, copied},
			{"restore", copied, filepath.Join(s.out, "new.db")}} {
			s.try(trial{args: args, codes: []int{codeStream}, says: []string{"copy.db"}})
		}
	}
	for _, other := range []string{"other.db", "../copy.db", copied} { // a file that was renamed has its sidecar named
		s.Write(sidecar, []byte(hex+"  "+other+"\n"))
		s.try(trial{args: []string{"verify", copied}, codes: []int{codeStream}, says: []string{"copy.db"}})
		s.try(trial{args: []string{"verify", "--sidecar", sidecar, copied}})
	}
	s.Check(os.Remove(sidecar))
	s.try(trial{args: []string{"verify", copied}, codes: []int{codeStream}, says: []string{"copy.db", "no trailer",
		"--sha256", "--sidecar", "--unproven"}})
	s.try(trial{args: []string{"verify", "--sidecar", sidecar, copied}, codes: []int{codeSource},
		says: []string{"copy.db.sha256", "no such file"}})
}

// targetTaken wants a restore refused because of what block has put in its way.
func (s *scene) targetTaken(block func(path string) error, inTheWay string) {
	s.Helper()
	raw, _ := s.streams()
	target := filepath.Join(s.out, "new.db")
	s.Check(block(target))
	s.try(trial{args: []string{"restore", "-", target}, stdin: bytes.NewReader(raw), codes: []int{codeExists},
		says: []string{inTheWay, "exists"}})
	s.try(trial{args: []string{"restore", s.save(raw), target}, codes: []int{codeExists},
		says: []string{inTheWay, "exists"}})
}

// targetAppears makes the target, or a file that belongs to it, when the restore has begun.
func (s *scene) targetAppears(suffix string) {
	s.Helper()
	raw, _ := s.streams()
	target := filepath.Join(s.out, "new.db")
	r, w, err := os.Pipe()
	s.Check(err)
	p := s.start(trial{args: []string{"restore", "-", target}, stdin: r, codes: []int{codeExists},
		says: []string{"new.db" + suffix, "exists"}})
	r.Close()
	_, err = w.Write(raw[:len(raw)-1])
	s.Check(err)
	harness.Eventually(p, "it has begun", func() bool {
		found, _ := filepath.Glob(filepath.Join(s.out, ".sqlite-checkpoint-*", "image.db"))
		return len(found) > 0 || p.over()
	})
	s.Write(target+suffix, []byte("precious"))
	p.before[2]["new.db"+suffix], err = testkit.DescribeFile(target + suffix)
	s.Check(err)
	_, err = w.Write(raw[len(raw)-1:])
	s.Check(err)
	s.Check(w.Close())
	p.finish()
}

// noLinks restores to a file system that knows neither links nor a rename that does not replace.
func noLinks(s *scene) {
	raw, _ := s.streams()
	target := filepath.Join(s.out, "new.db")
	for _, call := range []string{"linkat", "linkat,renameat2"} {
		o := s.try(trial{args: []string{"restore", "-", target}, stdin: bytes.NewReader(raw),
			codes: []int{codeDone, codeSpace}, makes: []string{"new.db"},
			says:  []string{"new.db", "a rename that replaces nothing"},
			under: s.strace("-e", "trace="+call, "-e", "inject="+call+":error=EPERM")})
		if want := strings.Contains(call, ","); o.injected() == 0 || (o.code != codeDone) != want {
			s.Errorf("without %s: exit status %d, %d injected", call, o.code, o.injected())
		}
		s.clearOut()
	}
}

// syncOrder shows by a trace that a name appears only for durable bytes, and is itself durable
// before success is told.
func syncOrder(s *scene) {
	raw, _ := s.streams()
	for name, c := range map[string]struct {
		args  []string
		makes []string
	}{
		"restore": {[]string{"restore", s.save(raw), filepath.Join(s.out, "new.db")}, []string{"new.db"}},
		"backup":  {[]string{"backup", s.db, filepath.Join(s.out, "new.db")}, []string{"new.db", "new.db.sha256"}},
		"zstd":    {[]string{"backup", "--zstd", s.db, filepath.Join(s.out, "new.db")}, []string{"new.db"}},
	} {
		o := s.try(trial{args: c.args, makes: c.makes, under: s.strace("-y", "-e",
			"trace=fsync,fdatasync,linkat,renameat2,renameat,rename,write,pwrite64,exit_group")})
		for _, made := range c.makes {
			s.durable(name, o.trace, made)
		}
		s.clearOut()
	}
}

// durable wants, in a trace with paths: fsync of the file, link to its name, fsync of the
// directory.
func (s *scene) durable(name, trace, made string) {
	s.Helper()
	link := strings.Index(trace, fmt.Sprintf("<%s>, %q", s.out, made))
	if link < 0 {
		s.Fatalf("%s: no link to %s:\n%s", name, made, trace)
	}
	line := trace[strings.LastIndex(trace[:link], "\n")+1 : link]
	_, from, _ := strings.Cut(line, "<") // linkat(8<directory>, "name", ...
	from, _, _ = strings.Cut(strings.Replace(from, ">, \"", "/", 1), "\"")
	file := strings.LastIndex(trace[:link], "<"+from+">) = 0")
	if file < 0 || !strings.Contains(trace[strings.LastIndex(trace[:file], "\n")+1:file], "sync(") {
		s.Errorf("%s: %s is not synced before it is called %s:\n%s", name, from, made, trace)
	}
	if written := strings.LastIndex(trace[:link], "<"+from+">, "); written > file {
		s.Errorf("%s: %s is written to after it was synced", name, from)
	}
	if !strings.Contains(trace[link:], "<"+s.out+">) = 0") {
		s.Errorf("%s: the directory is not synced after %s was made:\n%s", name, made, trace)
	}
}
