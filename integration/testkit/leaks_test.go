package testkit

import (
	"os"
	"os/exec"
	"testing"
)

func TestMain(m *testing.M) { os.Exit(LeakChecked(m).Run()) }

// TestIgnoredSignals: a signal that the tests inherit as ignored still ends what they start.
func TestIgnoredSignals(t *testing.T) {
	if os.Getenv("UNDER_NOHUP") != "" {
		for _, name := range []string{"HUP", "INT"} {
			if err := exec.Command("sh", "-c", "kill -"+name+" $$").Run(); err == nil {
				t.Errorf("%s is still ignored", name)
			}
		}
		return
	}
	cmd := exec.Command("sh", "-c", `trap "" HUP INT; exec "$0" -test.run='^TestIgnoredSignals$'`, os.Args[0])
	cmd.Env = append(os.Environ(), "UNDER_NOHUP=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
