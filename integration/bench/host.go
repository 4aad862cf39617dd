package main

import (
	"bytes"
	"math"
	"os"
	"runtime"
	"strconv"
	"time"
)

// maxStolen is the largest part of the CPU time that the host of a virtual machine may take away
// during a valid measurement.
const maxStolen = 0.03

// leftAlone measures, up to three times, until the host has not disturbed the measurement. It
// returns the one that was disturbed least, and the part of the CPU time that was stolen from it.
func leftAlone[T any](measure func() (T, error)) (best T, part float64, err error) {
	part = math.Inf(1)
	for range 3 {
		before, begin := stolen(), time.Now()
		found, err := measure()
		if err != nil {
			return best, part, err
		}
		if p := (stolen() - before).Seconds() / time.Since(begin).Seconds() / float64(runtime.NumCPU()); p < part {
			best, part = found, p
		}
		if part <= maxStolen {
			break
		}
	}
	return best, part, nil
}

// stolen returns how long all CPUs together have waited for the host so far; see proc(5),
// /proc/stat.
func stolen() time.Duration {
	const column, tick = 8, 10 * time.Millisecond
	data, _ := os.ReadFile("/proc/stat")
	line, _, _ := bytes.Cut(data, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) <= column {
		return 0
	}
	n, _ := strconv.ParseInt(string(fields[column]), 10, 64)
	return time.Duration(n) * tick
}
