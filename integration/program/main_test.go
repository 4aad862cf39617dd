// Package program runs the program as its users do: with signals, beside writers, under restic, and
// with consumers of its streams.
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
