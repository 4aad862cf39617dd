package retention

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
)

// A Duration is a span of the calendar: a month has as many days as it has.
type Duration struct{ Years, Months, Days, Hours int }

var durationForm = regexp.MustCompile(`^(?:(\d{1,6})y)?(?:(\d{1,6})m)?(?:(\d{1,6})d)?(?:(\d{1,6})h)?$`)

// ParseDuration reads years, months, days and hours, in this order: "1y6m", "30d", "36h".
func ParseDuration(s string) (Duration, error) {
	parts := durationForm.FindStringSubmatch(s)
	if parts == nil || s == "" {
		return Duration{}, errors.New("must be years, months, days and hours, such as 30d, 36h or 1y6m")
	}
	var n [4]int
	for i, digits := range parts[1:] {
		n[i], _ = strconv.Atoi(digits) // at most six digits, or none for 0
	}
	return Duration{n[0], n[1], n[2], n[3]}, nil
}

// UnmarshalText is ParseDuration.
func (d *Duration) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDuration(string(text))
	return err
}

// String is the inverse of ParseDuration. It leaves out what is 0.
func (d Duration) String() (s string) {
	for _, part := range []struct {
		n    int
		unit string
	}{{d.Years, "y"}, {d.Months, "m"}, {d.Days, "d"}, {d.Hours, "h"}} {
		if part.n != 0 {
			s += fmt.Sprint(part.n, part.unit)
		}
	}
	return s
}
