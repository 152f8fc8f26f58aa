package machine

import (
	"slices"
	"testing"
)

// storedPages are more than what an address space has without a store.
const storedPages = (storeFrom + 2*snapshotBytes) / pageSize

// storedAt is where the tests have them.
const storedAt = 0x10000000

// TestStoredMemory forks an address space whose memory is in a store, again and
// again: what relatives write they don't see of each other, and what is mapped anew is zero.
func TestStoredMemory(t *testing.T) {
	as := emptySpace(t)
	check(t, as.MapAnon(storedAt, storedPages*pageSize, ProtRead|ProtWrite))
	want := make([]uint64, storedPages)
	write := func(i, v uint64) {
		t.Helper()
		want[i] = v
		check(t, as.Store64(storedAt+i*pageSize, v))
	}
	for i := range uint64(storedPages) {
		if i%100 != 50 {
			write(i, i+1)
		}
	}
	var kept []*AddressSpace // children that live on
	for round := range uint64(6) {
		child, err := as.Clone()
		check(t, err)
		if n := sharedPieces(as); n > 0 {
			t.Errorf("round %d: %d pieces are shared after a fork", round, n)
		}
		grandchild, err := child.Clone()
		check(t, err)
		check(t, child.Store64(storedAt, 0xbad))
		check(t, grandchild.MapAnon(storedAt+pageSize, pageSize, ProtRead|ProtWrite))
		before := append([]uint64(nil), want...)
		for i := round; i < storedPages; i += 7 {
			write(i, round<<32|i)
		}
		empty := 10 * (round + 1)
		check(t, as.MapAnon(storedAt+empty*pageSize, pageSize, ProtRead|ProtWrite))
		want[empty] = 0
		verifyPages(t, as, "parent", want)
		before[0] = 0xbad
		verifyPages(t, child, "child", before)
		if v, err := grandchild.Load64(storedAt + pageSize); v != 0 || err != nil {
			t.Errorf("round %d: a fresh page has %#x, %v", round, v, err)
		}
		if round%2 == 0 {
			child.Release()
		} else {
			kept = append(kept, child)
		}
		grandchild.Release()
		check(t, as.Regain())
		verifyPages(t, as, "parent after its child", want)
		check(t, as.Unmap(storedAt+(empty+1)*pageSize, pageSize))
		check(t, as.MapAnon(storedAt+(empty+1)*pageSize, pageSize, ProtRead|ProtWrite))
		want[empty+1] = 0
		verifyPages(t, as, "parent with a new page", want)
	}
	for _, child := range kept {
		child.Release()
	}
}

// sharedPieces is how much of stores is mapped shared.
func sharedPieces(as *AddressSpace) (n int) {
	for _, a := range as.stored {
		if a.shared {
			n++
		}
	}
	return n
}

func verifyPages(t *testing.T, as *AddressSpace, who string, want []uint64) {
	t.Helper()
	for i, want := range want {
		if v, err := as.Load64(storedAt + uint64(i)*pageSize); v != want || err != nil {
			t.Fatalf("%s, page %d: %#x, %v, want %#x", who, i, v, err, want)
		}
	}
}

// TestRegain: a parent whose child is no more has its memory shared with the
// store, and what it writes is not copied at the next fork.
func TestRegain(t *testing.T) {
	as := emptySpace(t)
	check(t, as.MapAnon(storedAt, storedPages*pageSize, ProtRead|ProtWrite))
	for round := range uint64(3) {
		for i := range uint64(storedPages) {
			check(t, as.Store64(storedAt+i*pageSize, round+i))
		}
		if n := as.PrivateBytes(map[any]bool{}); n < storedPages*pageSize || n > (storedPages+10)*pageSize {
			t.Errorf("round %d: %d bytes", round, n)
		}
		if pages, err := privatePages(as.mem); err != nil || len(pages) > 0 {
			t.Errorf("round %d: %d ranges to copy, %v", round, len(pages), err)
		}
		child, err := as.Clone()
		check(t, err)
		check(t, as.Regain())
		if sharedPieces(as) > 0 {
			t.Error("regained what a child has")
		}
		check(t, as.Store64(storedAt, round<<32))
		child.Release()
		check(t, as.Regain())
		if sharedPieces(as) != 1 {
			t.Error("not regained")
		}
		if v, err := as.Load64(storedAt); v != round<<32 || err != nil {
			t.Errorf("what was written before: %#x, %v", v, err)
		}
	}
}

// TestStoredIsGivenBack: what is unmapped is no longer in the store, and a store that nobody has is no more.
func TestStoredIsGivenBack(t *testing.T) {
	as := emptySpace(t)
	stored := func() uint64 { return as.engine.StoredBytes() }
	check(t, as.MapAnon(storedAt, storedPages*pageSize, ProtRead|ProtWrite))
	fill := func() {
		for i := range uint64(storedPages) {
			check(t, as.Store64(storedAt+i*pageSize, 1))
		}
	}
	fill()
	check(t, as.MapAnon(storedAt, pageSize, ProtRead))
	check(t, as.Protect(storedAt, pageSize, ProtRead|ProtWrite))
	if v, err := as.Load64(storedAt); v != 0 || err != nil {
		t.Errorf("a page mapped anew has %#x, %v", v, err)
	}
	check(t, as.Discard(storedAt+pageSize, storedAt+2*pageSize))
	if got, want := stored(), uint64(storedPages-2)*pageSize; got < want || got > want+pageSize {
		t.Errorf("%d bytes without two pages, want %d", got, want)
	}
	check(t, as.Unmap(storedAt, storedPages*pageSize))
	if n := stored(); n > 0 {
		t.Errorf("%d bytes of unmapped memory", n)
	}
	check(t, as.MapAnon(storedAt, storedPages*pageSize, ProtRead|ProtWrite))
	fill()
	child, err := as.Clone()
	check(t, err)
	check(t, as.Unmap(storedAt, storedPages*pageSize))
	check(t, as.MapAnon(storedAt, 2*pageSize, ProtRead|ProtWrite))
	if v, err := as.Load64(storedAt); v != 0 || err != nil {
		t.Errorf("a page mapped anew beside a child has %#x, %v", v, err)
	}
	if v, err := child.Load64(storedAt); v != 1 || err != nil {
		t.Errorf("a child's page has %#x, %v", v, err)
	}
	child.Release()
	check(t, as.Store64(storedAt, 1))
	if n := stored(); n != pageSize {
		t.Errorf("%d bytes after a child's end, want one page", n)
	}
}

// TestCloneWhileWritten forks while another thread writes to stored memory: the child has
// what was there at one time.
func TestCloneWhileWritten(t *testing.T) {
	as := emptySpace(t)
	check(t, as.MapAnon(storedAt, storedPages*pageSize, ProtRead|ProtWrite))
	check(t, as.Store64(storedAt, 0))
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for n := uint64(1); ; n++ {
			for page := range uint64(4) {
				as.Store64(storedAt+page*pageSize, n)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	for range 20 {
		child, err := as.Clone()
		check(t, err)
		first, _ := child.Load64(storedAt)
		for page := range uint64(4) {
			if v, _ := child.Load64(storedAt + page*pageSize); v != first && v+1 != first {
				t.Errorf("page %d: %d where the first has %d", page, v, first)
			}
		}
		child.Release()
	}
	close(stop)
	<-done
}

// TestTouchedOfStore: memory of a store that was not written counts as untouched.
func TestTouchedOfStore(t *testing.T) {
	as := emptySpace(t)
	check(t, as.MapAnon(storedAt, storedPages*pageSize, ProtRead|ProtWrite))
	const end = storedAt + storedPages*pageSize
	check(t, as.Store64(end-2*pageSize, 1))
	if low, whole := as.Touched(storedAt, end); low != end-2*pageSize || whole {
		t.Errorf("%#x, %v; want %#x", low, whole, end-2*pageSize)
	}
}

func TestUses(t *testing.T) {
	var u uses
	steps := []struct {
		r      pageRange
		by     int
		want   uses
		unused []pageRange
	}{
		{pageRange{10, 20}, 1, uses{{pageRange{10, 20}, 1}}, nil},
		{pageRange{15, 30}, 1, uses{{pageRange{10, 15}, 1}, {pageRange{15, 20}, 2}, {pageRange{20, 30}, 1}}, nil},
		{pageRange{0, 10}, 1, uses{{pageRange{0, 15}, 1}, {pageRange{15, 20}, 2}, {pageRange{20, 30}, 1}}, nil},
		{pageRange{40, 50}, 1, uses{{pageRange{0, 15}, 1}, {pageRange{15, 20}, 2}, {pageRange{20, 30}, 1}, {pageRange{40, 50}, 1}}, nil},
		{pageRange{12, 25}, -1, uses{{pageRange{0, 12}, 1}, {pageRange{15, 20}, 1}, {pageRange{25, 30}, 1}, {pageRange{40, 50}, 1}}, []pageRange{{12, 15}, {20, 25}}},
		{pageRange{0, 60}, 1, uses{
			{pageRange{0, 12}, 2}, {pageRange{12, 15}, 1}, {pageRange{15, 20}, 2}, {pageRange{20, 25}, 1}, {pageRange{25, 30}, 2},
			{pageRange{30, 40}, 1}, {pageRange{40, 50}, 2}, {pageRange{50, 60}, 1},
		}, nil},
	}
	for _, s := range steps {
		var unused []pageRange
		u, unused = u.add(s.r, s.by)
		if !slices.Equal(u, s.want) || !slices.Equal(unused, s.unused) {
			t.Errorf("%v by %d: %v, unused %v; want %v and %v", s.r, s.by, u, unused, s.want, s.unused)
		}
	}
}

// TestManyPieces: memory that is unmapped page by page leaves a store in one piece, and many
// mappings apart from each other stay few pieces.
func TestManyPieces(t *testing.T) {
	as := emptySpace(t)
	check(t, as.MapAnon(storedAt, storedPages*pageSize, ProtRead|ProtWrite))
	for i := range uint64(2000) {
		at := storedAt + 2*i*pageSize
		check(t, as.Store64(at, 1))
		check(t, as.Unmap(at, pageSize))
		if as.Mapped(at, 1, 0) {
			t.Fatalf("page %d is mapped", 2*i)
		}
	}
	if n := len(as.stored); n != 1 {
		t.Errorf("%d pieces", n)
	}
	if n := as.engine.StoredBytes(); n > 0 {
		t.Errorf("%d bytes of unmapped pages", n)
	}
	child, err := as.Clone()
	check(t, err)
	check(t, as.Unmap(storedAt+pageSize, pageSize))
	check(t, child.Store64(storedAt+pageSize, 2))
	if v, err := child.Load64(storedAt + pageSize); v != 2 || err != nil {
		t.Errorf("a child's page that the parent unmapped: %#x, %v", v, err)
	}
	child.Release()
	for i := range uint64(2 * maxStored) {
		check(t, as.MapAnon(0x40000000+2*i*pageSize, pageSize, ProtRead|ProtWrite))
	}
	if n := len(as.stored); n > maxStored+3 {
		t.Errorf("%d pieces after %d mappings", n, 2*maxStored)
	}
}
