package machine

import (
	"os"
	"slices"
	"sort"
	"sync"

	"golang.org/x/sys/unix"
)

// Anonymous memory of an address space that has much of it is in a store, a file in
// memory, at the offsets that are its linear addresses, and mapped shared, as nobody else maps it. At a fork
// parent and child map it privately, so that nothing is copied at once: the host
// copies what either writes later. What one of them alone still maps when the other has ended is shared
// with the store again, so that what is written then is there at the next fork.
//
// A store is zero where nobody maps it.

// storeFrom is from how much anonymous memory on what comes is in a store, bytes: a usual
// stack, and what is copied soon.
const storeFrom = 8<<20 + 2<<20

// snapshotBytes is from how much written memory on a store costs less than a copy.
const snapshotBytes = 8 << 20

// stores are those of all address spaces.
type stores struct {
	mu    sync.Mutex
	files map[*backing]struct{}
}

// uses says how often each range of a store is mapped: disjoint, ascending, never 0.
type uses []useCount

type useCount struct {
	pageRange
	n int
}

// newStore makes a store with one reference.
func (s *stores) newStore() (*backing, error) {
	fd, err := unix.MemfdCreate("guest memory", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	b := &backing{file: os.NewFile(uintptr(fd), "guest memory"), stores: s}
	if err := unix.Ftruncate(fd, memorySize); err != nil {
		b.file.Close()
		return nil, err
	}
	b.retain()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files == nil {
		s.files = map[*backing]struct{}{}
	}
	s.files[b] = struct{}{}
	return b, nil
}

// forget is told that a store is closed.
func (s *stores) forget(b *backing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.files, b)
}

// StoredBytes is how much memory is in stores, in bytes.
func (e *Engine) StoredBytes() (total uint64) {
	e.stores.mu.Lock()
	defer e.stores.mu.Unlock()
	for b := range e.stores.files {
		total += b.bytes()
	}
	return total
}

// bytes is how much memory a store takes.
func (b *backing) bytes() uint64 {
	var st unix.Stat_t
	if unix.Fstat(int(b.file.Fd()), &st) != nil {
		return 0
	}
	return uint64(st.Blocks) * 512
}

// use counts one more or less that maps a range, which is emptied when that was the last one.
func (b *backing) use(r pageRange, by int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var unused []pageRange
	b.uses, unused = b.uses.add(r, by)
	for _, r := range unused {
		b.punch(r) // which fails for want of memory at most
	}
}

// mostUsed is how often the page of a range is mapped that is mapped most often.
func (b *backing) mostUsed(r pageRange) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.uses.within(r) {
		n = max(n, s.n)
	}
	return n
}

// punch makes a part of a store zero, which takes no memory then.
func (b *backing) punch(r pageRange) error {
	const hole = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
	return unix.Fallocate(int(b.file.Fd()), hole, int64(r.start), int64(r.end-r.start))
}

// add gives the uses with one more or less of a range, and what is not used any more.
func (u uses) add(r pageRange, by int) (next uses, unused []pageRange) {
	lo, hi := u.from(r.start), u.from(r.end)
	if hi < len(u) && u[hi].start < r.end {
		hi++
	}
	lo, hi = max(lo-1, 0), min(hi+1, len(u)) // the neighbours may be joined with what comes between
	var part uses
	for _, s := range u[lo:hi].within(pageRange{0, r.start}) {
		part = part.put(s.pageRange, s.n)
	}
	at := r.start
	for _, s := range u[lo:hi].within(r) {
		part = part.put(pageRange{at, s.start}, by)
		if s.n+by == 0 {
			unused = append(unused, s.pageRange)
		}
		part = part.put(s.pageRange, s.n+by)
		at = s.end
	}
	part = part.put(pageRange{at, r.end}, by)
	for _, s := range u[lo:hi].within(pageRange{r.end, memorySize}) {
		part = part.put(s.pageRange, s.n)
	}
	return slices.Replace(u, lo, hi, part...), unused
}

// from returns the index of the first range that ends after an address.
func (u uses) from(addr uint64) int {
	return sort.Search(len(u), func(i int) bool { return u[i].end > addr })
}

// within gives what of the uses is in a range.
func (u uses) within(r pageRange) (part uses) {
	for i := u.from(r.start); i < len(u) && u[i].start < r.end; i++ {
		s := u[i]
		s.start, s.end = max(s.start, r.start), min(s.end, r.end)
		part = append(part, s)
	}
	return part
}

// put adds a range behind the others.
func (u uses) put(r pageRange, n int) uses {
	last := len(u) - 1
	switch {
	case r.start == r.end || n == 0:
		return u
	case last >= 0 && u[last].end == r.start && u[last].n == n:
		u[last].end = r.end
		return u
	}
	return append(u, useCount{r, n})
}

// storeFor is the store for more memory, which nobody maps there.
// Preconditions: as.mu is held for writing.
func (as *AddressSpace) storeFor(ranges ...pageRange) (*backing, error) {
	if as.own != nil && !slices.ContainsFunc(ranges, func(r pageRange) bool { return as.own.mostUsed(r) > 0 }) {
		return as.own, nil
	}
	b, err := as.engine.stores.newStore()
	if err != nil {
		return nil, err
	}
	as.own.release()
	as.own = b
	return b, nil
}

// maxStored is how many pieces of stores an address space may have before more memory is in none: each is a
// mapping of the host's.
const maxStored = 256

// isLarge tells whether anonymous memory that comes is to be in a store.
func (as *AddressSpace) isLarge(more uint64) bool {
	for i := 0; i < len(as.areas) && as.own == nil && more < storeFrom; i++ {
		if a := as.areas[i]; a.file == nil {
			more += a.end - a.start
		}
	}
	return (as.own != nil || more >= storeFrom) && len(as.stored) < maxStored
}

// mapStored maps zero pages of a store; false if that can't be.
func (as *AddressSpace) mapStored(start, end uint64, prot Prot) bool {
	b, err := as.storeFor(pageRange{start, end})
	if err != nil {
		return false
	}
	return as.mapFrom(area{start: start, end: end, file: b, off: int64(start), shared: true}, prot) == nil
}

// emptyStored makes zeros of memory within one piece of a store that nobody else maps, which stays mapped
// there; false if it is none.
func (as *AddressSpace) emptyStored(start, end uint64) bool {
	i := as.stored.from(start)
	if i == len(as.stored) || as.stored[i].start > start || as.stored[i].end < end {
		return false
	}
	a := as.stored[i].slice(start, end)
	if a.file.mostUsed(a.pages()) > 1 || a.file.punch(a.pages()) != nil {
		return false
	}
	return a.shared || unix.Madvise(as.bytes(start, end-start), unix.MADV_DONTNEED) == nil
}

// mapFrom maps a part of a store and remembers it.
func (as *AddressSpace) mapFrom(a area, prot Prot) error {
	a.retain() // before what is there is forgotten, which may be the same
	if err := as.hostMmap(a.start, a.end, int(a.file.file.Fd()), a.off, a.flags(), prot); err != nil {
		a.release()
		return err
	}
	as.stored = as.stored.replace(a.start, a.end, a)
	return nil
}

// mapHeld maps a part of a store with the protection that the areas there have.
func (as *AddressSpace) mapHeld(a area) error {
	if err := as.mapFrom(a, ProtRead|ProtWrite); err != nil {
		return err
	}
	return as.fence.hold(a.start, a.end, as.areas)
}

// share maps a, which is mapped, shared or privately. The spares of children need not be told: what they
// have of it is what the next child needs.
func (as *AddressSpace) share(a area, shared bool) error {
	a.shared = shared
	if err := as.fence.hostMmap(a.pages(), int(a.file.file.Fd()), a.off, a.flags(), ProtRead|ProtWrite); err != nil {
		return err
	}
	a.retain()
	as.stored = as.stored.replace(a.start, a.end, a)
	return as.fence.hold(a.start, a.end, as.areas)
}

// flags are those that the host is to map a part of a store with.
func (a area) flags() int {
	if a.shared {
		return unix.MAP_SHARED | unix.MAP_NORESERVE
	}
	return unix.MAP_PRIVATE | unix.MAP_NORESERVE
}

// settle maps privately what is shared: from then on nobody changes what is in
// stores.
// Preconditions: as.mu is held for writing.
func (as *AddressSpace) settle() error {
	for _, a := range slices.Clone(as.stored) {
		if !a.shared {
			continue
		}
		// Taken out of the host's page tables first, pages cost half of what they do when they are replaced.
		if err := unix.Madvise(as.bytes(a.start, a.end-a.start), unix.MADV_DONTNEED); err != nil {
			return err
		}
		if err := as.share(a, false); err != nil {
			return err
		}
	}
	return nil
}

// Regain shares memory with stores again, as before a fork, that nobody else maps any more: what is
// written then is in a store at once, and is not copied at the next fork.
// Preconditions: nothing runs in the address space but the caller, or is noticed.
func (as *AddressSpace) Regain() error {
	as.mu.Lock()
	defer as.mu.Unlock()
	if as.own == nil || len(as.code.cpus) > 1 {
		return nil
	}
	var alone areas
	var size uint64
	for _, a := range as.stored {
		if !a.shared && a.file.mostUsed(a.pages()) == 1 {
			alone = append(alone, a)
			size += a.end - a.start
		}
	}
	if size < snapshotBytes {
		return nil
	}
	written, err := privatePages(as.mem)
	if err != nil || bytesOf(written) >= snapshotBytes {
		return err
	}
	for _, a := range alone {
		if err := as.writeTo(a.file, intersect(written, a.pages())); err != nil {
			return err
		}
		if err := as.share(a, true); err != nil {
			return err
		}
	}
	return nil
}

// writeTo writes pages to a store.
func (as *AddressSpace) writeTo(b *backing, pages []pageRange) error {
	for _, r := range pages {
		if err := as.reveal(r); err != nil {
			return err
		}
		if _, err := b.file.WriteAt(as.mem[r.start:r.end], int64(r.start)); err != nil {
			return err
		}
	}
	return nil
}

// intersect gives what of pages is in a range.
func intersect(pages []pageRange, with pageRange) (list []pageRange) {
	for _, r := range pages {
		if r.start, r.end = max(r.start, with.start), min(r.end, with.end); r.start < r.end {
			list = append(list, r)
		}
	}
	return list
}

// snapshot moves pages to stores, which are mapped in their place. Nothing may
// write to them meanwhile.
// Preconditions: as.mu is held for writing, and settle was called.
func (as *AddressSpace) snapshot(pages []pageRange) error {
	for _, a := range as.stored {
		if a.file.mostUsed(a.pages()) > 1 {
			continue
		}
		if err := as.moveBack(a.file, intersect(pages, a.pages())); err != nil {
			return err
		}
		pages = subtract(pages, []pageRange{a.pages()})
	}
	ranges := as.joinGaps(pages, false)
	if len(ranges) == 0 {
		return nil
	}
	if len(as.stored)+len(ranges) > maxSnaps+len(as.areas) {
		earlier, err := as.inStores()
		if err != nil {
			return err
		}
		pages = union(pages, earlier)
		ranges = as.joinGaps(pages, true)
	}
	b, err := as.storeFor(ranges...)
	for _, r := range ranges {
		if err != nil {
			return err
		}
		if err := as.writeTo(b, intersect(pages, r)); err != nil {
			return err
		}
		err = as.mapHeld(area{start: r.start, end: r.end, file: b, off: int64(r.start)})
	}
	return err
}

// moveBack moves pages to the store that is mapped there.
func (as *AddressSpace) moveBack(b *backing, pages []pageRange) error {
	if err := as.writeTo(b, pages); err != nil {
		return err
	}
	for _, r := range pages {
		if err := unix.Madvise(as.mem[r.start:r.end], unix.MADV_DONTNEED); err != nil {
			return err
		}
		if err := as.fence.hold(r.start, r.end, as.areas); err != nil {
			return err
		}
	}
	return nil
}

// maxGap is how much untouched memory between pages is mapped with them, to
// have fewer mappings; bytes.
const maxGap = 1 << 20

// maxSnaps is from how many pieces of stores on, besides one for each area, an address space moves what is in
// them to one. Each is a mapping of the host's, which allows 65,530 to all guests of the runner together
// (vm.max_map_count), and a process that forks often writes here and there in
// between.
const maxSnaps = 100

// inStores lists what stores hold, without the holes in them.
func (as *AddressSpace) inStores() (list []pageRange, err error) {
	for _, a := range as.stored {
		if list, err = a.appendData(list); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// pages is where in a store a is, and in linear memory.
func (a area) pages() pageRange { return pageRange{uint64(a.off), uint64(a.off) + a.end - a.start} }

// appendData adds to a list where a has data, which is a part of a store.
func (a area) appendData(list []pageRange) ([]pageRange, error) {
	fd, at, end := int(a.file.file.Fd()), a.off, int64(a.pages().end)
	for at < end {
		start, err := unix.Seek(fd, at, unix.SEEK_DATA)
		if err == unix.ENXIO || err == nil && start >= end {
			break
		}
		if err != nil {
			return nil, err
		}
		if at, err = unix.Seek(fd, start, unix.SEEK_HOLE); err != nil {
			return nil, err
		}
		list = append(list, pageRange{uint64(start), uint64(min(at, end))})
	}
	return list, nil
}

// union gives what is in either of two ascending lists.
func union(a, b []pageRange) (all []pageRange) {
	for len(a)+len(b) > 0 {
		if len(a) == 0 || len(b) > 0 && b[0].start < a[0].start {
			a, b = b, a
		}
		r := a[0]
		a = a[1:]
		if n := len(all); n > 0 && r.start <= all[n-1].end {
			all[n-1].end = max(all[n-1].end, r.end)
		} else {
			all = append(all, r)
		}
	}
	return all
}

// joinGaps joins ranges that have nothing but untouched anonymous memory
// between them, which is zero in a store too. With holes, what a store has
// there is zero as well.
func (as *AddressSpace) joinGaps(pages []pageRange, holes bool) (joined []pageRange) {
	for _, r := range pages {
		n := len(joined)
		if n > 0 && r.start-joined[n-1].end <= maxGap && as.untouched(joined[n-1].end, r.start, holes) {
			joined[n-1].end = r.end
			continue
		}
		joined = append(joined, r)
	}
	return joined
}

// untouched tells whether linear addresses without private pages are zero: no
// file and no store, or only the holes of one, is mapped there.
func (as *AddressSpace) untouched(start, end uint64, holes bool) bool {
	from, to := guest(uint32(start)), guest(uint32(start))+end-start
	if from >= to {
		return true
	}
	lo, hi := as.areas.overlap(from, to)
	for _, a := range as.areas[lo:hi] {
		if a.file != nil {
			return false
		}
	}
	lo, hi = as.stored.overlap(from, to)
	return lo == hi || holes
}
