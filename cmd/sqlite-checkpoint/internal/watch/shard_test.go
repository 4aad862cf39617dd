package watch

import (
	"fmt"
	"testing"
)

func TestShards(t *testing.T) {
	const paths = 10_000
	owner := func(path string, n uint64) (owner uint64) {
		owners := 0
		for i := range n {
			if (Shard{i, n}).Has(path) {
				owner = i
				owners++
			}
		}
		if owners != 1 {
			t.Errorf("%s has %d owners of %d", path, owners, n)
		}
		return owner
	}
	for n := uint64(1); n < 12; n++ {
		moved, sizes := 0, make([]int, n+1)
		for i := range paths {
			path := fmt.Sprintf("/srv/tenants/%d/app.db", i)
			before, after := owner(path, n), owner(path, n+1)
			sizes[after]++
			if before != after {
				moved++
			}
			if before != after && after != n {
				t.Errorf("%s moved from %d to %d, not to the new one", path, before, after)
			}
		}
		if limit := paths * 12 / 10 / int(n+1); moved > limit {
			t.Errorf("from %d to %d workers %d move, limit %d", n, n+1, moved, limit)
		}
		for i, size := range sizes {
			if fair := paths / int(n+1); size < fair*8/10 || size > fair*12/10 {
				t.Errorf("worker %d of %d has %d", i, n+1, size)
			}
		}
	}
}

func TestParseShard(t *testing.T) {
	if s, err := ParseShard("3/4"); err != nil || s != (Shard{3, 4}) {
		t.Errorf("%v, error %v", s, err)
	}
	for _, text := range []string{"", "1", "/", "4/4", "-1/4", "0/0", "1/4/", "a/b", "0/99999999999999999999"} {
		if _, err := ParseShard(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}
