package recipes

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// Each alerting rule fires in the stories that it is for, and in no other.
func TestAlerts(t *testing.T) {
	b := harness.NewBench(t)
	for _, name := range []string{"alerts.yaml", "alerts-test.yaml"} {
		data, err := os.ReadFile("../examples/" + name)
		b.Check(err)
		b.Write(name, data)
	}
	promtool := harness.Tool(t, "promtool")
	b.Finish(b.Other(promtool, "check", "rules", "alerts.yaml")).Exits(0)
	b.Finish(b.Other(promtool, "test", "rules", "alerts-test.yaml")).Exits(0)
	stories := b.Read("alerts-test.yaml")
	for _, line := range strings.Split(string(b.Read("alerts.yaml")), "\n") {
		_, alert, found := strings.Cut(line, "- alert: ")
		if found && bytes.Count(stories, []byte(alert)) < 2 {
			t.Errorf("%s: no story in which it fires, or none in which it does not", alert)
		}
	}
}

// Prometheus can read what --metrics writes, whatever the name of the database.
func TestMetricsFile(t *testing.T) {
	b := harness.NewBench(t)
	const name = "odd \"name\\\n\xff.db"
	b.NewDatabase(name, 10)
	b.Run("backup", "--metrics", "m.prom", name, "copy.db").Exits(0)
	b.Run("backup", "--metrics", "m.prom", name, "copy.db").Exits(9)
	check := b.Other(harness.Tool(t, "promtool"), "check", "metrics")
	check.Stdin = bytes.NewReader(b.Read("m.prom"))
	if o := b.Finish(check).Exits(0); o.Stdout+o.Stderr != "" {
		t.Errorf("%s%s\n%s", o.Stdout, o.Stderr, b.Read("m.prom"))
	}
}
