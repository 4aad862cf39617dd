package program

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

func TestBinaryIsStatic(t *testing.T) {
	out, err := exec.Command(harness.Tool(t, "file"), "--brief", harness.Binary).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "statically linked") {
		t.Errorf("%s: %s (%v)", harness.Binary, out, err)
	}
}

func TestCurrentRestic(t *testing.T) {
	out, err := exec.Command(harness.Tool(t, "bin/restic"), "backup", "--help").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--stdin-from-command") {
		t.Errorf("%s (%v)", out, err)
	}
}
