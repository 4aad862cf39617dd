package main

import (
	"fmt"
	"strconv"
	"strings"
)

// A sizeList is a flag: sizes in bytes.
type sizeList []int64

var units = []struct {
	name  string
	bytes int64
}{{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}}

func (l *sizeList) String() string {
	var names []string
	for _, size := range *l {
		names = append(names, sizeName(size))
	}
	return strings.Join(names, ",")
}

func (l *sizeList) Set(s string) error {
	*l = nil
	for _, name := range strings.Split(s, ",") {
		size, err := parseSize(name)
		if err != nil {
			return err
		}
		*l = append(*l, size)
	}
	return nil
}

func parseSize(name string) (int64, error) {
	for _, unit := range units {
		if number, ok := strings.CutSuffix(name, unit.name); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 32)
			if err == nil && n > 0 {
				return n * unit.bytes, nil
			}
		}
	}
	return 0, fmt.Errorf("%q is not like 100kB, 64MB or 1GB", name)
}

func sizeName(size int64) string {
	for _, unit := range units {
		if size >= unit.bytes {
			return fmt.Sprintf("%d%s", size/unit.bytes, unit.name)
		}
	}
	return fmt.Sprint(size)
}
