// Package shadow tests shadow with real backup programs, file systems and users.
package shadow

import (
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
