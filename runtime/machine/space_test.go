package machine

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// emptySpace is an address space without mappings.
func emptySpace(t *testing.T) *AddressSpace {
	t.Helper()
	as, err := newTestEngine(t, Options{}).NewAddressSpace("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(as.Release)
	return as
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestChecks: what access to which pages gives, with read-only, write-only,
// forbidden and missing pages in a row.
func TestChecks(t *testing.T) {
	as := emptySpace(t)
	const at = 0x10000
	check(t, as.MapAnon(at, 3*pageSize, ProtRead|ProtWrite))
	check(t, as.Protect(at+pageSize, pageSize, ProtRead))
	check(t, as.Protect(at+2*pageSize, pageSize, 0))
	b := make([]byte, 16)
	for _, c := range []struct {
		name string
		err  error
		want error
	}{
		{"read", as.CopyIn(at, b), nil},
		{"read across pages", as.CopyIn(at+pageSize-8, b), nil},
		{"read into PROT_NONE", as.CopyIn(at+2*pageSize-8, b), unix.EFAULT},
		{"write", as.CopyOut(at, b), nil},
		{"write to the end", as.CopyOut(at+pageSize-16, b), nil},
		{"write read-only", as.CopyOut(at+pageSize-15, b), unix.EFAULT},
		{"below", as.CopyIn(at-1, b), unix.EFAULT},
		{"null", as.CopyIn(0, b), unix.EFAULT},
		{"unmapped", as.CopyIn(0x5000000, b), unix.EFAULT},
		{"above 4 GiB", as.CopyIn(1<<32+at, b), unix.EFAULT},
		{"wrapping", as.CopyIn(^uint64(7), b), unix.EFAULT},
		{"the runner's pages", as.CopyIn(MaxAddr, b), unix.EFAULT},
		{"nothing anywhere", as.CopyIn(0, nil), nil},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.err, c.want)
		}
	}
	if !as.Mapped(at, 3*pageSize, 0) || as.Mapped(at, 4*pageSize, 0) || as.Mapped(at, 3*pageSize, ProtRead) {
		t.Error("Mapped differs")
	}
}

func TestWords(t *testing.T) {
	as := emptySpace(t)
	check(t, as.MapAnon(0x20000, pageSize, ProtRead|ProtWrite))
	check(t, as.Store64(0x20000, 0x1122334455667788))
	check(t, as.Store32(0x20ffc, 9))
	if v, err := as.Load64(0x20000); err != nil || v != 0x1122334455667788 {
		t.Errorf("%#x %v", v, err)
	}
	if v, err := as.Load32(0x20004); err != nil || v != 0x11223344 {
		t.Errorf("%#x %v", v, err)
	}
	if _, err := as.Load64(0x20ffc); err != unix.EFAULT {
		t.Errorf("quadword across the end: %v", err)
	}
	if _, err := as.Atomic32(0x20002); err != unix.EINVAL {
		t.Errorf("unaligned: %v", err)
	}
	if p, err := as.Atomic32(0x20ffc); err != nil || *p != 9 {
		t.Errorf("atomic word: %v", err)
	}
	if s, err := as.Slice(0x20000, 4, true); err != nil || s[0] != 0x88 {
		t.Errorf("slice: %v", err)
	}
}

func TestCString(t *testing.T) {
	as := emptySpace(t)
	check(t, as.MapAnon(0x20000, pageSize, ProtRead|ProtWrite))
	check(t, as.CopyOut(0x20000, []byte("hello\x00")))
	check(t, as.CopyOut(0x20ffc, []byte("tail")))
	for _, c := range []struct {
		addr uint64
		max  int
		want string
		err  error
	}{
		{0x20000, 100, "hello", nil},
		{0x20000, 6, "hello", nil},
		{0x20000, 5, "", unix.ENAMETOOLONG},
		{0x20ffc, 100, "", unix.EFAULT},
		{0x20ffc, 4, "", unix.ENAMETOOLONG},
		{0x21000, 100, "", unix.EFAULT},
		{0, 100, "", unix.EFAULT},
	} {
		s, err := as.CString(c.addr, c.max)
		if s != c.want || err != c.err {
			t.Errorf("CString(%#x, %d) = %q, %v", c.addr, c.max, s, err)
		}
	}
}

func TestRangeErrors(t *testing.T) {
	as := emptySpace(t)
	for _, c := range []struct {
		addr, length uint64
		want         error
	}{
		{0x20001, pageSize, unix.EINVAL},
		{0x20000, 0, unix.EINVAL},
		{0x20000, 100, unix.EINVAL},
		{0, pageSize, unix.ENOMEM},
		{MaxAddr, pageSize, unix.ENOMEM},
		{MaxAddr - pageSize, 2 * pageSize, unix.ENOMEM},
		{0x20000, ^uint64(0) &^ (pageSize - 1), unix.ENOMEM},
	} {
		if err := as.MapAnon(c.addr, c.length, ProtRead); err != c.want {
			t.Errorf("MapAnon(%#x, %#x): %v, want %v", c.addr, c.length, err, c.want)
		}
	}
	if err := as.Protect(0x20000, pageSize, ProtRead); err != unix.ENOMEM {
		t.Errorf("Protect of nothing: %v", err)
	}
}

// testFile is a file of n bytes, each the number of its page plus one.
func testFile(t *testing.T, n int) *os.File {
	t.Helper()
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i/pageSize) + 1
	}
	name := filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(name, b, 0o600))
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	check(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// TestMapFile: contents, the zero bytes and pages past the end, private and
// shared writes, and a hole cut into it.
func TestMapFile(t *testing.T) {
	as := emptySpace(t)
	f := testFile(t, 2*pageSize+100)
	const at, shared = 0x100000, 0x200000
	check(t, as.MapAnon(at, 8*pageSize, ProtRead|ProtWrite))
	check(t, as.CopyOut(at+5*pageSize, []byte{99}))
	check(t, as.MapFile(at+pageSize, 5*pageSize, f, pageSize, ProtRead|ProtWrite, false))
	check(t, as.MapFile(shared, pageSize, f, 0, ProtRead|ProtWrite, true))
	for addr, want := range map[uint64]byte{
		at: 0, at + pageSize: 2, at + 2*pageSize + 99: 3, at + 2*pageSize + 100: 0, shared: 1,
	} {
		var b [1]byte
		check(t, as.CopyIn(addr, b[:]))
		if b[0] != want {
			t.Errorf("byte at %#x is %d, want %d", addr, b[0], want)
		}
	}
	if err := as.CopyIn(at+5*pageSize, make([]byte, 1)); err != unix.EFAULT {
		t.Errorf("a page past the end: %v", err)
	}
	check(t, as.CopyOut(at+pageSize, []byte("private")))
	check(t, as.CopyOut(shared, []byte("shared")))
	check(t, f.Sync())
	got, err := os.ReadFile(f.Name())
	check(t, err)
	if !bytes.HasPrefix(got, []byte("shared")) || got[pageSize] != 2 {
		t.Errorf("file has %q and %d", got[:6], got[pageSize])
	}
	check(t, as.Unmap(at+2*pageSize, pageSize))
	if as.Mapped(at+2*pageSize, pageSize, 0) || !as.Mapped(at+3*pageSize, pageSize, 0) {
		t.Error("Unmap of one page")
	}
	check(t, as.MapAnon(at+2*pageSize, pageSize, ProtRead))
	if v, err := as.Load32(at + 2*pageSize); err != nil || v != 0 {
		t.Errorf("page mapped again: %#x, %v", v, err)
	}
}

// TestTruncated: what a mapped file lost gives EFAULT, even in a copied address
// space, what it gained is there, and nobody dies.
func TestTruncated(t *testing.T) {
	as := emptySpace(t)
	f := testFile(t, 2*pageSize)
	const at = 0x100000
	check(t, as.MapFile(at, 4*pageSize, f, 0, ProtRead|ProtWrite, true))
	check(t, f.Truncate(3*pageSize))
	_, err := f.WriteAt([]byte("grown"), 2*pageSize)
	check(t, err)
	check(t, f.Truncate(2*pageSize+5))
	var b [5]byte
	check(t, as.CopyIn(at+2*pageSize, b[:]))
	if string(b[:]) != "grown" {
		t.Errorf("what was written past the old end: %q", b)
	}
	past := func(as *AddressSpace, page uint64, want error) {
		t.Helper()
		if err := as.CopyIn(at+page*pageSize, b[:]); err != want {
			t.Errorf("page %d: %v", page, err)
		}
		if err := as.CopyOut(at+page*pageSize, b[:]); err != want {
			t.Errorf("page %d: %v", page, err)
		}
	}
	past(as, 2, nil)
	past(as, 3, unix.EFAULT)
	if as.Mapped(at+pageSize, 3*pageSize, ProtRead) || !as.Mapped(at+pageSize, 2*pageSize, ProtRead) {
		t.Error("a range with a page past the end")
	}
	check(t, f.Truncate(0))
	past(as, 0, unix.EFAULT)
	child, err := as.Clone()
	check(t, err)
	past(child, 1, unix.EFAULT)
	child.Release()
	check(t, f.Truncate(pageSize))
	past(as, 0, nil)
}

// TestDescriptorsReturn: mapping keeps a descriptor of the file, and unmapping
// or the end of the address space gives it back.
func TestDescriptorsReturn(t *testing.T) {
	e := newTestEngine(t, Options{})
	f := testFile(t, pageSize)
	before := openFiles(t)
	as, err := e.NewAddressSpace("")
	check(t, err)
	for range 20 {
		check(t, as.MapFile(0x100000, pageSize, f, 0, ProtRead, false))
		check(t, as.MapFile(0x200000, pageSize, f, 0, ProtRead, false))
	}
	child, err := as.Clone()
	check(t, err)
	check(t, as.Unmap(0x100000, pageSize))
	as.Release()
	if n, err := child.Load32(0x100000); err != nil || n != 0x01010101 {
		t.Errorf("child reads %#x, %v", n, err)
	}
	child.Release()
	if after := openFiles(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	check(t, err)
	return len(list)
}

// TestClone: all kinds of pages arrive in the child; later writes stay apart
// but for shared mappings.
func TestClone(t *testing.T) {
	as := emptySpace(t)
	f := testFile(t, 3*pageSize)
	const anon, private, shared = 0x100000, 0x1000000, 0x2000000
	check(t, as.MapAnon(anon, 1000*pageSize, ProtRead|ProtWrite))
	check(t, as.MapFile(private, 3*pageSize, f, 0, ProtRead|ProtWrite, false))
	check(t, as.MapFile(shared, pageSize, f, 0, ProtRead|ProtWrite, true))
	for i := uint64(0); i < 1000; i += 3 {
		check(t, as.Store64(anon+i*pageSize, i+1))
	}
	check(t, as.Store64(private+pageSize, 77))
	child, err := as.Clone()
	check(t, err)
	defer child.Release()
	check(t, as.Store64(anon, 1234))
	check(t, as.Store64(private+pageSize, 1234))
	check(t, as.Store64(shared, 5678))
	check(t, child.Store64(anon+8, 1))
	for addr, want := range map[uint64]uint64{ // private's first page is the file's, which shared wrote
		anon: 1, anon + 8: 1, anon + pageSize: 0, anon + 999*pageSize: 1000,
		private: 5678, private + pageSize: 77, private + 2*pageSize: 0x0303030303030303, shared: 5678,
	} {
		if v, err := child.Load64(addr); err != nil || v != want {
			t.Errorf("child at %#x: %#x, %v, want %#x", addr, v, err, want)
		}
	}
	if v, _ := as.Load64(anon + 8); v != 0 {
		t.Errorf("child's write reached the parent: %#x", v)
	}
	if child.Mapped(0x3000000, 1, 0) {
		t.Error("child has pages that the parent has not")
	}
}

// TestPageScansAgree: the ioctl and the file of older kernels find the same
// pages.
func TestPageScansAgree(t *testing.T) {
	as := emptySpace(t)
	check(t, as.MapAnon(0x100000, 2000*pageSize, ProtRead|ProtWrite))
	for _, i := range []uint64{0, 1, 2, 7, 500, 501, 1024, 1999} {
		check(t, as.Store64(0x100000+i*pageSize, 1))
	}
	var scanned, read []pageRange
	err := scanPages(as.mem, func(r pageRange) { scanned = append(scanned, r) })
	if errors.Is(err, unix.ENOTTY) {
		t.Skip("no PAGEMAP_SCAN")
	}
	check(t, err)
	check(t, readPagemap(as.mem, func(r pageRange) { read = append(read, r) }))
	if a, b := pageList(scanned), pageList(read); !slices.Equal(a, b) || len(a) != 8 {
		t.Errorf("scanned %#x\nread %#x", a, b)
	}
}

// pageList is each page of the ranges.
func pageList(list []pageRange) (pages []uint64) {
	for _, r := range list {
		for at := r.start; at < r.end; at += pageSize {
			pages = append(pages, at)
		}
	}
	return pages
}

// TestCloneReuses: a child in the memory of an earlier one has its parent's
// pages and no others.
func TestCloneReuses(t *testing.T) {
	as := emptySpace(t)
	const base = 0x100000
	check(t, as.MapAnon(base, 100*pageSize, ProtRead|ProtWrite))
	f := testFile(t, pageSize)
	for round := uint64(0); round < 6; round++ {
		check(t, as.Store64(base+round*pageSize, round+1))
		child, err := as.Clone()
		check(t, err)
		for i := uint64(0); i < 100; i++ {
			want := uint64(0)
			if i <= round {
				want = i + 1
			}
			if v, err := child.Load64(base + i*pageSize); v != want {
				t.Fatalf("round %d, page %d: %#x, %v, want %#x", round, i, v, err, want)
			}
			check(t, child.Store64(base+i*pageSize, 0xbad))
		}
		check(t, child.MapFile(base+50*pageSize, pageSize, f, 0, ProtRead|ProtWrite, true))
		child.Release()
	}
}

func TestSubtract(t *testing.T) {
	got := subtract([]pageRange{{0, 10}, {20, 30}, {40, 50}}, []pageRange{{2, 4}, {6, 7}, {9, 21}, {29, 45}, {60, 70}})
	if want := []pageRange{{0, 2}, {4, 6}, {7, 9}, {21, 29}, {45, 50}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestUnion(t *testing.T) {
	got := union([]pageRange{{0, 2}, {10, 20}, {40, 50}}, []pageRange{{2, 4}, {6, 7}, {15, 30}, {42, 45}, {60, 70}})
	if want := []pageRange{{0, 4}, {6, 7}, {10, 30}, {40, 50}, {60, 70}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestSnapshotsStayFew: a parent that writes here and there between forks does
// not end up with a mapping of the host's for each place.
func TestSnapshotsStayFew(t *testing.T) {
	as := emptySpace(t)
	const base, pages = 0x1000000, 2 * snapshotBytes / pageSize
	check(t, as.MapAnon(base, pages*pageSize, ProtRead|ProtWrite))
	var want [pages]uint64
	for round := range uint64(8) {
		for i := round; i < pages; i += max(1, 5*min(round, 1)) {
			want[i] = round<<32 | i
			check(t, as.Store64(base+i*pageSize, want[i]))
		}
		as.mu.Lock()
		written, err := privatePages(as.mem)
		if err == nil {
			err = as.snapshot(written)
		}
		n := len(as.stored)
		as.mu.Unlock()
		check(t, err)
		if n > maxSnaps {
			t.Errorf("round %d: %d pieces", round, n)
		}
		for i := range uint64(pages) {
			if v, err := as.Load64(base + i*pageSize); err != nil || v != want[i] {
				t.Fatalf("round %d, page %d: %#x, %v, want %#x", round, i, v, err, want[i])
			}
		}
	}
}

// TestCloneSnapshots: parents with much memory, their children and
// grandchildren have the same pages, and what one writes the others don't see.
func TestCloneSnapshots(t *testing.T) {
	as := emptySpace(t)
	const base, pages, hole = 0x1000000, 4 * snapshotBytes / pageSize, 100
	check(t, as.MapAnon(base, pages*pageSize, ProtRead|ProtWrite))
	f := testFile(t, pageSize)
	check(t, as.MapFile(base+7*pageSize, pageSize, f, 0, ProtRead|ProtWrite, false))
	for i := uint64(0); i < pages; i++ {
		if i != 7 && i%hole != 50 {
			check(t, as.Store64(base+i*pageSize, i+1))
		}
	}
	verify := func(as *AddressSpace, what string, changed uint64) {
		t.Helper()
		for i := uint64(0); i < pages; i++ {
			want := i + 1
			switch {
			case i == changed:
				want = 0xc0ffee
			case i == 7:
				want = 0x0101010101010101
			case i%hole == 50:
				want = 0
			}
			if v, err := as.Load64(base + i*pageSize); v != want {
				t.Fatalf("%s, page %d: %#x, %v, want %#x", what, i, v, err, want)
			}
		}
	}
	for round := range 3 {
		child, err := as.Clone()
		check(t, err)
		check(t, child.Store64(base+200*pageSize, 0xc0ffee))
		grandchild, err := child.Clone()
		check(t, err)
		verify(as, "parent", pages)
		verify(child, "child", 200)
		verify(grandchild, "grandchild", 200)
		check(t, grandchild.MapAnon(base+200*pageSize, pageSize, ProtRead|ProtWrite))
		if v, _ := grandchild.Load64(base + 200*pageSize); v != 0 {
			t.Errorf("round %d: a fresh page has %#x", round, v)
		}
		verify(child, "child", 200)
		child.Release()
		grandchild.Release()
	}
	verify(as, "parent", pages)
}
