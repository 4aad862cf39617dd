package recipes

import (
	"strings"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// make demo shows what it promises, ends by itself and cleans up.
func TestDemo(t *testing.T) {
	harness.Tool(t, "restic")
	harness.Tool(t, "bin/restic")
	b := harness.NewBench(t)
	cmd := b.Other("../demo.sh")
	cmd.Dir = ""
	start := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "# Done.") {
		t.Errorf("demo.sh: %v\n%s", err, out)
	}
	t.Logf("%v", time.Since(start))
}
