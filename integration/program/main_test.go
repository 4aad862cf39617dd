// Package program runs the program as its users do: its commands, signals, writers beside it,
// restic above it, consumers of its streams.
package program

import (
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit/ledger"
)

func TestMain(m *testing.M) {
	testkit.Roles{committer: commit, ledger.Role: ledger.Write}.Play()
	harness.Main(m)
}
