package machine

import (
	"bytes"
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
