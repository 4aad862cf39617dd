//go:build race

package stream

// raceDetector makes some tests smaller, as it slows compression down tenfold.
const raceDetector = true
