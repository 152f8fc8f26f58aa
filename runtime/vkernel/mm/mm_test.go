package mm

import (
	"context"
	"math/rand"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/machine"
)

const rw = unix.PROT_READ | unix.PROT_WRITE

// deny lets nothing run.
type deny struct{}

func (deny) Admit(*Area, []byte, Asker) (Grant, error) { return Grant{}, unix.EACCES }

func newMM(t testing.TB) *MM {
	t.Helper()
	engine, err := machine.NewEngine(context.Background(), machine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(engine, deny{}, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.Release()
		engine.Close()
	})
	return m
}

func mustMap(t *testing.T, m *MM, r Request) uint64 {
	t.Helper()
	if r.Flags == 0 {
		r.Flags = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
	}
	addr, err := m.Map(r)
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// TestAgainstPages does random operations on the map and on a plain array of
// pages, and compares what is mapped with what protection.
func TestAgainstPages(t *testing.T) {
	m := newMM(t)
	const base, pages = 0x20000000, 64
	var model [pages]int // protection + 1; 0 is unmapped
	rng := rand.New(rand.NewSource(1))
	for step := range 4000 {
		first := rng.Intn(pages)
		n := 1 + rng.Intn(pages-first)
		prot := []int{0, unix.PROT_READ, rw}[rng.Intn(3)]
		addr, size := uint64(base+first*PageSize), uint64(n*PageSize)
		switch rng.Intn(3) {
		case 0:
			mustMap(t, m, Request{Addr: addr, Len: size, Prot: prot, Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED})
			for i := first; i < first+n; i++ {
				model[i] = prot + 1
			}
		case 1:
			if err := m.Unmap(addr, size); err != nil {
				t.Fatal(step, err)
			}
			for i := first; i < first+n; i++ {
				model[i] = 0
			}
		case 2:
			want := error(nil)
			for i := first; i < first+n && want == nil; i++ {
				if model[i] == 0 {
					want = unix.ENOMEM
				} else {
					model[i] = prot + 1
				}
			}
			if err := m.Protect(addr, size, prot, Asker{}); err != want {
				t.Fatal(step, "mprotect gave", err, "want", want)
			}
		}
		compare(t, step, m, base, model[:])
	}
}

func compare(t *testing.T, step int, m *MM, base uint64, model []int) {
	t.Helper()
	var got [64]int
	mapped := uint64(0)
	for i, a := range m.Areas() {
		if i > 0 && m.Areas()[i-1].End > a.Start {
			t.Fatal(step, "areas overlap")
		}
		mapped += a.Len()
		for p := a.Start; p < a.End; p += PageSize {
			got[(p-base)/PageSize] = a.Prot + 1
		}
	}
	for i, want := range model {
		if got[i] != want {
			t.Fatalf("step %d: page %d is %d, want %d", step, i, got[i], want)
		}
	}
	if mapped != m.Mapped() {
		t.Fatalf("step %d: %d bytes are mapped, counted %d", step, mapped, m.Mapped())
	}
}

func TestPlacement(t *testing.T) {
	m := newMM(t)
	top := mustMap(t, m, Request{Len: 1, Prot: rw})
	if top != MmapTop-PageSize {
		t.Errorf("the first mapping is at %#x", top)
	}
	if next := mustMap(t, m, Request{Len: PageSize, Prot: unix.PROT_READ}); next != top-PageSize {
		t.Errorf("the second mapping is at %#x", next)
	}
	if low := mustMap(t, m, Request{Len: PageSize, Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_32BIT}); low >= low2GB {
		t.Errorf("MAP_32BIT is at %#x", low)
	}
	_, err := m.Map(Request{Addr: top, Len: PageSize, Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED_NOREPLACE})
	if err != unix.EEXIST {
		t.Error("MAP_FIXED_NOREPLACE gave", err)
	}
	if hint := mustMap(t, m, Request{Addr: 0x30000123, Len: 10, Prot: rw}); hint != 0x30000000 {
		t.Errorf("a free hint gave %#x", hint)
	}
}

// TestErrors compares the errors of bad arguments with the host's.
func TestErrors(t *testing.T) {
	m := newMM(t)
	host := func(addr, length uint64, prot, flags int) error {
		_, _, e := unix.Syscall6(unix.SYS_MMAP, uintptr(addr), uintptr(length), uintptr(prot), uintptr(flags), ^uintptr(0), 0)
		if e == 0 {
			return nil
		}
		return e
	}
	for _, r := range []Request{
		{Len: 0, Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS},
		{Addr: 0x1001, Len: 1, Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED},
		{Len: 1 << 62, Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS},
		{Len: ^uint64(0), Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS},
	} {
		_, err := m.Map(r)
		if want := host(r.Addr, r.Len, r.Prot, r.Flags); err != want {
			t.Errorf("mmap(%#x, %#x): %v, the host gives %v", r.Addr, r.Len, err, want)
		}
	}
	if err := m.Unmap(0x100001, 1); err != unix.EINVAL {
		t.Error(err)
	}
	if err := m.Protect(0x100000, PageSize, rw, Asker{}); err != unix.ENOMEM {
		t.Error(err)
	}
}

func TestNothingRuns(t *testing.T) {
	m := newMM(t)
	if _, err := m.Map(Request{Len: 1, Prot: unix.PROT_EXEC, Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS}); err != unix.EACCES {
		t.Error("mmap(PROT_EXEC) of anonymous memory gave", err)
	}
	addr := mustMap(t, m, Request{Len: PageSize, Prot: rw})
	if err := m.Protect(addr, PageSize, rw|unix.PROT_EXEC, Asker{}); err != unix.EACCES {
		t.Error("mprotect(PROT_EXEC) gave", err)
	}
	if a := m.Areas()[0]; a.Prot != rw {
		t.Error("a refused mprotect changed the protection")
	}
}

func TestBrk(t *testing.T) {
	m := newMM(t)
	m.SetBrk(0x500123)
	start := m.Brk(0)
	if start != 0x501000 {
		t.Fatalf("break starts at %#x", start)
	}
	if got := m.Brk(start + 5000); got != start+5000 {
		t.Fatalf("grown to %#x", got)
	}
	if err := m.AS.Store64(start+4992, 1); err != nil {
		t.Fatal("the heap is not there:", err)
	}
	if got := m.Brk(start); got != start || m.Mapped() != 0 {
		t.Fatalf("shrunk to %#x, %d bytes left", got, m.Mapped())
	}
	mustMap(t, m, Request{Addr: start + PageSize, Len: PageSize, Prot: rw})
	if got := m.Brk(start + 3*PageSize); got != start {
		t.Fatalf("grew over a mapping, to %#x", got)
	}
}

func TestRemapKeepsBytes(t *testing.T) {
	m := newMM(t)
	addr := mustMap(t, m, Request{Len: 2 * PageSize, Prot: rw})
	mustMap(t, m, Request{Addr: addr + 2*PageSize, Len: PageSize, Prot: unix.PROT_READ}) // in the way, or at the top
	if err := m.AS.CopyOut(addr+PageSize, []byte("kept")); err != nil {
		t.Fatal(err)
	}
	moved, err := m.Remap(addr, 2*PageSize, 200*PageSize, unix.MREMAP_MAYMOVE, 0, Asker{})
	if err != nil {
		t.Fatal(err)
	}
	var b [4]byte
	if err := m.AS.CopyIn(moved+PageSize, b[:]); err != nil || string(b[:]) != "kept" {
		t.Fatalf("%q, %v", b, err)
	}
	if moved != addr && !m.areas.free(addr, addr+2*PageSize) {
		t.Error("the old place is still mapped")
	}
}
