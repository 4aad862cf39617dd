package integration

import (
	"strings"
	"testing"
	"time"
)

// make demo shows what is promised, ends by itself and clears away.
func TestDemo(t *testing.T) {
	tool(t, "restic")
	tool(t, "bin/restic")
	b := newBench(t)
	cmd := b.other("./demo.sh")
	cmd.Dir = ""
	start := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "# Done.") {
		t.Errorf("demo.sh: %v\n%s", err, out)
	}
	t.Logf("%v", time.Since(start))
}
