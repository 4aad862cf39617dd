// Package recipes runs what people are told to type or to install: the README, examples/,
// schedulers, containers, other backup programs.
package recipes

import (
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
