package stream

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"
)

// memoryLimit is what either end may take in kB, with the program itself: it leaves room for SQLite
// below 64 MiB.
const memoryLimit = 48 << 10

func init() {
	helpers["memory"] = func(args []string) error {
		runtime.GOMAXPROCS(8)
		stop, peak := make(chan bool), make(chan int)
		go watchMemory(stop, peak)
		end := map[string]func() error{
			"write": func() error { return writeEndless(os.Stdout, 100<<20) },
			"read":  func() error { _, _, err := discard(os.Stdin); return err },
		}[args[0]]
		if err := end(); err != nil {
			return err
		}
		close(stop)
		_, err := fmt.Fprintln(os.Stderr, <-peak)
		return err
	}
}

func writeEndless(dst io.Writer, size int64) error {
	w, err := NewWriter(dst, WriterOptions{Format: Zstd, Size: size})
	if err != nil {
		return err
	}
	defer w.Close()
	page := make([]byte, 65536)
	copy(page, imageMagic)
	binary.BigEndian.PutUint16(page[16:], 1)
	binary.BigEndian.PutUint32(page[28:], uint32(size/65536))
	for n := range size / 65536 {
		if _, err := w.Write(page); err != nil {
			return err
		}
		text(page[:30000], int(n))
		noise(page[30000:], int(n))
	}
	return w.Close()
}

// watchMemory sends the highest RssAnon, in kB, that this process had until stop. It allocates next
// to nothing.
func watchMemory(stop chan bool, peak chan int) {
	status, err := os.Open("/proc/self/status")
	if err != nil {
		panic(err)
	}
	defer status.Close()
	highest, buf := 0, make([]byte, 8192)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			peak <- highest
			return
		case <-tick.C:
			n, _ := status.ReadAt(buf, 0)
			highest = max(highest, anonymousMemory(buf[:n]))
		}
	}
}

func anonymousMemory(status []byte) (kB int) {
	_, after, _ := bytes.Cut(status, []byte("RssAnon:"))
	for _, c := range bytes.TrimLeft(after, " \t") {
		if c < '0' || c > '9' {
			break
		}
		kB = kB*10 + int(c-'0')
	}
	return kB
}

// TestMemory has one process write a compressed stream and another read it, on more CPUs than they
// use.
func TestMemory(t *testing.T) {
	if raceDetector {
		t.Log("the race detector's own memory is many times ours; measured without it")
		return
	}
	writer, reader := memoryHelper("write"), memoryHelper("read")
	var err error
	if reader.Stdin, err = writer.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range []*exec.Cmd{writer, reader} {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, cmd := range []*exec.Cmd{reader, writer} {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v: %s", cmd, err, cmd.Stderr)
		}
		var peak int
		if _, err := fmt.Sscan(cmd.Stderr.(*bytes.Buffer).String(), &peak); err != nil || peak == 0 {
			t.Fatalf("peak %q: %v", cmd.Stderr, err)
		}
		t.Logf("%s: peak of %d kB", cmd, peak)
		if peak > memoryLimit {
			t.Errorf("%s: %d kB, more than %d", cmd, peak, memoryLimit)
		}
	}
}

func memoryHelper(end string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], end)
	cmd.Env = append(os.Environ(), helperKey+"=memory")
	cmd.Stderr = new(bytes.Buffer)
	return cmd
}
