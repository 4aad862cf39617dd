// Package retention decides which of several dated copies to keep. It is arithmetic on times alone:
// no files, no clock.
//
// The rules are those of restic's forget command:
// https://restic.readthedocs.io/en/stable/060_forget.html#removing-snapshots-according-to-a-policy
package retention

import (
	"errors"
	"strconv"
	"time"
)

// A Policy says what to keep: a copy stays if at least one rule keeps it.
type Policy struct {
	// Counts of buckets that each keep their newest copy.
	Last, Hourly, Daily, Weekly, Monthly, Yearly Count
	// Within keeps every copy that is newer than this, counted back from the newest copy.
	Within Duration
}

// A Count is a number of buckets, or Unlimited.
type Count int

// Unlimited keeps a copy of every bucket there is.
const Unlimited Count = -1

// UnmarshalText reads a number or "unlimited".
func (c *Count) UnmarshalText(text []byte) error {
	if string(text) == "unlimited" {
		*c = Unlimited
		return nil
	}
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 0 {
		return errors.New("must be a number, or unlimited")
	}
	*c = Count(n)
	return nil
}

// Empty reports whether no rule keeps anything.
func (p Policy) Empty() bool { return p == Policy{} }

// A rule keeps the newest copy of each bucket until its count is used up.
type rule struct {
	left   Count
	bucket func(t time.Time, index int) int
	last   int // the bucket of the last copy that this rule kept
	reason string
}

func (p Policy) rules() []rule {
	return []rule{
		{p.Last, func(_ time.Time, index int) int { return index }, -1, "last snapshot"},
		{p.Hourly, func(t time.Time, _ int) int { return day(t)*100 + t.Hour() }, -1, "hourly snapshot"},
		{p.Daily, func(t time.Time, _ int) int { return day(t) }, -1, "daily snapshot"},
		{p.Weekly, func(t time.Time, _ int) int { return isoWeek(t) }, -1, "weekly snapshot"},
		{p.Monthly, func(t time.Time, _ int) int { return day(t) / 100 }, -1, "monthly snapshot"},
		{p.Yearly, func(t time.Time, _ int) int { return t.Year() }, -1, "yearly snapshot"},
	}
}

// day is a number such as 20261123.
func day(t time.Time) int { return t.Year()*10000 + int(t.Month())*100 + t.Day() }

// isoWeek is a number such as 202648, of the week's own year.
func isoWeek(t time.Time) int {
	year, week := t.ISOWeek()
	return year*100 + week
}

// keep returns why the rule keeps a copy, or "". The oldest copy is kept as long as a count is
// left, although a newer one stands for its bucket: so the history reaches back as far as it can.
func (r *rule) keep(t time.Time, index int, oldest bool) (reason string) {
	if r.left == 0 {
		return ""
	}
	bucket := r.bucket(t, index)
	if bucket == r.last && !oldest {
		return ""
	}
	reason = r.reason
	if bucket == r.last {
		reason = "oldest " + reason
	}
	r.last = bucket
	if r.left > 0 {
		r.left--
	}
	return reason
}

// Apply returns the reasons to keep each copy; one without a reason can be removed. The times are
// sorted, newest first, and the days, weeks, months and years are those of their own location.
// Within does not count back from a copy that is later than now: some clock was wrong.
func (p Policy) Apply(times []time.Time, now time.Time) (reasons [][]string) {
	rules := p.rules()
	limit := p.limit(times, now)
	reasons = make([][]string, len(times))
	for i, t := range times {
		if p.Within != (Duration{}) && t.After(limit) {
			reasons[i] = append(reasons[i], "within "+p.Within.String())
		}
		for n := range rules {
			if reason := rules[n].keep(t, i, i == len(times)-1); reason != "" {
				reasons[i] = append(reasons[i], reason)
			}
		}
	}
	return reasons
}

// limit is the time that Within reaches back to. If all copies are later than now, that is before
// all of them.
func (p Policy) limit(times []time.Time, now time.Time) (newest time.Time) {
	for _, t := range times {
		if t.Before(now) {
			newest = t
			break
		}
	}
	back := p.Within
	return newest.AddDate(-back.Years, -back.Months, -back.Days).Add(-time.Duration(back.Hours) * time.Hour)
}
