package cli

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// TestFollowHeap: the limit is above what is kept, and comes down again.
func TestFollowHeap(t *testing.T) {
	defer followHeap(math.MaxInt64)
	const limit, kept = 64 << 20, 256 << 20
	followHeap(limit)
	memory := make([]byte, kept)
	wait := func(what string, ok func(now int64) bool) {
		t.Helper()
		for range 200 {
			runtime.GC()
			if ok(debug.SetMemoryLimit(-1)) {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("the limit is %d %s", debug.SetMemoryLimit(-1), what)
	}
	wait("with much kept", func(now int64) bool { return now > kept })
	runtime.KeepAlive(memory)
	memory = nil
	wait("with little kept", func(now int64) bool { return now == limit })
}
