// Package hugeheap has the kernel back the first megabytes of Go's heap with
// huge pages, for programs that import it. A start of megabin touches some ten
// megabytes of fresh heap, in a virtual machine at up to 15 µs for each of
// their 2,500 pages, where a huge page takes less than 1 µs for as much. It
// knows nothing of what the heap is used for, and changes nothing but speed.
//
// The heap grows by mapping memory anew, and what was advised for the address
// before is lost then. So the heap has to be grown first, without garbage that
// a collection would have to find: by goroutines' stacks, which are heap that
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
	small    = 32 << 20  // bytes of a stack
	large    = 512 << 20 // likewise; Go allows no stack of 1 GiB
	chunk    = 4 << 20   // what the heap grows by at least, and is aligned to
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
	end := grow(1, frame[[small * 3 / 4]byte])[0]
	// What the heap began with is used up first.
	start := first &^ (chunk - 1)
	if start > end || end-start > 2*small {
		start = end - small
	}
	advise(start, end)
}

// Grow makes the heap larger by free memory of n bytes or up to 512 MiB more, for who will need
// as much. Memory that is not touched takes up addresses only; where those are limited, it does nothing.
func Grow(n int64) {
	if addressesAreLimited() {
		return
	}
	for _, end := range grow(int((n+large-1)/large), frame[[large * 3 / 4]byte]) {
		advise(end-large, end)
	}
}

// addressesAreLimited reports whether memory counts that is not touched: by ulimit -v, or because the kernel
// promises no more than there is (proc_sys_vm(5), overcommit_memory).
func addressesAreLimited() bool {
	const infinity = ^uint64(0)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_AS, &limit); err != nil || limit.Cur != infinity {
		return true
	}
	f, err := syscall.Open("/proc/sys/vm/overcommit_memory", syscall.O_RDONLY, 0)
	if err != nil {
		return true
	}
	defer syscall.Close(f)
	mode := make([]byte, 1)
	n, err := syscall.Read(f, mode)
	return err != nil || n == 0 || mode[0] == '2'
}

// grow has n stacks at a time and returns where they ended.
func grow(n int, stack func() uintptr) []uintptr {
	others := runtime.NumGoroutine()
	ends := make([]uintptr, n)
	made, all := make(chan bool), make(chan bool)
	for i := range ends {
		go func() {
			ends[i] = stack()
			made <- true
			<-all
		}()
	}
	for range ends {
		<-made
	}
	close(all)
	for tries := 0; runtime.NumGoroutine() > others && tries < 1000; tries++ {
		runtime.Gosched() // the heap would grow further, were the stacks still in use
	}
	return ends
}

// advise asks for huge pages in [start, end), which need not be heap as a whole. A kernel without huge pages
// refuses, which is as good as before.
func advise(start, end uintptr) {
	start &^= hugePage - 1
	_, _, _ = syscall.RawSyscall(syscall.SYS_MADVISE, start, end-start, madvHugepage)
}

// madvHugepage is MADV_HUGEPAGE of madvise(2).
const madvHugepage = 14

// frame returns an address at the end of a stack that its own frame made grow, with space for what a call
// returns that is never made; of it hardly any is touched. Stacks double, so a T of three quarters of a
// stack's size makes one of that size.
//
//go:noinline
func frame[T any]() uintptr {
	var last byte
	if called {
		result[T]()
	}
	return uintptr(unsafe.Pointer(&last))
}

var called bool // never

//go:noinline
func result[T any]() (t T) { return t }
