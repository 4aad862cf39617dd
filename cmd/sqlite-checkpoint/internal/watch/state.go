package watch

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// A State is what a scheduler remembers from one process to the next.
type State struct {
	Jobs map[string]JobState
}

// A JobState is what is remembered about a job.
type JobState struct {
	Began    time.Time // the last run that succeeded
	Ended    time.Time // the last run
	Failures int
	Status   int
	Done     map[string]engine.Token
}

// State returns what a later scheduler needs to know.
func (s *Scheduler) State() State {
	state := State{Jobs: make(map[string]JobState, len(s.jobs))}
	for name, j := range s.jobs {
		known := JobState{j.began, j.ended, j.failures, j.status, make(map[string]engine.Token, len(j.databases))}
		for path, db := range j.databases {
			if db.done != (engine.Token{}) {
				known.Done[path] = db.done
			}
		}
		if len(known.Done) > 0 || known.Failures > 0 {
			state.Jobs[name] = known
		}
	}
	return state
}

// stateMagic begins every state file. The SHA-256 of all that follows this line is in it.
const stateMagic = "sqlite-checkpoint watch state 1 "

var (
	// ErrNotState is the error for a file that is something else.
	ErrNotState = errors.New("not a state file of watch")
	// ErrDamaged is the error for a state file that is not whole.
	ErrDamaged = errors.New("the state file is damaged")
)

// storedState is the state in JSON. JSON strings are UTF-8, so other paths are escaped.
type storedState struct {
	Job      string            `json:"job,omitempty"`
	Began    time.Time         `json:"began"`
	Ended    time.Time         `json:"ended"`
	Failures int               `json:"failures,omitempty"`
	Status   int               `json:"status,omitempty"`
	Done     map[string]string `json:"done"`
}

// Encode returns the contents of a state file: a line with a digest, then a line of JSON for each
// job.
func (s State) Encode() []byte {
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	for _, name := range slices.Sorted(maps.Keys(s.Jobs)) {
		j, done := s.Jobs[name], map[string]string{}
		for path, token := range j.Done {
			text, _ := token.MarshalText()
			done[escape(path)] = string(text)
		}
		encoder.Encode(storedState{escape(name), j.Began.Round(0), j.Ended.Round(0), j.Failures, j.Status, done})
	}
	sum := sha256.Sum256(lines.Bytes())
	return append([]byte(stateMagic+hex.EncodeToString(sum[:])+"\n"), lines.Bytes()...)
}

// Decode is the inverse of Encode. An empty file is an empty state.
func Decode(data []byte) (State, error) {
	state := State{Jobs: map[string]JobState{}}
	if len(data) == 0 {
		return state, nil
	}
	if !bytes.HasPrefix(data, []byte(stateMagic)) {
		return state, ErrNotState
	}
	digest, lines, _ := bytes.Cut(data[len(stateMagic):], []byte("\n"))
	sum := sha256.Sum256(lines)
	if string(digest) != hex.EncodeToString(sum[:]) {
		return state, ErrDamaged
	}
	for line := range bytes.Lines(lines) {
		var stored storedState
		if err := json.Unmarshal(line, &stored); err != nil {
			return State{}, ErrDamaged
		}
		j := JobState{stored.Began, stored.Ended, stored.Failures, stored.Status, map[string]engine.Token{}}
		for path, text := range stored.Done {
			var token engine.Token
			if err := token.UnmarshalText([]byte(text)); err != nil {
				return State{}, ErrDamaged
			}
			j.Done[unescape(path)] = token
		}
		state.Jobs[unescape(stored.Job)] = j
	}
	return state, nil
}

func escape(s string) string {
	quoted := strconv.QuoteToASCII(s)
	return quoted[1 : len(quoted)-1]
}

func unescape(s string) string {
	plain, _ := strconv.Unquote(`"` + s + `"`)
	return plain
}
