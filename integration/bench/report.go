package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
)

// print writes everything as Markdown.
func (s *store) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n\n", machine())
	s.printSummary(w)
	s.printTimes(w, "wall time", func(t timing) []float64 { return t.Seconds })
	s.printTimes(w, "CPU time", func(t timing) []float64 { return t.CPU })
	s.printFigures(w)
}

// summary is the table for the README, in its order: medians of wall times.
var summary = []string{
	rawOurs, rawTheirs, "VACUUM INTO",
	zstdOurs, zstdTheirs,
	fullOurs, fullTheirs,
	restoreOurs, verifyOurs, "cat | sha256sum",
}

func (s *store) printSummary(w io.Writer) {
	s.printHeader(w, "")
	for _, task := range summary {
		s.printRow(w, task, func(t timing) string {
			if len(t.Seconds) == 0 {
				return ""
			}
			return seconds(median(t.Seconds))
		})
	}
	fmt.Fprintln(w)
}

func (s *store) printTimes(w io.Writer, kind string, of func(timing) []float64) {
	s.printHeader(w, kind+", median (min to max)")
	for _, task := range s.tasks() {
		s.printRow(w, task, func(t timing) string { return spread(of(t), seconds) })
	}
	fmt.Fprintln(w)
}

func (s *store) printHeader(w io.Writer, title string) {
	header, rule := "| "+title, "|---"
	for _, size := range s.sizes() {
		header += " | " + spaced(size)
		rule += "|---:"
	}
	fmt.Fprintf(w, "%s |\n%s|\n", header, rule)
}

func (s *store) printRow(w io.Writer, task string, show func(timing) string) {
	line := "| " + cell(task)
	for _, size := range s.sizes() {
		line += " | " + show(s.timing(size, task))
	}
	fmt.Fprintln(w, line+" |")
}

// cell escapes text for a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// tasks returns all tasks that were timed.
func (s *store) tasks() []string {
	all := slices.Clone(summary)
	for _, t := range s.Times {
		if !slices.Contains(all, t.Task) {
			all = append(all, t.Task)
		}
	}
	return all
}

func (s *store) printFigures(w io.Writer) {
	fmt.Fprintf(w, "| figure | of | median (min to max) | at most | |\n|---|---:|---:|---:|---|\n")
	figures := slices.Clone(s.Figures)
	slices.SortStableFunc(figures, func(a, b figure) int { return order(a.Part) - order(b.Part) })
	for _, f := range figures {
		limit := ""
		if f.Limit > 0 {
			limit = number(f.Limit)
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", cell(f.What), spaced(f.Size), spread(f.Values, number), limit,
			f.verdict())
	}
}

func order(part string) int { return slices.Index(parts(), part) }

func (f figure) verdict() string {
	switch {
	case f.Limit == 0:
		return ""
	case median(f.Values) <= f.Limit:
		return "OK"
	}
	return "missed"
}

func spread(values []float64, format func(float64) string) string {
	switch len(values) {
	case 0:
		return ""
	case 1:
		return format(values[0])
	}
	return fmt.Sprintf("%s (%s to %s)", format(median(values)), format(slices.Min(values)), format(slices.Max(values)))
}

func seconds(s float64) string {
	if s < 0.5 {
		return number(s*1000) + " ms"
	}
	return number(s) + " s"
}

// number shows three digits, or more if there are more before the point.
func number(x float64) string {
	switch size := math.Abs(x); {
	case size >= 99.5:
		return fmt.Sprintf("%.0f", x)
	case size >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

func spaced(size int64) string {
	name := sizeName(size)
	digits := strings.TrimRight(name, "GMkB")
	return digits + " " + name[len(digits):]
}

// machine describes the machine.
func machine() string {
	cpu, sha := "unknown CPU", "without"
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		key, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(key) {
		case "model name":
			cpu = strings.TrimSpace(value)
		case "flags", "Features":
			if words := strings.Fields(value); slices.Contains(words, "sha_ni") || slices.Contains(words, "sha2") {
				sha = "with"
			}
		}
	}
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	kernel, _, _ := strings.Cut(string(release), "-")
	return fmt.Sprintf("%s, %d cores, %s SHA instructions, Linux %s.", cpu, runtime.NumCPU(), sha,
		strings.TrimSpace(kernel))
}
