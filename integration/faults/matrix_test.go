package faults

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"testing"
)

// A matrixRow is one row of the fault matrix: something that goes wrong outside the program,
// injected for real.
type matrixRow struct {
	row  int // in FAULTS.md
	name string
	try  func(s *scene)
}

func allFaults() []matrixRow {
	return slices.Concat(sourceFaults, lockFaults, outputFaults, streamFaults, otherFaults, neighbourFaults,
		destinationFaults, pathFaults)
}

// TestFaults injects every fault of the matrix.
func TestFaults(t *testing.T) {
	for _, f := range allFaults() {
		t.Run(fmt.Sprintf("%03d_%s", f.row, f.name), func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			defer func() { outcomes.add(f.row, f.name, s.tally.times(), s.tally.verdict(s.Failed())) }()
			f.try(s)
		})
	}
}

// TestFaultTable compares the table that people read with what is tested. make faults writes it
// again.
func TestFaultTable(t *testing.T) {
	table, err := os.ReadFile("FAULTS.md")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(table, []byte(fallsShort)) {
		t.Errorf("FAULTS.md has a row that %s", fallsShort)
	}
	rows, names := map[int]bool{}, map[string]bool{}
	for _, f := range allFaults() {
		if rows[f.row] || names[f.name] || f.name == "" || f.try == nil {
			t.Errorf("row %d %q: twice, nameless, or without injection", f.row, f.name)
		}
		rows[f.row], names[f.name] = true, true
		if !bytes.Contains(table, fmt.Appendf(nil, "\n| %d | %s |", f.row, f.name)) {
			t.Errorf("FAULTS.md has no row %d, %s", f.row, f.name)
		}
	}
}
