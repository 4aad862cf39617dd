package copies

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// zones are time zones whose clocks change at different times and by different amounts, or never.
var zones = []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"}

// TestPruneKeepsWhatResticKeeps applies prune and restic forget to the same random histories, with
// the same policies, and compares what is kept, what is removed, and why. HISTORIES is the number
// of histories; three policies are applied to each.
func TestPruneKeepsWhatResticKeeps(t *testing.T) {
	const batch, policies = 200, 3
	histories := 2 * batch
	if n, err := strconv.Atoi(os.Getenv("HISTORIES")); err == nil {
		histories = n
	}
	judged, copies := 0, 0
	for seed := uint64(1); judged < histories*policies && !t.Failed(); seed++ {
		h := newHistories(t, seed, min(batch, histories-judged/policies))
		for range policies {
			h.compare(h.policy())
			judged += len(h.times)
		}
		copies += h.copies
	}
	t.Logf("%d histories of %d copies in all, %d judgements", judged/policies, copies, judged)
}

// histories are dated copies of many databases in one directory, and as many snapshots of as many
// hosts in one repository.
type histories struct {
	*harness.Bench
	random *rand.Rand
	seed   uint64
	zone   string
	times  map[string][]time.Time // by database
	copies int
}

// onePage returns the smallest image.
const onePage = "sqlite3 app.db 'PRAGMA page_size=512; CREATE TABLE t(x)'; sqlite-checkpoint backup -q app.db image;"

func newHistories(t *testing.T, seed uint64, count int) *histories {
	h := &histories{Bench: harness.NewBench(t), random: rand.New(rand.NewPCG(seed, 1)), seed: seed}
	h.times = map[string][]time.Time{}
	h.zone = zones[h.random.IntN(len(zones))]
	h.Bash(onePage + "mkdir dir").Exits(0)
	restic := harness.Tool(t, "bin/restic")
	h.ResticRepository()
	var key resticKey
	h.Check(json.Unmarshal([]byte(h.Finish(h.Other(restic, "cat", "masterkey")).Exits(0).Stdout), &key))
	for i := range count {
		database := fmt.Sprintf("app%d.db", i)
		h.times[database] = h.history()
		seen := map[string]int{}
		for _, at := range h.times[database] {
			name := strings.TrimSuffix(database, ".db") + at.UTC().Format("-20060102T150405Z")
			if seen[name]++; seen[name] > 1 {
				name += fmt.Sprint("-", seen[name])
			}
			copy := filepath.Join(h.Path("dir"), name+".db")
			h.Check(os.Link(h.Path("image"), copy))
			sidecarOfImage(h.Bench, copy)
			snapshotAt(h.Bench, key, database, at)
			h.copies++
		}
	}
	return h
}

// history returns a random history: regular, with gaps, copies of the same second, clocks that were
// set back, and times in the future. Many begin shortly before a new year, or before clocks are
// changed.
func (h *histories) history() (times []time.Time) {
	const hour, day = time.Hour, 24 * time.Hour
	steps := []time.Duration{
		0, time.Second, 10 * time.Minute, hour, 6 * hour, day, day, 7 * day, 31 * day, 200 * day, -3 * hour,
	}
	where, err := time.LoadLocation(h.zone)
	h.Check(err)
	at := time.Unix(1577836800+h.random.Int64N(6*365*86400), 0) // from 2020 on
	months := []time.Month{0, 0, time.March, time.October, time.December, time.December}
	if month := months[h.random.IntN(len(months))]; month > 0 {
		at = time.Date(at.Year(), month, 22+h.random.IntN(9), at.Hour(), at.Minute(), at.Second(), 0, time.UTC)
	}
	if h.random.IntN(10) == 0 {
		at = at.AddDate(20, 0, 0)
	}
	usual := steps[h.random.IntN(len(steps))]
	for range 1 + h.random.IntN(25) {
		times = append(times, at.In(where))
		if h.random.IntN(3) > 0 {
			at = at.Add(usual)
		} else {
			at = at.Add(steps[h.random.IntN(len(steps))])
		}
	}
	return times
}

// policy returns a random policy that keeps something.
func (h *histories) policy() (flags []string) {
	for len(flags) == 0 {
		for _, bucket := range []string{"last", "hourly", "daily", "weekly", "monthly", "yearly"} {
			switch n := h.random.IntN(24); {
			case n == 0:
				flags = append(flags, "--keep-"+bucket, "unlimited")
			case n < 9:
				flags = append(flags, "--keep-"+bucket, strconv.Itoa(n))
			}
		}
		if h.random.IntN(4) == 0 {
			spans := []string{"1h", "36h", "3d", "30d", "2m", "1y6m", "1y2m3d4h"}
			flags = append(flags, "--keep-within", spans[h.random.IntN(len(spans))])
		}
	}
	return flags
}

// A judgement has each database's copies, with their times and the reasons to keep them.
type judgement map[string][]string

func (j judgement) add(database string, at time.Time, reasons []string) {
	j[database] = append(j[database], at.UTC().Format(time.RFC3339)+" "+strings.Join(reasons, ", "))
}

func (h *histories) compare(policy []string) {
	h.Helper()
	ours, theirs := h.prune(policy), h.forget(policy)
	for database := range h.times {
		slices.Sort(ours[database])
		slices.Sort(theirs[database])
		if !slices.Equal(ours[database], theirs[database]) {
			h.Errorf("seed %d, %s, %q, %s:\nprune  %q\nrestic %q",
				h.seed, h.zone, policy, database, ours[database], theirs[database])
		}
	}
	if got := slices.Sorted(maps.Keys(ours)); len(got) != len(h.times) {
		h.Errorf("prune judged %d databases of %d", len(got), len(h.times))
	}
}

// A pruning is what prune says that it would do.
type pruning struct {
	Databases []struct {
		Database     string
		Keep, Remove []struct {
			Name    string
			Time    time.Time
			Reasons []string
		}
	}
}

func (h *histories) dryRun(policy []string, dir string) (result pruning) {
	h.Helper()
	cmd := h.Command(slices.Concat([]string{"prune", "--json", "--dry-run"}, policy, []string{dir})...)
	cmd.Env = append(cmd.Env, "TZ="+h.zone)
	h.Check(json.Unmarshal([]byte(h.Finish(cmd).Exits(0).Stdout), &result))
	return result
}

func (h *histories) prune(policy []string) judgement {
	h.Helper()
	j := judgement{}
	for _, d := range h.dryRun(policy, "dir").Databases {
		for _, c := range slices.Concat(d.Keep, d.Remove) {
			// What prune keeps beyond restic's rules.
			if strings.HasPrefix(strings.Join(c.Reasons, ""), "newest copy") {
				c.Reasons = nil
			}
			j.add(d.Database, c.Time, c.Reasons)
		}
	}
	return j
}

func (h *histories) forget(policy []string) judgement {
	h.Helper()
	forget := []string{
		harness.Tool(h, "bin/restic"), "forget", "--no-cache", "--no-lock", "--json", "--dry-run", "--group-by", "host",
	}
	cmd := h.Other(slices.Concat(forget, policy)...)
	cmd.Env = append(cmd.Env, "TZ="+h.zone)
	type snapshot struct{ Time time.Time }
	var groups []struct {
		Host    string
		Remove  []snapshot
		Reasons []struct {
			Snapshot snapshot
			Matches  []string
		}
	}
	h.Check(json.Unmarshal([]byte(h.Finish(cmd).Exits(0).Stdout), &groups))
	j := judgement{}
	for _, g := range groups {
		for _, r := range g.Reasons {
			j.add(g.Host, r.Snapshot.Time, r.Matches)
		}
		for _, s := range g.Remove {
			j.add(g.Host, s.Time, nil)
		}
	}
	return j
}
