package harness

import (
	"encoding/json"
	"os"
)

// A copyList is what list prints about a directory.
type copyList struct {
	Copies []struct{ Name string }
}

// Proven returns the names of the copies in dir, the oldest first, and fails the test unless all
// are proven.
func (b *Bench) Proven(dir string) (names []string) {
	b.Helper()
	var found copyList
	b.Check(json.Unmarshal([]byte(b.Run("list", "--json", "--verify", dir).Exits(0).Stdout), &found))
	for _, c := range found.Copies {
		names = append(names, c.Name)
	}
	return names
}

func (b *Bench) Poke(file string, offset int64, text string) {
	b.Helper()
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	b.Check(err)
	defer f.Close()
	_, err = f.WriteAt([]byte(text), offset)
	b.Check(err)
}
