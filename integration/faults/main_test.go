// Package faults injects faults outside the program: the rows of FAULTS.md, hostile databases, long
// runs beside writers.
package faults

import (
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

func TestMain(m *testing.M) { harness.Main(m, outcomes.write) }
