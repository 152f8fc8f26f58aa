package machine

import (
	"os"

	"golang.org/x/sys/unix"
)

// A parent with much memory is not copied at fork: its pages go to a file in
// memory, which parent and child then map privately, so that the host copies
// what either writes later. The next fork copies only what was written since.

// snapshotBytes is from how much written memory on a snapshot costs less than
// a copy.
const snapshotBytes = 8 << 20

// snapshot moves pages to a file that is mapped in their place. Nothing may
// write to them meanwhile.
// Preconditions: as.mu is held for writing.
func (as *AddressSpace) snapshot(pages []pageRange) error {
	fd, err := unix.MemfdCreate("snapshot", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), "snapshot")
	b := &backing{file: f}
	b.retain()
	defer b.release()
	if err := unix.Ftruncate(fd, memorySize); err != nil {
		return err
	}
	ranges := as.joinGaps(pages, false)
	if len(as.snaps)+len(ranges) > maxSnaps {
		earlier, err := as.snapped()
		if err != nil {
			return err
		}
		pages = union(pages, earlier)
		ranges = as.joinGaps(pages, true)
	}
	for _, r := range pages {
		if err := as.reveal(r); err != nil {
			return err
		}
		if _, err := f.WriteAt(as.mem[r.start:r.end], int64(r.start)); err != nil {
			return err
		}
	}
	for _, r := range ranges {
		start := guest(uint32(r.start))
		a := area{start: start, end: start + r.end - r.start, file: b, off: int64(r.start)}
		if err := as.mapSnapshot(a); err != nil {
			return err
		}
	}
	return nil
}

// mapSnapshot maps a part of a snapshot and remembers it.
func (as *AddressSpace) mapSnapshot(a area) error {
	const all = ProtRead | ProtWrite
	if err := as.hostMmap(a.start, a.end, int(a.file.file.Fd()), a.off, unix.MAP_PRIVATE|unix.MAP_NORESERVE, all); err != nil {
		return err
	}
	a.file.retain()
	as.snaps = as.snaps.replace(a.start, a.end, a)
	return as.fence.hold(a.start, a.end, as.areas)
}

// maxGap is how much untouched memory between pages is mapped with them, to
// have fewer mappings; bytes.
const maxGap = 1 << 20

// maxSnaps is how many pieces of snapshots an address space may have. Each is a
// mapping of the host's, which allows 65,530 to all guests of the runner together
// (vm.max_map_count), and a process that forks often writes here and there in
// between. Beyond it the next snapshot takes over what is in earlier ones.
const maxSnaps = 100

// snapped lists what earlier snapshots hold, without the holes in them.
func (as *AddressSpace) snapped() (list []pageRange, err error) {
	for _, a := range as.snaps {
		// Offsets in a snapshot are linear addresses.
		at, end := a.off, a.off+int64(a.end-a.start)
		for at < end {
			start, err := unix.Seek(int(a.file.file.Fd()), at, unix.SEEK_DATA)
			if err == unix.ENXIO || err == nil && start >= end {
				break
			}
			if err != nil {
				return nil, err
			}
			if at, err = unix.Seek(int(a.file.file.Fd()), start, unix.SEEK_HOLE); err != nil {
				return nil, err
			}
			list = append(list, pageRange{uint64(start), uint64(min(at, end))})
		}
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
// between them, which is zero in the snapshot too. With holes, what an earlier snapshot has
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
// file and no snapshot, or only the holes of one, is mapped there.
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
	lo, hi = as.snaps.overlap(from, to)
	return lo == hi || holes
}
