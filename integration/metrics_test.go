package integration

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// The alerting rules fire in each of the stories that they are for, and in none of the others.
func TestAlerts(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"alerts.yaml", "alerts-test.yaml"} {
		data, err := os.ReadFile("examples/" + name)
		b.check(err)
		b.write(name, data)
	}
	promtool := tool(t, "promtool")
	b.finish(b.other(promtool, "check", "rules", "alerts.yaml")).exits(0)
	b.finish(b.other(promtool, "test", "rules", "alerts-test.yaml")).exits(0)
	stories := b.read("alerts-test.yaml")
	for _, line := range strings.Split(string(b.read("alerts.yaml")), "\n") {
		_, alert, found := strings.Cut(line, "- alert: ")
		if found && bytes.Count(stories, []byte(alert)) < 2 {
			t.Errorf("%s: no story in which it fires, or none in which it does not", alert)
		}
	}
}

// Prometheus can read what --metrics writes, whatever the name of the database.
func TestMetricsFile(t *testing.T) {
	b := newBench(t)
	const name = "odd \"name\\\n\xff.db"
	b.newDatabase(name, 10)
	b.run("backup", "--metrics", "m.prom", name, "copy.db").exits(0)
	b.run("backup", "--metrics", "m.prom", name, "copy.db").exits(9)
	check := b.other(tool(t, "promtool"), "check", "metrics")
	check.Stdin = bytes.NewReader(b.read("m.prom"))
	if o := b.finish(check).exits(0); o.stdout+o.stderr != "" {
		t.Errorf("%s%s\n%s", o.stdout, o.stderr, b.read("m.prom"))
	}
}
