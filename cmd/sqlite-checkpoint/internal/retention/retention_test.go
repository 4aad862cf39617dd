package retention

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// at reads times in UTC, newest first.
func at(t *testing.T, list string) (times []time.Time) {
	t.Helper()
	for text := range strings.FieldsSeq(list) {
		moment, err := time.Parse("2006-01-02T15:04", text)
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, moment)
	}
	return times
}

func TestApply(t *testing.T) {
	const twoDays = "2026-11-23T18:00 2026-11-23T12:00 2026-11-22T18:00 2026-11-22T12:00"
	for _, c := range []struct {
		name   string
		policy Policy
		times  string
		want   []string // reasons, joined
	}{
		{"nothing there", Policy{Last: 1}, "", nil},
		{"last", Policy{Last: 2}, twoDays, []string{"last snapshot", "last snapshot", "", ""}},
		{"newest of a day, and the oldest while a count is left", Policy{Daily: 3}, twoDays,
			[]string{"daily snapshot", "", "daily snapshot", "oldest daily snapshot"}},
		{"no count left for the oldest", Policy{Daily: 2}, twoDays,
			[]string{"daily snapshot", "", "daily snapshot", ""}},
		{"unlimited", Policy{Hourly: Unlimited}, twoDays,
			[]string{"hourly snapshot", "hourly snapshot", "hourly snapshot", "hourly snapshot"}},
		{"rules are joined by or", Policy{Last: 1, Yearly: 1}, twoDays,
			[]string{"last snapshot, yearly snapshot", "", "", ""}},
		{"an ISO week over the new year", Policy{Weekly: 3},
			"2027-01-04T00:00 2027-01-03T00:00 2026-12-28T00:00 2026-12-27T00:00",
			[]string{"weekly snapshot", "weekly snapshot", "", "weekly snapshot"}},
		{"a month and its first day", Policy{Monthly: 2},
			"2026-03-01T00:00 2026-02-28T23:59 2026-02-01T00:00 2026-01-01T00:00",
			[]string{"monthly snapshot", "monthly snapshot", "", ""}},
		{"within, exclusive", Policy{Within: Duration{Days: 1}}, "2026-11-23T18:00 2026-11-22T18:01 2026-11-22T18:00",
			[]string{"within 1d", "within 1d", ""}},
		{"within counts from the newest that is not in the future", Policy{Within: Duration{Hours: 6}},
			"2030-01-01T00:00 2026-11-23T18:00 2026-11-23T12:00", []string{"within 6h", "within 6h", ""}},
		{"within, when all are in the future", Policy{Within: Duration{Hours: 6}}, "2030-01-01T00:00 2029-01-01T00:00",
			[]string{"within 6h", "within 6h"}},
		{"the same time twice", Policy{Hourly: 1, Last: 1}, "2026-11-23T18:00 2026-11-23T18:00",
			[]string{"last snapshot, hourly snapshot", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, reasons := range c.policy.Apply(at(t, c.times), at(t, "2026-12-01T00:00")[0]) {
				got = append(got, strings.Join(reasons, ", "))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// A day is one of the times' own location, where it may have 23 or 25 hours.
func TestLocation(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	times := at(t, "2026-10-25T22:59 2026-10-24T22:00 2026-10-24T21:59")
	now := at(t, "2026-12-01T00:00")[0]
	for i := range times {
		times[i] = times[i].In(berlin)
	}
	got := Policy{Daily: 2}.Apply(times, now)
	if len(got[0]) != 1 || len(got[1]) != 0 || len(got[2]) != 1 {
		t.Errorf("%q", got)
	}
}

func TestCount(t *testing.T) {
	for text, want := range map[string]Count{"0": 0, "7": 7, "unlimited": Unlimited} {
		var got Count
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-1", "all", "1.5", "99999999999999999999"} {
		if err := new(Count).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]Duration{
		"30d": {Days: 30}, "1y6m": {Years: 1, Months: 6}, "1y2m3d4h": {1, 2, 3, 4},
	} {
		got, err := ParseDuration(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "30", "d", "-3d", "4w", "1h1d", "1.5h", "9999999d", "3d "} {
		if d, err := ParseDuration(text); err == nil {
			t.Errorf("%q is %v", text, d)
		}
	}
	if !(Policy{Within: Duration{}}).Empty() || (Policy{Yearly: Unlimited}).Empty() {
		t.Error("Empty")
	}
}
