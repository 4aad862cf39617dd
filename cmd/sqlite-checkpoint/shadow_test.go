package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A result with many databases is shortened to a line that a program can read, and keeps those that
// failed.
func TestShadowResultFits(t *testing.T) {
	r := &shadowResult{Count: 2000}
	for i := range r.Count {
		name := fmt.Sprintf("/srv/%d/%s.db", i, strings.Repeat("x", 200))
		d := shadowedDatabase{Source: path(name), Outcome: outcomeUnchanged}
		if i%400 == 399 {
			d.Outcome = outcomeFailed
		}
		r.Databases = append(r.Databases, d)
	}
	short := r.fit()
	line := jsonLine(short)
	if len(line) > jsonLimit || short.Omitted+len(short.Databases) != r.Count || len(short.Databases) < 50 {
		t.Errorf("%d bytes, %d databases, %d omitted", len(line), len(short.Databases), short.Omitted)
	}
	if failed := strings.Count(line, `"outcome":"failed"`); failed != 5 || len(r.Databases) != r.Count {
		t.Errorf("%d failed ones are left, and %d databases for the report", failed, len(r.Databases))
	}
}

// A pattern matches one path only, whatever characters it contains.
func TestEscapePattern(t *testing.T) {
	for name, want := range map[string]string{
		"/a/b.db": "/a/b.db", `/*?[x]\`: `/\*\?\[x]\\`, "/$HOME # ": "/[$]HOME[ ]#[ ]", "/a\nb\rc\t": "/a?b?c[\t]",
	} {
		if got := escapePattern.Replace(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// TestInside: a directory is not in its neighbour whose name begins its own.
func TestInside(t *testing.T) {
	for path, want := range map[string]bool{
		"/srv/app": true, "/srv/app/data": true, "/srv/app-stage": false, "/srv": false, "/srv/ap": false,
	} {
		if got := inside(path, "/srv/app"); got != want {
			t.Errorf("inside(%s, /srv/app) = %t", path, got)
		}
	}
}

// What another run cannot fix counts most.
func TestSeverity(t *testing.T) {
	codes := []int{exitBusy, exitSpace, exitSource, exitCorrupt}
	sorted := slices.SortedFunc(slices.Values([]int{exitCorrupt, exitBusy, exitSource, exitSpace}), func(a, b int) int {
		return severity(row{code: a}) - severity(row{code: b})
	})
	if !slices.Equal(sorted, codes) {
		t.Errorf("%v, want %v", sorted, codes)
	}
}
