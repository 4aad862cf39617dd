package main

import (
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"
)

// A sizeList is a flag: sizes in bytes.
type sizeList []int64

func (l *sizeList) String() string {
	var names []string
	for _, size := range *l {
		names = append(names, sizeName(size))
	}
	return strings.Join(names, ",")
}

func (l *sizeList) Set(s string) error {
	*l = nil
	for name := range strings.SplitSeq(s, ",") {
		size, err := humanize.ParseBytes(name)
		if err != nil || size == 0 {
			return fmt.Errorf("%q is not like 100kB, 64MB or 1GB", name)
		}
		*l = append(*l, int64(size))
	}
	return nil
}

// sizeName returns a short name: 64MB, not 64 MB, and 1GB, not 1.0 GB.
func sizeName(size int64) string {
	return strings.NewReplacer(" ", "", ".0", "").Replace(humanize.Bytes(uint64(size)))
}
