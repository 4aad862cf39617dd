// Testsummary reads the output of go test -json and tells it in short: a line for each package, everything
// that a failed or a skipped test printed, and the totals. It fails if a test failed or was skipped, or if none ran.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// An event is what cmd/test2json documents.
type event struct {
	Action      string
	Package     string
	ImportPath  string // in place of Package while building
	Test        string
	Elapsed     float64
	Output      string
	FailedBuild string // the ImportPath that kept a package from running
}

// A place is a test; with Test "", its package; with a build's ImportPath, that build.
type place struct{ Package, Test string }

type summary struct {
	out                     io.Writer
	output                  map[place]*strings.Builder // printed so far by what has not ended
	passed, failed, skipped int
	blamed                  []string        // names of failed and skipped tests, in order
	red                     map[string]bool // packages with a failed test
}

func main() {
	s := summary{out: os.Stdout, output: map[place]*strings.Builder{}, red: map[string]bool{}}
	dec := json.NewDecoder(os.Stdin)
	for {
		var e event
		err := dec.Decode(&e)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "testsummary: not the output of go test -json:", err)
			os.Exit(1)
		}
		s.add(e)
	}
	if !s.close() {
		os.Exit(1)
	}
}

func (s *summary) add(e event) {
	at := place{e.Package, e.Test}
	switch {
	case e.Action == "output":
		s.keep(at, e.Output)
	case e.Action == "build-output":
		s.keep(place{e.ImportPath, ""}, e.Output)
	case e.Action == "pass" || e.Action == "fail" || e.Action == "skip":
		if e.Test == "" {
			s.endPackage(e)
		} else {
			s.endTest(at, e.Action)
		}
	}
}

func (s *summary) keep(at place, text string) {
	if s.output[at] == nil {
		s.output[at] = new(strings.Builder)
	}
	s.output[at].WriteString(text)
}

func (s *summary) endTest(at place, action string) {
	switch action {
	case "pass":
		s.passed++
	case "skip":
		s.skipped++
	case "fail":
		s.failed++
		s.red[at.Package] = true
	}
	if action != "pass" {
		s.blame(at, action)
	}
	delete(s.output, at)
}

// A package fails without a failed test when it does not build, panics, exits or times out; it counts as one failure
// then. What itself, its build and its unfinished tests printed is the only trace of that.
func (s *summary) endPackage(e event) {
	if e.Action == "fail" {
		for _, at := range s.unfinished(e.Package) {
			s.blame(at, "unfinished")
		}
		s.print(place{e.FailedBuild, ""})
		s.print(place{e.Package, ""})
		if !s.red[e.Package] {
			s.failed++
			s.blamed = append(s.blamed, "fail: "+e.Package)
		}
	}
	for _, at := range append(s.unfinished(e.Package), place{e.Package, ""}) {
		delete(s.output, at)
	}
	if e.Action != "skip" { // a package without tests
		fmt.Fprintf(s.out, "%-4s  %s  %.1fs\n", e.Action, e.Package, e.Elapsed)
	}
}

func (s *summary) unfinished(pkg string) []place {
	var all []place
	for at := range s.output {
		if at.Package == pkg && at.Test != "" {
			all = append(all, at)
		}
	}
	slices.SortFunc(all, func(a, b place) int { return strings.Compare(a.Test, b.Test) })
	return all
}

func (s *summary) blame(at place, action string) {
	s.print(at)
	s.blamed = append(s.blamed, action+": "+at.Package+" "+at.Test)
}

func (s *summary) print(at place) {
	if text := s.output[at]; text != nil {
		fmt.Fprint(s.out, text.String())
	}
}

// close prints the totals, on a line of their own, and tells whether all is well.
func (s *summary) close() bool {
	fmt.Fprintln(s.out)
	for _, line := range s.blamed {
		fmt.Fprintln(s.out, line)
	}
	if s.passed+s.failed+s.skipped == 0 {
		fmt.Fprintln(s.out, "no test ran")
	}
	fmt.Fprintf(s.out, "%d passed, %d failed, %d skipped\n", s.passed, s.failed, s.skipped)
	return s.passed > 0 && s.failed == 0 && s.skipped == 0
}
