package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"slices"
	"strings"
)

// A curve is one line of the plot. Colour tells ours from theirs, dashes tell compressed from raw.
type curve struct {
	task, label, colour, dashes string
	points                      []point
}

type point struct{ size, median, min, max float64 } // bytes, seconds

const (
	blue   = "#1f6feb"
	orange = "#d4711c"
	ink    = "#24292f"
	faint  = "#6e7781"
	grid   = "#dfe3e8"
)

func (s *store) curves() []curve {
	all := []curve{
		{task: rawOurs, label: rawOurs, colour: blue},
		{task: rawTheirs, label: rawTheirs, colour: orange},
		{task: zstdOurs, label: zstdOurs, colour: blue, dashes: "7 5"},
		{task: zstdTheirs, label: "… zstd -3 -T0 instead of cat", colour: orange, dashes: "7 5"},
	}
	for i := range all {
		for _, size := range s.sizes() {
			if times := s.timing(size, all[i].task).Seconds; len(times) > 0 {
				all[i].points = append(all[i].points, point{float64(size), median(times), slices.Min(times),
					slices.Max(times)})
			}
		}
	}
	return slices.DeleteFunc(all, func(c curve) bool { return len(c.points) == 0 })
}

// A canvas is where the curves are drawn, in pixels; both axes are logarithmic.
type canvas struct {
	bytes.Buffer
	x, y axis
}

// An axis maps values from low to high to pixels.
type axis struct{ low, high, from, to float64 }

func (a axis) at(value float64) float64 {
	return a.from + (a.to-a.from)*math.Log(value/a.low)/math.Log(a.high/a.low)
}

const width, height = 900, 540

// plot draws wall time against size, as SVG.
func (s *store) plot() []byte {
	c := &canvas{}
	curves := s.curves()
	c.fit(curves)
	c.printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" `+
		`font-family="system-ui, 'DejaVu Sans', Helvetica, Arial, sans-serif" font-size="14" fill="%s">`, width, height,
		ink)
	c.printf(`<rect width="%d" height="%d" rx="8" fill="#ffffff"/>`, width, height)
	c.printf(`<text x="76" y="34" font-size="18" font-weight="600">` +
		`A checked and digested snapshot into a pipe: wall time by size</text>`)
	c.printf(`<text x="76" y="56" fill="%s">`+
		`both axes logarithmic; medians, with the fastest and the slowest run</text>`, faint)
	c.grid(s.timedSizes())
	for _, curve := range curves {
		c.draw(curve)
	}
	c.label(curves)
	c.printf(`<text x="76" y="%d" font-size="12" fill="%s">%s</text>`, height-16, faint, escape(machine()))
	c.printf(`</svg>`)
	return c.Bytes()
}

func (c *canvas) printf(format string, args ...any) { fmt.Fprintf(c, format+"\n", args...) }

// fit chooses the axes so that everything fits, the time axis from one power of ten to another.
func (c *canvas) fit(curves []curve) {
	c.x = axis{math.Inf(1), 0, 96, 590}
	c.y = axis{math.Inf(1), 0, height - 76, 84}
	for _, curve := range curves {
		for _, p := range curve.points {
			c.x.low, c.x.high = min(c.x.low, p.size), max(c.x.high, p.size)
			c.y.low, c.y.high = min(c.y.low, p.min), max(c.y.high, p.max)
		}
	}
	c.x.high = max(c.x.high, c.x.low*10)
	c.y.low, c.y.high = math.Pow10(int(math.Floor(math.Log10(c.y.low)))),
		math.Pow10(int(math.Ceil(math.Log10(c.y.high))))
}

func (c *canvas) grid(sizes []int64) {
	for value := c.y.low; value < c.y.high*1.5; value *= 10 {
		y := c.y.at(value)
		c.printf(`<path d="M%.1f %.1fH%.1f" stroke="%s"/>`, c.x.from-16, y, c.x.to+16, grid)
		c.printf(`<text x="%.1f" y="%.1f" text-anchor="end" fill="%s">%s</text>`, c.x.from-24, y+5, faint,
			duration(value))
	}
	for _, size := range sizes {
		x := c.x.at(float64(size))
		c.printf(`<path d="M%.1f %.1fV%.1f" stroke="%s"/>`, x, c.y.from, c.y.to, grid)
		c.printf(`<text x="%.1f" y="%.1f" text-anchor="middle" fill="%s">%s</text>`, x, c.y.from+24, faint,
			spaced(size))
	}
}

func duration(seconds float64) string {
	if seconds < 0.99 {
		return fmt.Sprintf("%.0f ms", seconds*1000)
	}
	return fmt.Sprintf("%.0f s", seconds)
}

func (c *canvas) draw(curve curve) {
	var line []string
	for _, p := range curve.points {
		x := c.x.at(p.size)
		line = append(line, fmt.Sprintf("%.1f %.1f", x, c.y.at(p.median)))
		c.printf(`<path d="M%.1f %.1fV%.1f" stroke="%s" stroke-width="5" stroke-opacity="0.25"/>`, x, c.y.at(p.min),
			c.y.at(p.max), curve.colour)
	}
	c.printf(`<path d="M%s" fill="none" stroke="%s" stroke-width="2.5" stroke-dasharray="%s" stroke-linejoin="round"/>`,
		strings.Join(line, "L"), curve.colour, curve.dashes)
	for _, p := range curve.points {
		c.printf(`<circle cx="%.1f" cy="%.1f" r="4" fill="%s" stroke="#ffffff" stroke-width="1.5"/>`, c.x.at(p.size),
			c.y.at(p.median), curve.colour)
	}
}

// label names the curves at their ends, far enough apart to be legible.
func (c *canvas) label(curves []curve) {
	last := func(v curve) point { return v.points[len(v.points)-1] }
	curves = slices.Clone(curves)
	slices.SortFunc(curves, func(a, b curve) int { return int(1e6 * (last(b).median - last(a).median)) })
	const apart = 38
	y := math.Inf(-1)
	for _, curve := range curves {
		p := last(curve)
		x, end, column := c.x.at(p.size), c.y.at(p.median), c.x.to+36
		y = max(y+apart, end-apart/2)
		c.printf(`<path d="M%.1f %.1fL%.1f %.1fH%.1f" fill="none" stroke="%s" stroke-opacity="0.5"/>`, x+7, end,
			column-12, y-4, column-4, curve.colour)
		c.printf(`<text x="%.1f" y="%.1f" fill="%s" font-size="13">%s</text>`, column, y-2, curve.colour,
			escape(curve.label))
		c.printf(`<text x="%.1f" y="%.1f" fill="%s" font-size="12">%s for %s</text>`, column, y+14, faint,
			seconds(p.median), spaced(int64(p.size)))
	}
}

func escape(text string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(text))
	return b.String()
}
