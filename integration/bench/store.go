package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
)

// A store has the results of all runs with one work directory. Later results replace earlier ones.
type store struct {
	path    string
	Times   []timing
	Figures []figure
}

// A timing has the wall and CPU times of a task in every round, in seconds.
type timing struct {
	Size    int64
	Contest string
	Task    string
	Seconds []float64
	CPU     []float64
}

// A figure is a number that was measured several times, and its upper limit, 0 for none.
type figure struct {
	Size   int64
	Part   string // of the bench
	What   string
	Limit  float64
	Values []float64
}

func openStore(path string) (*store, error) {
	s := &store{path: path}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(data, s)
	}
	return s, err
}

func (s *store) save() error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(s.path, data, 0o644)
}

// add stores the results of a contest.
func (s *store) add(size int64, c contest, rounds []round) error {
	s.forget(size, c.name)
	for _, t := range c.tasks {
		times := timing{Size: size, Contest: c.name, Task: t.name}
		for _, r := range rounds {
			times.Seconds = append(times.Seconds, r.seconds(t.name))
			times.CPU = append(times.CPU, r[t.name].cpu.Seconds())
		}
		s.Times = append(s.Times, times)
	}
	for _, claim := range c.claims {
		if !claim.shown.contain(size) {
			continue
		}
		f := figure{Size: size, Part: c.name, What: claim.what}
		if claim.over.contain(size) {
			f.Limit = claim.limit
		}
		for _, r := range rounds {
			f.Values = append(f.Values, claim.of(r))
		}
		s.Figures = append(s.Figures, f)
	}
	return s.save()
}

// put stores the figures of a part of the bench that is not a contest.
func (s *store) put(size int64, part string, figures ...figure) error {
	s.forget(size, part)
	for _, f := range figures {
		f.Size, f.Part = size, part
		s.Figures = append(s.Figures, f)
	}
	return s.save()
}

// forget removes earlier results of the same part and size.
func (s *store) forget(size int64, part string) {
	s.Times = slices.DeleteFunc(s.Times, func(t timing) bool { return t.Size == size && t.Contest == part })
	s.Figures = slices.DeleteFunc(s.Figures, func(f figure) bool { return f.Size == size && f.Part == part })
}

// sizes returns the database sizes that have results, smallest first.
func (s *store) sizes() []int64 {
	var all []int64
	for _, f := range s.Figures {
		all = append(all, f.Size)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// timedSizes returns the sizes for which snapshots were timed, for the plot.
func (s *store) timedSizes() []int64 {
	return slices.DeleteFunc(s.sizes(), func(size int64) bool { return len(s.timing(size, rawOurs).Seconds) == 0 })
}

// timing returns the times of a task, which may be none.
func (s *store) timing(size int64, task string) timing {
	for _, t := range s.Times {
		if t.Size == size && t.Task == task {
			return t
		}
	}
	return timing{}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
