package runner

import (
	"testing"
	"time"
)

// TestGauge: memory is measured where it may be over the bound, and now and then.
func TestGauge(t *testing.T) {
	used, measured := uint64(50), 0
	g := gauge{measure: func() uint64 { measured++; return used }}
	start := time.Now()
	for i, step := range []struct {
		resident, used uint64
		after          time.Duration
		exceeds        bool
		measured       int
	}{
		{90, 50, 0, false, 0},                    // the runner has less
		{200, 50, 0, false, 1},                   // for the first time
		{240, 60, time.Millisecond, false, 1},    // can't be over
		{251, 100, time.Millisecond, false, 2},   // could be, is not
		{252, 101, time.Millisecond, true, 3},    // is
		{152, 60, measurePeriod, false, 4},       // long ago
		{140, 60, measurePeriod + 1, false, 4},   // less than it was
		{180, 100, measurePeriod + 1, false, 4},  // as much as it may have got
		{150, 101, 2*measurePeriod + 1, true, 5}, // another gave up what it got
	} {
		used = step.used
		if got := g.mayExceed(100, step.resident, start.Add(step.after)); got != step.exceeds || measured != step.measured {
			t.Errorf("step %d: %v after %d measurements, want %v after %d", i, got, measured, step.exceeds, step.measured)
		}
	}
}
