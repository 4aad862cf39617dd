// Package copies tests dated copies: that prune keeps what restic would keep, whatever is damaged,
// and whenever it is killed.
package copies

import (
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
