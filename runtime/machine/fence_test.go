package machine

import (
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"
)

// hostAllows asks the host whether a page can be read and written: the kernel
// copies from and to it, or does not.
func hostAllows(t *testing.T, as *AddressSpace, addr uint64) (p Prot) {
	t.Helper()
	var fds [2]int
	check(t, unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC))
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	page := as.mem[addr : addr+1]
	switch _, err := unix.Write(fds[1], page); err {
	case nil:
		p |= ProtRead
	case unix.EFAULT:
		_, err = unix.Write(fds[1], []byte{0})
		check(t, err)
	default:
		t.Fatal(err)
	}
	switch _, err := unix.Read(fds[0], page); err {
	case nil:
		p |= ProtWrite
	case unix.EFAULT:
	default:
		t.Fatal(err)
	}
	return p
}

// TestFence makes, changes and removes mappings at random, forks in between, and
// compares what the host allows with what was asked for, page by page.
func TestFence(t *testing.T) {
	const base, pages = 0x200000, 24
	prots := []Prot{0, ProtRead, ProtRead | ProtWrite, ProtExec | ProtRead, ProtWrite}
	rnd := rand.New(rand.NewPCG(1, 2))
	as, err := newTestEngine(t, Options{}).NewAddressSpace("")
	check(t, err)
	defer as.Release()
	file := testFile(t, pages*pageSize)
	want := [pages]Prot{}
	compare := func(as *AddressSpace, what string) {
		t.Helper()
		for i, p := range want {
			if got := hostAllows(t, as, base+uint64(i)*pageSize); got != hostProt(p) {
				t.Fatalf("page %d after %s: the host allows %d, the guest %d", i, what, got, p)
			}
		}
	}
	for range 400 {
		first := rnd.IntN(pages)
		n := 1 + rnd.IntN(pages-first)
		addr, length := base+uint64(first)*pageSize, uint64(n)*pageSize
		p := prots[rnd.IntN(len(prots))]
		what, set := "mapping", true
		switch rnd.IntN(5) {
		case 0:
			check(t, as.MapFile(addr, length, file, 0, p, rnd.IntN(2) == 0))
		case 1:
			what, p = "unmapping", 0
			check(t, as.Unmap(addr, length))
		case 2:
			what = "protecting"
			set = as.areas.covers(addr, addr+length, 0)
			if err := as.Protect(addr, length, p); (err == nil) != set {
				t.Fatal(err)
			}
			for i := first; i < first+n && !set; i++ {
				if as.Mapped(base+uint64(i)*pageSize, 1, 0) {
					want[i] = p
				}
			}
		default:
			check(t, as.MapAnon(addr, length, p))
		}
		for i := first; i < first+n && set; i++ {
			want[i] = p
		}
		compare(as, what)
		if rnd.IntN(8) == 0 {
			child, err := as.Clone()
			check(t, err)
			compare(child, "fork")
			compare(as, "a fork")
			child.Release()
		}
	}
	check(t, as.fence.lift())
	for i := range want {
		want[i] = ProtRead | ProtWrite
	}
	compare(as, "lifting")
}

// TestTouched: the lowest page that was written to, and whether all were.
func TestTouched(t *testing.T) {
	as, err := newTestEngine(t, Options{}).NewAddressSpace("")
	check(t, err)
	defer as.Release()
	const start, end = 0x200000, 0x300000
	check(t, as.MapAnon(start, end-start, ProtRead|ProtWrite))
	for _, want := range []uint64{end, end - 3*pageSize, start + 7*pageSize, start} {
		if want < end {
			as.mem[want+5] = 1
		}
		if got, whole := as.Touched(start, end); got != want || whole {
			t.Errorf("%#x, %v; want %#x", got, whole, want)
		}
	}
	clear(as.mem[start:end])
	if got, whole := as.Touched(start, end); got != start || !whole {
		t.Errorf("%#x, %v after all was written to", got, whole)
	}
	if got, whole := as.Touched(start, start); got != start || !whole {
		t.Errorf("%#x, %v of nothing", got, whole)
	}
	check(t, as.Discard(start, end))
	if got, _ := as.Touched(start, end); got != end {
		t.Errorf("%#x after all was discarded", got)
	}
}

// TestFenceOfMany: memory in very many pieces is open, and counts no more.
func TestFenceOfMany(t *testing.T) {
	e := newTestEngine(t, Options{})
	as, err := e.NewAddressSpace("")
	check(t, err)
	defer as.Release()
	const base = 0x200000
	for i := range uint64(maxPieces + 10) {
		check(t, as.MapAnon(base+2*i*pageSize, pageSize, ProtRead))
	}
	if !as.fence.open || e.pieces.Load() != 0 {
		t.Errorf("open: %v, %d pieces", as.fence.open, e.pieces.Load())
	}
	if got := hostAllows(t, as, base+pageSize); got != ProtRead|ProtWrite {
		t.Errorf("the host allows %d", got)
	}
	child, err := as.Clone()
	check(t, err)
	defer child.Release()
	if err := child.Store32(base, 1); err == nil {
		t.Error("the kernel wrote to what can be read only")
	}
}
