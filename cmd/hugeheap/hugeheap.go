// Package hugeheap has the kernel back the first megabytes of Go's heap with
// huge pages, for programs that import it. A start of megabin touches some ten
// megabytes of fresh heap, in a virtual machine at up to 15 µs for each of
// their 2,500 pages, where a huge page takes less than 1 µs for as much. It
// knows nothing of what the heap is used for, and changes nothing but speed.
//
// The heap grows by mapping memory anew, and what was advised for the address
// before is lost then. So the heap has to be grown first, without garbage that
// a collection would have to find: by a goroutine's stack, which is heap that
// comes back as soon as the goroutine ends.
//
// It imports nearly nothing, so that it is initialized before most others.
package hugeheap

import (
	"runtime"
	"syscall"
	"unsafe"
)

const (
	size     = 32 << 20 // bytes of heap, of which those are backed that are touched
	chunk    = 4 << 20  // what the heap grows by at least, and is aligned to
	hugePage = 2 << 20
	block    = 128 << 10
)

func init() {
	first := uintptr(unsafe.Pointer(new([512]byte)))
	// Where a page is in use already, a huge one does not come. Garbage that is
	// never touched takes up the rest there: fresh memory needs no zeroing.
	for range hugePage / block {
		if p := uintptr(unsafe.Pointer(new([block]byte))); p&^(hugePage-1) != first&^(hugePage-1) {
			break
		}
	}
	frame := make(chan uintptr)
	others := runtime.NumGoroutine()
	go func() { frame <- largeFrame() }()
	end := <-frame
	for tries := 0; runtime.NumGoroutine() > others && tries < 1000; tries++ {
		runtime.Gosched() // the heap would grow further, were the stack still in use
	}
	// What the heap began with is used up first.
	start := first &^ (chunk - 1)
	if start > end || end-start > 2*size {
		start = (end - size) &^ (hugePage - 1)
	}
	// A kernel without huge pages refuses, which is as good as before.
	_, _, _ = syscall.RawSyscall(syscall.SYS_MADVISE, start, end-start, madvHugepage)
}

// madvHugepage is MADV_HUGEPAGE of madvise(2).
const madvHugepage = 14

// largeFrame returns an address at the end of a stack of size bytes: its own frame is
// larger than half of that. Of it hardly any is touched; it has space for what a call
// returns that is never made.
//
//go:noinline
func largeFrame() uintptr {
	var last byte
	if called {
		large()
	}
	return uintptr(unsafe.Pointer(&last))
}

var called bool // never

//go:noinline
func large() (result [size * 3 / 4]byte) { return result }
