package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// readCommand is the argument with which bench starts itself as an application that reads a file at
// random.
const readCommand = "read"

const (
	pageBytes = 4 << 10
	// extentBytes is the length of a part of the file that is hot or not as a whole.
	extentBytes = 64 << 10
	// Of every hotEvery extents the first hotOf are hot. One in coldEvery reads is of any page, hot
	// or not.
	hotOf, hotEvery, coldEvery = 3, 10, 1000
)

// A tally counts the reads of an application, and their latencies in steps of 0.1 µs.
type tally struct {
	Reads, Misses int64
	Steps         []int64
}

const (
	stepTime = 100 * time.Nanosecond
	maxSteps = 100_000
)

func newTally() *tally { return &tally{Steps: make([]int64, maxSteps)} }

func (t *tally) add(took time.Duration, missed bool) {
	t.Reads++
	if missed {
		t.Misses++
	}
	t.Steps[min(int64(took/stepTime), maxSteps-1)]++
}

// at returns the latency in microseconds that this fraction of the reads does not exceed.
func (t *tally) at(part float64) float64 {
	left := int64(part * float64(t.Reads))
	for i, n := range t.Steps {
		if left -= n; left < 0 {
			return float64(i+1) * stepTime.Seconds() * 1e6
		}
	}
	return 0
}

// readHot reads the hot part of the file twice, reports that with an empty tally, and then reads at
// random. For each line on stdin it prints the tally since the previous one.
func readHot(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	r := hotReader{int(f.Fd()), info.Size() / extentBytes, rand.New(rand.NewPCG(6, 7)), make([]byte, pageBytes)}
	if err := r.warm(); err != nil {
		return err
	}
	if _, err := fmt.Println("{}"); err != nil {
		return err
	}
	var now atomic.Pointer[tally]
	now.Store(newTally())
	asked, ended := make(chan error, 1), make(chan *tally)
	go func() { asked <- answer(&now, ended) }()
	for mine := now.Load(); len(asked) == 0; {
		if err := r.read(mine); err != nil {
			return err
		}
		if next := now.Load(); next != mine {
			ended <- mine
			mine = next
		}
	}
	return <-asked
}

// answer replaces the current tally for each line on stdin, and writes the old one to stdout.
func answer(now *atomic.Pointer[tally], ended <-chan *tally) error {
	in, out := bufio.NewReader(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		if _, err := in.ReadByte(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		now.Store(newTally())
		if err := out.Encode(<-ended); err != nil {
			return err
		}
	}
}

// A hotReader reads one page after another.
type hotReader struct {
	fd      int
	extents int64
	random  *rand.Rand
	page    []byte
}

// warm reads each hot page twice: only then does the kernel consider it active.
func (r hotReader) warm() error {
	for range 2 {
		for extent := range r.extents {
			if extent%hotEvery >= hotOf {
				continue
			}
			for at := int64(0); at < extentBytes; at += pageBytes {
				if _, err := unix.Pread(r.fd, r.page, extent*extentBytes+at); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// read reads a page. It misses if the kernel would have to wait for the disk.
func (r hotReader) read(into *tally) error {
	extent := r.random.Int64N(r.extents)
	if r.random.IntN(coldEvery) > 0 {
		extent -= extent % hotEvery
		extent = min(extent+r.random.Int64N(hotOf), r.extents-1)
	}
	at := extent*extentBytes + r.random.Int64N(extentBytes/pageBytes)*pageBytes
	begin := time.Now()
	n, err := unix.Preadv2(r.fd, [][]byte{r.page}, at, unix.RWF_NOWAIT)
	missed := n < pageBytes
	if missed {
		n, err = unix.Pread(r.fd, r.page, at)
	}
	if err == nil && n < pageBytes {
		err = io.ErrUnexpectedEOF
	}
	into.add(time.Since(begin), missed)
	return err
}

// A reader is a running application.
type reader struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// startReader starts an application in the cgroup and waits until it has warmed up.
func startReader(g *testkit.Cgroup, db string) (*reader, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	argv := g.Command(self, readCommand, db)
	r := &reader{cmd: exec.Command(argv[0], argv[1:]...)}
	r.cmd.Stderr = os.Stderr
	if r.in, err = r.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	r.out = json.NewDecoder(out)
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	if err := r.out.Decode(new(tally)); err != nil {
		r.stop()
		return nil, fmt.Errorf("the application that reads: %w", err)
	}
	return r, nil
}

// next returns the tally since the last call.
func (r *reader) next() (t *tally, err error) {
	if _, err = io.WriteString(r.in, "\n"); err == nil {
		err = r.out.Decode(&t)
	}
	return t, err
}

func (r *reader) stop() {
	r.in.Close()
	r.cmd.Wait()
}
