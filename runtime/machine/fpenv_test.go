package machine

import (
	"testing"
)

// TestMXCSRStaysWithTheGuest: flags that guest code raises are the guest's,
// what Go computes raises none there, and Go runs with its own environment.
func TestMXCSRStaysWithTheGuest(t *testing.T) {
	c := newTestCPU(t, newTestSpace(t, newTestEngine(t, Options{}), nil), &recorder{}, 0)
	c.SetMXCSR(mxcsrReset | 1<<13) // round down
	c.fp.lock()
	defer c.fp.unlock(0)
	c.enterFP()
	third := quotient(1, 10)
	c.leaveFP()
	if back := quotient(1, 10); third >= back {
		t.Errorf("1/10 rounded down is %v, to nearest %v", third, back)
	}
	c.leaveFP() // without effect: guest code did not run
	if got := c.MXCSR(); got != mxcsrReset|1<<13|1<<5 {
		t.Errorf("mxcsr %#x", got)
	}
}

//go:noinline
func quotient(x, y float64) float64 { return x / y }

// BenchmarkHostCallMXCSR is what a live environment adds to a host call.
func BenchmarkHostCallMXCSR(b *testing.B) {
	for b.Loop() {
		loadMXCSR(mxcsrReset)
		_ = storeMXCSR()
		loadMXCSR(mxcsrReset)
	}
}
