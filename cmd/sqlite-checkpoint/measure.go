package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/metrics"
	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// A metricsFlag is --metrics, for the commands that back up or prove something.
type metricsFlag struct {
	Metrics string `placeholder:"FILE.prom" help:"${metrics_help}"`
}

func (f *metricsFlag) metricsFile() string { return f.Metrics }

// A measurement is the file that --metrics names, and the run that it is about. A nil measurement
// does nothing.
type measurement struct {
	file     string
	command  string
	operands []string // what the run is about: DB, SRC or DIRs
	started  time.Time
}

// newMeasurement is nil if the command has no --metrics. watch writes its own. command may be nil.
func newMeasurement(command *kong.Context) *measurement {
	if command == nil || command.Selected() == nil {
		return nil
	}
	node := command.Selected()
	flagged, ok := node.Target.Addr().Interface().(interface{ metricsFile() string })
	if !ok || flagged.metricsFile() == "" || node.Name == "watch" || len(node.Positional) == 0 {
		return nil
	}
	m := &measurement{file: flagged.metricsFile(), command: node.Name, started: time.Now()}
	switch first := node.Positional[0].Target; first.Kind() {
	case reflect.String:
		m.operands = []string{absolute(first.String())}
	case reflect.Slice:
		for _, operand := range first.Interface().(operands) {
			m.operands = append(m.operands, absolute(operand))
		}
	}
	return m
}

// absolute returns the path for a label; - stays as it is.
func absolute(name string) string {
	if whole, err := filepath.Abs(name); err == nil && name != "-" {
		return whole
	}
	return name
}

// checkMetrics fails if --metrics would replace another file, or create one that node_exporter does
// not read. A file that cannot be read or written does not prevent the backup.
func checkMetrics(file string, operands []string) error {
	if !strings.HasSuffix(file, ".prom") {
		return usagef("--metrics %s: the name must end in .prom: node_exporter reads no other files", file)
	}
	for _, operand := range operands {
		if operand != "-" && belongsTo(file, operand) {
			return usagef("--metrics %s: the name belongs to %s", file, operand)
		}
	}
	if err := metrics.Check(file); errors.Is(err, metrics.ErrForeign) {
		return &fault{kind: engine.KindExists, err: fmt.Errorf("--metrics %s: %w", file, err)}
	}
	return nil
}

func metricsFault(file string, err error) error {
	if err == nil {
		return nil
	}
	return statusFault(file, fmt.Errorf("write metrics %s: %w", file, cause(err)))
}

// begin records that a run has begun, and keeps what is known of earlier ones. A write error is
// ignored: end will report it, and a backup is worth more than its metrics.
func (m *measurement) begin() error {
	if m == nil {
		return nil
	}
	if err := checkMetrics(m.file, m.operands); err != nil {
		return err
	}
	m.update(metrics.Values{metrics.LastAttempt: seconds(m.started), metrics.Running: 1}, nil)
	return nil
}

// end records how the run has ended.
func (m *measurement) end(code int, r result) error {
	if m == nil {
		return nil
	}
	values := metrics.Values{
		metrics.Running: 0, metrics.ExitStatus: float64(code), metrics.Duration: time.Since(m.started).Seconds(),
	}
	if code == 0 {
		values[metrics.LastSuccess] = seconds(m.started)
	}
	measured, _ := r.(interface{ images() []imageFacts })
	if measured == nil {
		return m.update(values, nil)
	}
	return m.update(values, measured.images())
}

// imageFacts are what a run knows about a database image.
type imageFacts struct {
	database string
	size     int64
	check    string
	failed   bool
}

func (m *measurement) update(values metrics.Values, images []imageFacts) error {
	changes := metrics.Changes{}
	for _, operand := range m.operands {
		changes[metrics.Series{Command: m.command, Database: operand}] = m.withWAL(operand, values)
	}
	for _, image := range images {
		series := metrics.Series{Command: m.command, Database: absolute(image.database)}
		known := metrics.Values{metrics.LastAttempt: seconds(m.started)}
		maps.Copy(known, values)
		if !image.failed { // a run in which one has failed has no last success either
			known[metrics.Size], known[metrics.CheckLevel] = float64(image.size), checkLevels[image.check]
		}
		changes[series] = m.withWAL(series.Database, known)
	}
	set := func(map[metrics.Series]metrics.Values) metrics.Changes { return changes }
	return metricsFault(m.file, metrics.Update(m.file, set))
}

// withWAL adds the size of the -wal, 0 if there is none. What verify reads has none.
func (m *measurement) withWAL(database string, values metrics.Values) metrics.Values {
	if m.command == "verify" {
		return values
	}
	all := metrics.Values{metrics.WALSize: 0}
	maps.Copy(all, values)
	if info, err := os.Stat(database + "-wal"); err == nil {
		all[metrics.WALSize] = float64(info.Size())
	}
	return all
}

var checkLevels = map[string]float64{
	string(engine.LevelStructural): 1, string(engine.LevelQuick): 2, string(engine.LevelFull): 3,
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func (r *backupResult) images() []imageFacts {
	return []imageFacts{{string(r.Source), r.SizeBytes, r.Check, false}}
}

func (r *snapshotResult) images() []imageFacts {
	return []imageFacts{{string(r.Backup.Source), r.Backup.SizeBytes, r.Backup.Check, false}}
}

func (r *verifyResult) images() []imageFacts {
	level := r.Checked
	if checkLevels[r.Check] > checkLevels[level] {
		level = r.Check
	}
	return []imageFacts{{string(r.Source), r.SizeBytes, level, false}}
}

func (r *shadowResult) images() (images []imageFacts) {
	for _, db := range r.Databases {
		images = append(images, imageFacts{string(db.Source), db.SizeBytes, db.Check, db.Outcome == outcomeFailed})
	}
	return images
}
