package dated

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Examples of what ParseTime reads, for messages.
const Examples = `latest, 2026-11-23T10:15:00Z, "2026-11-23 10:15", 2026-11-23, yesterday, "yesterday 18:00", 18:00, ` +
	`"2h ago", "3d ago"`

var errForm = errors.New("not a time")

// localForms are those without a zone. A day without a time of day means its end.
var localForms = []string{"2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02T15:04:05"}

// ParseTime parses a time as people write it, relative to now and in the location of now.
func ParseTime(text string, now time.Time) (time.Time, error) {
	text = strings.TrimSpace(text)
	for _, form := range []string{time.RFC3339, layout} {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	for _, form := range localForms {
		if wall, err := time.Parse(form, text); err == nil {
			return local(wall, now.Location())
		}
	}
	if amount, ok := strings.CutSuffix(text, "ago"); ok {
		return ago(strings.TrimSpace(amount), now)
	}
	return onDay(text, now)
}

var amountForm = regexp.MustCompile(`^(\d{1,6}) ?([a-z]+)$`)

// ago reads an amount such as "2h". Days and longer are the calendar's: the time of day stays.
func ago(amount string, now time.Time) (time.Time, error) {
	parts := amountForm.FindStringSubmatch(amount)
	if parts == nil {
		return time.Time{}, errForm
	}
	n, _ := strconv.Atoi(parts[1])
	switch strings.TrimSuffix(parts[2], "s") {
	case "", "sec", "second": // "s" without its s
		return now.Add(-time.Duration(n) * time.Second), nil
	case "min", "minute":
		return now.Add(-time.Duration(n) * time.Minute), nil
	case "h", "hour":
		return now.Add(-time.Duration(n) * time.Hour), nil
	case "d", "day":
		return now.AddDate(0, 0, -n), nil
	case "w", "week":
		return now.AddDate(0, 0, -7*n), nil
	case "month":
		return now.AddDate(0, -n, 0), nil
	case "y", "year":
		return now.AddDate(-n, 0, 0), nil
	}
	return time.Time{}, errForm
}

// onDay reads "yesterday", "today" or a date, then a time of day, either of which may be missing.
func onDay(text string, now time.Time) (time.Time, error) {
	word, clock, _ := strings.Cut(text, " ")
	year, month, day := now.Date()
	switch date, err := time.Parse(time.DateOnly, word); {
	case err == nil:
		year, month, day = date.Date()
	case word == "yesterday":
		day--
	case word != "today":
		clock = text
	}
	clock = strings.TrimSpace(clock)
	if clock == "" && word != "" {
		return time.Date(year, month, day+1, 0, 0, 0, 0, now.Location()).Add(-1), nil
	}
	for _, form := range []string{"15:04", time.TimeOnly} {
		if t, err := time.Parse(form, clock); err == nil {
			wall := time.Date(year, month, day, t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
			return local(wall, now.Location())
		}
	}
	return time.Time{}, errForm
}

// local returns the moment at which clocks in that location show what wall shows. Where clocks are
// put forward or back there is none, or there are two.
func local(wall time.Time, where *time.Location) (time.Time, error) {
	var found []time.Time
	for _, around := range []time.Time{wall.Add(-24 * time.Hour), wall.Add(24 * time.Hour)} {
		_, offset := around.In(where).Zone()
		t := wall.Add(-time.Duration(offset) * time.Second).In(where)
		if t.Format(time.DateTime) == wall.Format(time.DateTime) && (found == nil || !found[0].Equal(t)) {
			found = append(found, t)
		}
	}
	switch len(found) {
	case 0:
		return time.Time{}, errors.New("no such time: clocks were put forward over it")
	case 1:
		return found[0], nil
	}
	first, second := found[0].Format(time.RFC3339), found[1].Format(time.RFC3339)
	return time.Time{}, fmt.Errorf("clocks showed it twice: %s, and %s", first, second)
}
