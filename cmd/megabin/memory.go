package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

// A recompilation makes much garbage beside what it keeps, and most ELFs are so
// small that all of it fits in little memory. So collections are late until
// there is as much as this in use, in bytes for each job: what the largest
// libraries of a distribution need.
const (
	memoryOfJob   = 3 << 29
	leastMemory   = 2 * memoryOfJob
	lateRecompile = 800 // percent of what is kept
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
	debug.SetMemoryLimit(max(leastMemory, int64(jobs)*memoryOfJob))
	debug.SetGCPercent(lateRecompile)
}
