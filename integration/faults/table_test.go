package faults

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
)

// outcomes are those of all faults that this process has injected. TestMain writes them.
var outcomes faultTable

// A faultTable has the outcomes of each fault, as Markdown.
type faultTable struct {
	mutex sync.Mutex
	lines map[string]string
}

// add records an outcome. The loops over all system calls have no row in the matrix, and are at the
// end; calls that a command never makes are left out.
func (r *faultTable) add(row int, name string, injected int, outcome string) {
	if row == 0 && injected == 0 {
		return
	}
	key, number := fmt.Sprintf("%03d", row), fmt.Sprint(row)
	if row == 0 {
		key, number = "loop "+name, ""
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.lines == nil {
		r.lines = map[string]string{}
	}
	r.lines[key] = fmt.Sprintf("| %s | %s | %d | %s |\n", number, name, injected, outcome)
}

// write writes the table for make faults, if there are outcomes.
func (r *faultTable) write() error {
	if len(r.lines) == 0 {
		return nil
	}
	text := `# Faults and their outcomes

make test injects every fault for real: with strace, full and read-only file systems, limits, other
users, signals. A row holds if the source was untouched (names, bytes, times, owners and modes of its
directory), nothing was left behind, a run that failed wrote no whole stream, its exit status was the
right one, and one line said which path and why.

| row | fault | injected | outcome |
|---:|---|---:|---|
`
	for _, key := range slices.Sorted(maps.Keys(r.lines)) {
		text += r.lines[key]
	}
	return os.WriteFile("../../bin/faults.md", []byte(text), 0o644)
}

// An exitCount counts how often a fault was injected and how the program ended.
type exitCount struct {
	mutex sync.Mutex
	exits map[string]int
}

func (c *exitCount) add(outcome string, n int) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.exits == nil {
		c.exits = map[string]int{}
	}
	c.exits[outcome] += n
}

func (c *exitCount) times() (n int) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, times := range c.exits {
		n += times
	}
	return n
}

const fallsShort = "FALLS SHORT"

func (c *exitCount) verdict(failed bool) string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	var parts []string
	for _, outcome := range slices.Sorted(maps.Keys(c.exits)) {
		parts = append(parts, fmt.Sprintf("%s: %d", outcome, c.exits[outcome]))
	}
	verdict := "holds"
	if failed {
		verdict = fallsShort
	}
	return verdict + " (" + strings.Join(parts, ", ") + ")"
}
