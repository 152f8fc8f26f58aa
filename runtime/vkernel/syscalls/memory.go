package syscalls

import (
	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/mm"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

const protAll = unix.PROT_READ | unix.PROT_WRITE | unix.PROT_EXEC

// asker names who asks for executable memory.
func asker(t *kernel.Task, call string) mm.Asker { return mm.Asker{PID: t.Group.ID, Call: call} }

func sysMmap(t *kernel.Task, a Args) (uint64, error) {
	flags := a.Int(3)
	switch flags & unix.MAP_TYPE {
	case unix.MAP_PRIVATE, unix.MAP_SHARED:
	case unix.MAP_SHARED_VALIDATE:
		if flags&unix.MAP_ANONYMOUS != 0 {
			return 0, unix.EINVAL
		}
		flags = flags&^unix.MAP_TYPE | unix.MAP_SHARED
	default:
		return 0, unix.EINVAL
	}
	if a[5]%mm.PageSize != 0 {
		return 0, unix.EINVAL
	}
	r := mm.Request{Addr: a[0], Len: a[1], Prot: a.Int(2), Flags: flags, By: asker(t, "mmap")}
	switch {
	case flags&unix.MAP_ANONYMOUS == 0:
	case flags&unix.MAP_SHARED != 0:
		return mapShared(t, r)
	default:
		return t.MM.Map(r)
	}
	r.Offset = a.Long(5)
	return withFile(t, a.Int(4), func(d *vfs.Description) (uint64, error) { return mapFile(t, d, r) })
}

// mapShared maps memory that a forked child shares: a file that only mappings
// keep.
func mapShared(t *kernel.Task, r mm.Request) (uint64, error) {
	d, err := memoryFile(t, "/dev/zero (deleted)", 0)
	if err != nil {
		return 0, err
	}
	defer d.Unref()
	if r.Len > mm.TaskSize {
		return 0, unix.ENOMEM
	}
	if err := d.Truncate(int64(mm.PageUp(r.Len))); err != nil {
		return 0, err
	}
	r.File = t.NewMapping(d)
	return t.MM.Map(r)
}

// mapFile maps an open file, as far as its access mode allows.
func mapFile(t *kernel.Task, d *vfs.Description, r mm.Request) (uint64, error) {
	shared := r.Flags&unix.MAP_SHARED != 0
	if r.Offset < 0 {
		return 0, unix.EOVERFLOW
	}
	if !d.Readable() || shared && r.Prot&unix.PROT_WRITE != 0 && !d.Writable() {
		return 0, unix.EACCES
	}
	if r.Prot&unix.PROT_EXEC != 0 && d.Path().Mount.Flags()&vfs.NoExec != 0 {
		return 0, unix.EPERM
	}
	r.MaxProt = protAll
	r.File = t.NewMapping(d)
	if shared && d.Writable() {
		return mapWriter(t, d, r)
	}
	if shared {
		r.MaxProt &^= unix.PROT_WRITE
	}
	return t.MM.Map(r)
}

// mapWriter maps a file for shared writing, as far as its seals allow. It
// counts as a writer before they are looked at, so that one is not added in between.
func mapWriter(t *kernel.Task, d *vfs.Description, r mm.Request) (uint64, error) {
	w := t.NewMapping(d).Writer()
	w.IncRef()
	defer w.DecRef()
	switch {
	case !d.WriteSealed():
		r.File = w
	case r.Prot&unix.PROT_WRITE != 0:
		return 0, unix.EPERM
	default:
		r.MaxProt &^= unix.PROT_WRITE
	}
	return t.MM.Map(r)
}

func sysMunmap(t *kernel.Task, a Args) (uint64, error) { return ok(t.MM.Unmap(a[0], a[1])) }

func sysMprotect(t *kernel.Task, a Args) (uint64, error) {
	return ok(t.MM.Protect(a[0], a[1], a.Int(2), asker(t, "mprotect")))
}

func sysPkeyMprotect(t *kernel.Task, a Args) (uint64, error) {
	if a.Int(3) != -1 {
		return 0, unix.EINVAL
	}
	return sysMprotect(t, a)
}

func sysMremap(t *kernel.Task, a Args) (uint64, error) {
	return t.MM.Remap(a[0], a[1], a[2], a.Int(3), a[4], asker(t, "mremap"))
}

func sysBrk(t *kernel.Task, a Args) (uint64, error) { return t.MM.Brk(a[0]), nil }

func sysMadvise(t *kernel.Task, a Args) (uint64, error) {
	return ok(t.MM.Advise(a[0], a[1], a.Int(2)))
}

func sysMsync(t *kernel.Task, a Args) (uint64, error) { return ok(t.MM.Sync(a[0], a[1], a.Int(2))) }

func sysMincore(t *kernel.Task, a Args) (uint64, error) {
	pages, err := t.MM.Resident(a[0], a[1])
	return copyOut(t, a[2], pages, err)
}

// sysMlock: guest memory is not locked, and a container's limit is seldom
// above what programs ask for; only the range is checked.
func sysMlock(t *kernel.Task, a Args) (uint64, error) {
	start := mm.PageDown(a[0])
	_, err := t.MM.Resident(start, mm.PageUp(a[0]+a[1])-start)
	return ok(err)
}

func sysMlock2(t *kernel.Task, a Args) (uint64, error) {
	if a.Int(2)&^unix.MLOCK_ONFAULT != 0 {
		return 0, unix.EINVAL
	}
	return sysMlock(t, a)
}

func sysMlockall(_ *kernel.Task, a Args) (uint64, error) {
	if f := a.Int(0); f == 0 || f&^(unix.MCL_CURRENT|unix.MCL_FUTURE|unix.MCL_ONFAULT) != 0 || f == unix.MCL_ONFAULT {
		return 0, unix.EINVAL
	}
	return 0, nil
}

func sysMunlockall(*kernel.Task, Args) (uint64, error) { return 0, nil }

// Commands of membarrier(2) that hold on x86 hosts as they are.
const (
	membarrierGlobal    = 1 << 0
	membarrierExpedited = 1 << 3
	membarrierRegister  = 1 << 4
	membarriers         = membarrierGlobal | membarrierExpedited | membarrierRegister
)

func sysMembarrier(t *kernel.Task, a Args) (uint64, error) {
	if a.Uint(1) != 0 {
		return 0, unix.EINVAL
	}
	switch a.Int(0) {
	case 0:
		return membarriers, nil
	case membarrierGlobal:
		return 0, nil
	case membarrierRegister:
		t.Group.Membarrier.Store(true)
		return 0, nil
	case membarrierExpedited:
		if !t.Group.Membarrier.Load() {
			return 0, unix.EPERM
		}
		return 0, nil
	}
	return 0, unix.EINVAL
}
