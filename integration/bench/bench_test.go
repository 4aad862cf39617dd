package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

func TestRowsAreAlwaysTheSame(t *testing.T) {
	h := sha256.New()
	writeRows(h, rand.New(rand.NewPCG(6, 0)), 10_000)
	const want = "75a1631e88a88dfea3b67087bdbdea4244dddbaa611db38cc2691bda2147ad06"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("the rows have SHA-256 %s, once it was %s: the recipe needs a new number", got, want)
	}
}

func TestSizes(t *testing.T) {
	const names = "100kB,64MB,1GB,8GB"
	var sizes sizeList
	if err := sizes.Set(names); err != nil || sizes.String() != names || len(sizes) != 4 || sizes[1] != 64_000_000 {
		t.Errorf("%s: %v, which is %s (%v)", names, []int64(sizes), sizes.String(), err)
	}
	for _, name := range []string{"", "GB", "-1GB", "0", "1GB,"} {
		if err := sizes.Set(name); err == nil {
			t.Errorf("%q is taken for %v", name, []int64(sizes))
		}
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{4, 1}, 2.5}, {[]float64{9, 1, 2}, 2}} {
		if got := median(c.values); got != c.want {
			t.Errorf("the median of %v is %v, not %v", c.values, got, c.want)
		}
	}
}

func TestPlot(t *testing.T) {
	s := &store{}
	for i, size := range []int64{100e3, 1e9} {
		s.Figures = append(s.Figures, figure{Size: size})
		for _, task := range []string{rawOurs, rawTheirs, zstdOurs} {
			s.Times = append(s.Times, timing{Size: size, Task: task, Seconds: []float64{0.01, float64(i) + 0.02}})
		}
	}
	if plot := s.plot(); !wellFormed(plot) || bytes.Contains(plot, []byte("NaN")) ||
		bytes.Contains(plot, []byte("Inf")) {
		t.Errorf("%s", plot)
	}
}

func wellFormed(svg []byte) bool {
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		if _, err := d.Token(); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}
