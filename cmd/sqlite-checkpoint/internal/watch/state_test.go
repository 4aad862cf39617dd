package watch

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

func TestState(t *testing.T) {
	state := State{Jobs: map[string]JobState{
		"": {Began: start, Ended: start.Add(time.Minute),
			Done: map[string]engine.Token{"/a": token(t, 1, ""), "/\xfc\n": token(t, 2, "")}},
		"/\"odd\"\n\xff": {Failures: 3, Status: 5, Done: map[string]engine.Token{}},
	}}
	encoded := state.Encode()
	read, err := Decode(encoded)
	if err != nil || !reflect.DeepEqual(read, state) {
		t.Errorf("read %+v, error %v", read, err)
	}
	for i := range encoded {
		damaged := append([]byte(nil), encoded...)
		damaged[i] ^= 1
		if read, err := Decode(damaged); err == nil || len(read.Jobs) > 0 {
			t.Errorf("byte %d flipped: %v", i, err)
		}
		if read, err := Decode(encoded[:i]); i > 0 && err == nil || len(read.Jobs) > 0 {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
	if _, err := Decode([]byte("SQLite format 3\x00")); !errors.Is(err, ErrNotState) {
		t.Errorf("a database as state: %v", err)
	}
}

// Times in the future come from a wrong clock: nothing waits for them.
func TestStateOfTheFuture(t *testing.T) {
	d := newDay(t, Options{Each: true, Every: time.Hour}, "a")
	d.until(time.Minute)
	state := d.s.State()
	d.now = start.Add(-24 * time.Hour)
	d.s = New(d.s.options, state, d.now)
	d.commit("a")
	d.mustRun(-23*time.Hour, "a@-24h0m0s")
}

// A clock that was wrong at the start may be set right later: nothing waits for the time it showed.
func TestStateBeforeClockIsSet(t *testing.T) {
	now := time.Now()
	began := now.Add(-time.Minute).Round(0) // the wall clock's
	done := map[string]engine.Token{"a": token(t, 1, "")}
	state := State{Jobs: map[string]JobState{"a": {Began: began, Ended: began, Done: done}}}
	s := New(Options{Each: true, Every: time.Hour}, state, now)
	s.Look(now, map[string]engine.Token{"a": token(t, 2, "")}, nothingHidden)
	due, ok := s.Next()
	if wait := due.Sub(now); !ok || wait < 58*time.Minute || wait > 59*time.Minute {
		t.Errorf("due in %v, %v", wait, ok)
	}
	if !strings.Contains(due.String(), " m=") {
		t.Errorf("%v is a time of the wall clock", due)
	}
}
