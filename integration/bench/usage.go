package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// usage measures the memory and the disk writes of whole processes, which are not timed.
func (b *bench) usage(db string, size int64) error {
	info, err := os.Stat(db)
	if err != nil {
		return err
	}
	const flat = 64 // MiB
	restored, stream := b.path("tmp/restored.db"), b.path("tmp/stream.zst")
	if err := b.emit(db, stream, "--zstd")(); err != nil {
		return err
	}
	defer os.Remove(stream)
	var figures []figure
	for _, m := range []struct {
		what  string
		limit float64
		env   []string
		argv  []string
	}{
		{what: "snapshot", limit: flat, argv: []string{"snapshot", "-q", db, "-"}},
		{what: "snapshot --zstd", limit: flat, argv: []string{"snapshot", "-q", "--zstd", db, "-"}},
		{what: "snapshot --zstd as on 64 cores", limit: flat, env: []string{"GOMAXPROCS=64"}, argv: []string{"snapshot",
			"-q", "--zstd", db, "-"}},
		{what: "backup --check full", argv: []string{"backup", "-q", "--check", "full", db, "-"}},
		{what: "restore of a .zst", argv: []string{"restore", "-q", stream, restored}},
	} {
		if err := warm(db); err != nil {
			return err
		}
		u, err := b.observe(m.env, m.argv...)
		if err != nil {
			return fmt.Errorf("%s: %w", m.what, err)
		}
		os.Remove(restored)
		figures = append(figures, figure{What: m.what + ", peak RssAnon, MiB", Limit: m.limit,
			Values: []float64{u.anonymous / (1 << 20)}})
		if m.what == "snapshot" {
			const small = 256 << 10
			figures = append(figures,
				figure{What: "snapshot, bytes written to disk : database",
					Limit:  float64(info.Size()+small) / float64(info.Size()),
					Values: []float64{u.written / float64(info.Size())}},
			)
		}
	}
	syncs, err := b.syncs(b.program, "snapshot", "-q", db, "-")
	if err != nil {
		return err
	}
	figures = append(figures, figure{What: "snapshot, calls of fsync and the like", Values: []float64{syncs}})
	return b.out.put(size, "usage", figures...)
}

// A consumption is what a process has used, in bytes.
type consumption struct {
	anonymous float64 // memory that is not a file's, at its peak
	written   float64
}

// observe runs the program and samples its memory every millisecond.
func (b *bench) observe(env []string, argv ...string) (consumption, error) {
	p, err := start(append(append([]string{"env"}, env...), append([]string{b.program}, argv...)...)...)
	if err != nil {
		return consumption{}, err
	}
	pid := p.cmd.Process.Pid
	ended := make(chan struct{})
	peak := make(chan float64)
	go func() { peak <- watchMemory(pid, ended) }()
	awaitZombie(pid)
	close(ended)
	used := consumption{anonymous: <-peak, written: field(pid, "io", "write_bytes")}
	_, err = p.wait()
	return used, err
}

func watchMemory(pid int, ended <-chan struct{}) (peak float64) {
	for {
		select {
		case <-ended:
			return peak
		case <-time.After(time.Millisecond):
			peak = max(peak, 1024*field(pid, "status", "RssAnon"))
		}
	}
}

// field returns a number from a file about a process in /proc, 0 if it is missing.
func field(pid int, file, key string) float64 {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	for line := range strings.Lines(string(data)) {
		if name, value, _ := strings.Cut(line, ":"); name == key {
			n, _ := strconv.ParseFloat(strings.Fields(value)[0], 64)
			return n
		}
	}
	return 0
}

// awaitZombie waits until the process has ended, without reaping it, so that its figures can still
// be read.
func awaitZombie(pid int) {
	const (
		byPID   = 1
		ended   = 4
		noReap  = 0x1000000
		infoLen = 128
	)
	var info [infoLen]byte
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, byPID, uintptr(pid), uintptr(unsafe.Pointer(&info)),
			ended|noReap, 0, 0)
		if errno != syscall.EINTR {
			return
		}
	}
}

// syncs counts the calls of a program that make data durable.
func (b *bench) syncs(argv ...string) (float64, error) {
	log := b.path("tmp/strace")
	defer os.Remove(log)
	const calls = "trace=fsync,fdatasync,sync,syncfs,sync_file_range,msync"
	if _, err := command(append([]string{"strace", "-f", "--seccomp-bpf", "-qq", "-e", "signal=none", "-e", calls, "-o",
		log}, argv...)...)(); err != nil {
		return 0, err
	}
	data, err := os.ReadFile(log)
	return float64(strings.Count(string(data), "\n")), err
}
