package cli

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"

	"github.com/megabin/megabin/cmd/hugeheap"
)

// A recompilation makes much garbage beside what it keeps. So collections are
// late, but not so late that most memory is used for the first time, which is
// dearer where a hypervisor has to make it, until there is as much as this in
// use, in bytes for each job: what the largest libraries of a distribution need.
const (
	memoryOfJob   = 3 << 29
	leastMemory   = 2 * memoryOfJob
	lateRecompile = 200 // percent of what is kept
)

// spendMemory sets the garbage collector for recompiling jobs ELFs at a time;
// 0: one per processor. The environment's GOGC and GOMEMLIMIT come first.
func spendMemory(jobs int) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if jobs <= 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	debug.SetGCPercent(lateRecompile)
	limit := max(leastMemory, int64(jobs)*memoryOfJob)
	hugeheap.Grow(limit)
	followHeap(limit)
}

// heapLimit is the memory limit while little is kept, in bytes.
var heapLimit atomic.Int64

// followHeap sets the memory limit to limit, and to half as much again as what is
// kept where that is more: at the limit a collector works half of the time, and what
// it finds is little.
func followHeap(limit int64) {
	heapLimit.Store(limit)
	debug.SetMemoryLimit(limit)
	afterCollections()
}

// afterCollections sets the memory limit after each collection from now on.
var afterCollections = sync.OnceFunc(func() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	var collected func(*mark)
	collected = func(m *mark) {
		metrics.Read(live)
		debug.SetMemoryLimit(max(heapLimit.Load(), int64(live[0].Value.Uint64())*3/2))
		runtime.SetFinalizer(m, collected)
	}
	runtime.SetFinalizer(&mark{}, collected)
})

// mark is garbage at each collection. It is not tiny, or it would be kept with
// others.
type mark struct{ _ [4]uintptr }
