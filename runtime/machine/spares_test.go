package machine

import (
	"bytes"
	"errors"
	"os"
	"testing"
)

// mappingsOf counts the host's mappings of a file.
func mappingsOf(t *testing.T, f *os.File) int {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	check(t, err)
	return bytes.Count(maps, []byte(f.Name()))
}

// TestSparesKeepFiles: the memory of a child keeps what its parent has mapped,
// as long as that is mapped there, and the next child sees it as the parent does.
func TestSparesKeepFiles(t *testing.T) {
	as := emptySpace(t)
	f := testFile(t, 4*pageSize)
	const private, anon = 0x100000, 0x300000
	check(t, as.MapFile(private, 4*pageSize, f, 0, ProtRead|ProtWrite, false))
	check(t, as.MapAnon(anon, 4*pageSize, ProtRead|ProtWrite))
	check(t, as.Store64(private+pageSize, 77))
	want := map[uint64]uint64{
		private: 0x0101010101010101, private + pageSize: 77, private + 2*pageSize: 0x0303030303030303, anon: 0,
	}
	for round, change := range []func(child *AddressSpace) error{
		func(*AddressSpace) error { return nil },
		func(child *AddressSpace) error { return child.Unmap(private, pageSize) },
		func(child *AddressSpace) error { return child.MapAnon(private+2*pageSize, pageSize, ProtRead) },
		func(child *AddressSpace) error { return child.MapFile(anon, pageSize, f, 0, ProtRead|ProtWrite, true) },
		func(*AddressSpace) error { return nil },
	} {
		child, err := as.Clone()
		check(t, err)
		for addr, w := range want {
			if v, err := child.Load64(addr); err != nil || v != w {
				t.Errorf("round %d: child at %#x: %#x, %v, want %#x", round, addr, v, err, w)
			}
			check(t, child.Store64(addr, 0xbad))
		}
		check(t, change(child))
		child.Release()
	}
	if n := mappingsOf(t, f); n != 2 {
		t.Errorf("the file has %d mappings, want the parent's and that for the next child", n)
	}
	check(t, as.MapAnon(anon, pageSize, ProtRead))
	if n := mappingsOf(t, f); n != 2 {
		t.Errorf("%d mappings after a change of other memory", n)
	}
	check(t, as.Unmap(private, 4*pageSize))
	if n := mappingsOf(t, f); n != 0 {
		t.Errorf("%d mappings of what the parent has not", n)
	}
}

// TestSparesKeepReadOnly: what can't be written is not copied to a memory that has
// it from the last child, unless one of the two has opened or replaced it.
func TestSparesKeepReadOnly(t *testing.T) {
	const page = 0x100000
	for name, change := range map[string]func(as *AddressSpace) error{
		"nothing":   func(*AddressSpace) error { return nil },
		"opening":   func(as *AddressSpace) error { return as.Protect(page, pageSize, ProtRead|ProtWrite) },
		"replacing": func(as *AddressSpace) error { return as.MapAnon(page, pageSize, ProtRead|ProtWrite) },
		"map anew": func(as *AddressSpace) error {
			return errors.Join(as.Unmap(page, pageSize), as.MapAnon(page, pageSize, ProtRead|ProtWrite))
		},
		"kernel's":   func(as *AddressSpace) error { return as.Opened(page, 8, func(b []byte) error { b[0] = 9; return nil }) },
		"opened all": func(as *AddressSpace) error { return as.fence.lift() },
	} {
		t.Run(name, func(t *testing.T) {
			as := emptySpace(t)
			check(t, as.MapAnon(page, pageSize, ProtRead|ProtWrite))
			check(t, as.Store64(page, 77))
			check(t, as.Protect(page, pageSize, ProtRead))
			for round, who := range []string{"child", "parent", "child", "nobody"} {
				child, err := as.Clone()
				check(t, err)
				want, err := as.Load64(page)
				check(t, err)
				if v, err := child.Load64(page); err != nil || v != want {
					t.Errorf("round %d: child has %d, %v, its parent %d", round, v, err, want)
				}
				if host := hostAllows(t, child, page); !child.fence.open && host != hostProt(child.areas[0].prot) {
					t.Errorf("round %d: the host allows %d in the child", round, host)
				}
				for _, changing := range []struct {
					as  *AddressSpace
					who string
				}{{child, "child"}, {as, "parent"}} {
					if changing.who != who {
						continue
					}
					check(t, change(changing.as))
					if changing.as.Mapped(page, 8, ProtWrite) {
						check(t, changing.as.Store64(page, uint64(100+round)))
						check(t, changing.as.Protect(page, pageSize, ProtRead))
					}
				}
				child.Release()
			}
		})
	}
}

// TestSparesAreShared: who forks without end leaves another's last one alone.
func TestSparesAreShared(t *testing.T) {
	e := newTestEngine(t, Options{})
	var both [2]*AddressSpace
	for i := range both {
		as, err := e.NewAddressSpace("")
		check(t, err)
		defer as.Release()
		check(t, as.MapAnon(0x100000, pageSize, ProtRead|ProtWrite))
		both[i] = as
	}
	child, err := both[0].Clone()
	check(t, err)
	child.Release()
	for range 3 * maxSpares {
		var children []*AddressSpace
		for range maxSpares + 2 {
			child, err := both[1].Clone()
			check(t, err)
			children = append(children, child)
		}
		for _, child := range children {
			child.Release()
		}
	}
	if n := e.spares.of(both[0]); n != 1 {
		t.Errorf("%d spares are left", n)
	}
}

// TestSparesOfTheDead: no file stays mapped for a parent that is no more,
// whichever ends first.
func TestSparesOfTheDead(t *testing.T) {
	e := newTestEngine(t, Options{})
	f := testFile(t, pageSize)
	for _, childFirst := range []bool{true, false} {
		as, err := e.NewAddressSpace("")
		check(t, err)
		check(t, as.MapFile(0x100000, pageSize, f, 0, ProtRead, false))
		child, err := as.Clone()
		check(t, err)
		if childFirst {
			child.Release()
			as.Release()
		} else {
			as.Release()
			child.Release()
		}
		if n := mappingsOf(t, f); n != 0 {
			t.Errorf("%d mappings, child first: %v", n, childFirst)
		}
	}
}

// TestSparesAfterSIGBUS: a page of zeros that took the place of a file's is not
// the next child's.
func TestSparesAfterSIGBUS(t *testing.T) {
	as := emptySpace(t)
	f := testFile(t, 2*pageSize)
	check(t, as.MapFile(0x100000, 2*pageSize, f, 0, ProtRead, false))
	child, err := as.Clone()
	check(t, err)
	check(t, f.Truncate(pageSize))
	if v := child.bytes(0x100000+pageSize, 1)[0]; v != 0 {
		t.Errorf("past the end: %#x", v)
	}
	child.Release()
	_, err = f.WriteAt([]byte{7}, pageSize)
	check(t, err)
	child, err = as.Clone()
	check(t, err)
	defer child.Release()
	if v, err := child.Load64(0x100000 + pageSize); v != 7 || err != nil {
		t.Errorf("the next child reads %#x, %v", v, err)
	}
}
