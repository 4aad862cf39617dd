package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/metrics"
	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/watch"
)

type watchCmd struct {
	Paths   operands      `arg:"" name:"path" help:"Databases, and directories to search for databases."`
	Command []string      `arg:"" name:"cmd" passthrough:"partial" help:"After --: a command and its arguments."`
	Every   time.Duration `default:"15m" help:"Shortest time between runs of CMD for a database (default: ${default})."`
	Poll    time.Duration `default:"10s" help:"Time between looks at the databases (default: ${default})."`
	AtLeast time.Duration `placeholder:"TIME" help:"Run CMD after this time even if nothing was committed."`
	Each    bool          `help:"Run CMD for each changed database, with {db} and {name} in its arguments."`
	Jobs    jobCount      `short:"j" default:"1" placeholder:"N" help:"With --each: CMDs run at a time (default: 1)."`
	Once    bool          `help:"Look once, run CMD for what has changed, and exit: for cron and timers."`
	State   string        `placeholder:"FILE" help:"${state_help}"`
	Shard   string        `placeholder:"I/N" help:"${shard_help}"`
	Exclude []string      `placeholder:"GLOB" sep:"none" help:"Skip names and paths that match GLOB; repeatable."`
	Timeout time.Duration `placeholder:"TIME" help:"Stop CMD when it has run this long (default: never)."`
	Grace   time.Duration `default:"30s" help:"How long CMD may take to exit after TERM (default: ${default})."`
	metricsFlag
}

func (*watchCmd) Help() string {
	return `Looks at the databases from time to time, by stat(2) alone, and runs CMD when one of them has changed since
CMD last succeeded: two seconds after the commit at the earliest. Directories are searched again at every look;
a database is found by its content. On network file systems, where stat(2) cannot be relied on, databases count as
changed at every look.

  sqlite-checkpoint watch --every 15m /srv/app -- sqlite-checkpoint shadow /srv/app -- restic backup /srv/app
  sqlite-checkpoint watch --every 1h --each --jobs 4 /srv/tenants -- \
      sqlite-checkpoint backup --zstd {db} /backup/{name}/

With --each, {db} in CMD's arguments stands for the path of the database, {name} for its path below PATH with - in place
of /. CMD's environment has both: SQLITE_CHECKPOINT_DB and SQLITE_CHECKPOINT_NAME.

Have CMD make its copies outside PATH, or leave them out with --exclude: they are databases, too. A copy that has a
.sha256 is left out as long as nobody uses it.

A CMD that fails is run again after 1, 2, 4 ... minutes, at most --every. If it fails again with exit status 2 or 3
(usage, source missing), that is not printed again. HUP runs CMD for everything now. After TERM
no CMD starts, and one that is running may finish within --grace. After --timeout, CMD and what it has started get TERM,
and after --grace KILL. Under systemd with Type=notify, watch reports READY, STATUS and STOPPING, and serves the
watchdog.

With --once the exit status is 0 if every CMD succeeded, else the highest of theirs.`
}

// Validate rejects invalid flags before any work is done.
func (cmd *watchCmd) Validate() error {
	switch {
	case cmd.Every < 0 || cmd.AtLeast < 0 || cmd.Timeout < 0 || cmd.Grace < 0:
		return errors.New("a time must not be negative")
	case cmd.Poll < 100*time.Millisecond:
		return errors.New("--poll must be at least 100ms")
	case cmd.Jobs > 1 && !cmd.Each:
		return errors.New("--jobs needs --each")
	}
	return nil
}

// Run is the command.
func (cmd *watchCmd) Run(ctx context.Context, con *console) error {
	con.streaming = true // stdout is CMD's
	hangups := con.takeHangups()
	w, err := cmd.prepare(ctx, con)
	if err != nil {
		return err
	}
	w.hangups = hangups
	return w.run(ctx)
}

// Names of placeholders in CMD's arguments, and of the same in its environment.
const (
	dbMark   = "{db}"
	nameMark = "{name}"

	envDB   = "SQLITE_CHECKPOINT_DB"
	envName = "SQLITE_CHECKPOINT_NAME"
)

// prepare fails early where the run would fail later.
func (cmd *watchCmd) prepare(ctx context.Context, con *console) (*watcher, error) {
	argv, err := commandOf("watch PATH", cmd.Command)
	if err != nil {
		return nil, err
	}
	line := strings.Join(argv, " ")
	if !cmd.Each && (strings.Contains(line, dbMark) || strings.Contains(line, nameMark)) {
		return nil, usagef("%s and %s in the command need --each", dbMark, nameMark)
	}
	shard, err := cmd.shard()
	if err != nil {
		return nil, err
	}
	finder := newWatchFinder(cmd, shard)
	paths, err := finder.answering(ctx)
	if err != nil {
		return nil, err
	}
	if cmd.Metrics != "" {
		if err := checkMetrics(cmd.Metrics, paths); err != nil {
			return nil, err
		}
	}
	lock, past, err := cmd.openState(con, paths)
	if err != nil {
		return nil, err
	}
	options := watch.Options{
		Each: cmd.Each, Once: cmd.Once, Every: cmd.Every, AtLeast: cmd.AtLeast, Poll: cmd.Poll,
	}
	w := &watcher{
		watchCmd: cmd, con: con, argv: argv, lock: lock,
		schedule: watch.New(options, past, time.Now()),
		finder:   finder,
		children: map[*child]bool{},
		looks:    make(chan lookEnd, 1),
		ends:     make(chan childEnd),
		said:     map[string]bool{},
		measured: map[metrics.Series]metrics.Values{},
	}
	return w, nil
}

// shard returns which worker this process is, from --shard or the environment of a Kubernetes
// Indexed Job.
func (cmd *watchCmd) shard() (watch.Shard, error) {
	text := cmd.Shard
	if text == "" {
		index, count := os.Getenv("JOB_COMPLETION_INDEX"), os.Getenv("JOB_COMPLETION_COUNT")
		if index == "" || count == "" {
			return watch.Shard{}, nil
		}
		text = index + "/" + count
	}
	shard, err := watch.ParseShard(text)
	if err != nil {
		return shard, usagef("--shard: %v", err)
	}
	return shard, nil
}
