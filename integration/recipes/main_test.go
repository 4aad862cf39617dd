// Package recipes runs what the documentation tells people to type or to install: the README,
// examples/, schedulers, containers, other backup programs.
package recipes

import (
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
