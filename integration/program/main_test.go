// Package program runs the program as its users do: its commands, signals, writers beside it, restic above it, consumers of its streams.
package program

import (
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
