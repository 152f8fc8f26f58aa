package vfs_test

import (
	"slices"
	"testing"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"golang.org/x/sys/unix"
)

func errno(err error) int { return int(linux.Errno(err)) }

// TestFDTable follows dup(2), fcntl(2) F_DUPFD and getrlimit(2).
func TestFDTable(t *testing.T) {
	g, _ := world(t, "put f x 1")
	table := vfs.NewFDTable(func() int { return 20 })
	open := func() *vfs.Description {
		d, err := g.Caller.Open(vfs.Path{}, "f", linux.O_RDONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	install := func(min int) int {
		d := open()
		fd, err := table.Install(d, min, false)
		if err != nil {
			d.Unref()
			return -errno(err)
		}
		return fd
	}
	step := func(name string, got, want int) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
	step("first", install(0), 0)
	step("second", install(0), 1)
	step("min 10", install(10), 10)
	step("min 10 again", install(10), 11)
	step("third", install(0), 2)
	step("close 1", errno(table.Close(1)), 0)
	step("close 1 again", errno(table.Close(1)), int(unix.EBADF))
	step("min 2", install(2), 3)
	step("lowest", install(0), 1)
	step("min at the limit", install(20), -int(unix.EINVAL))
	step("min below", install(19), 19)
	step("none left above", install(19), -int(unix.EMFILE))
	step("dup2 over", errno(table.InstallAt(open(), 3, true)), 0)
	step("dup2 beyond", errno(table.InstallAt(open(), 20, false)), int(unix.EBADF))
	step("dup2 negative", errno(table.InstallAt(open(), -1, false)), int(unix.EBADF))
	for want := range 20 {
		if !slices.Contains([]int{0, 1, 2, 3, 10, 11, 19}, want) {
			step("fill", install(0), want)
		}
	}
	step("full", install(0), -int(unix.EMFILE))
	testFork(t, table)
}

func testFork(t *testing.T, table *vfs.FDTable) {
	child := table.Fork(func() int { return 20 })
	child.CloseOnExec()
	if _, err := child.Get(3); err != unix.EBADF {
		t.Errorf("close on exec: %v", err)
	}
	if cloexec, err := table.Cloexec(3); !cloexec || err != nil {
		t.Errorf("the parent's descriptor: %v %v", cloexec, err)
	}
	child.CloseRange(5, 18)
	if got := child.FDs(); !slices.Equal(got, []int{0, 1, 2, 4, 19}) {
		t.Errorf("after close_range: %v", got)
	}
	child.Release()
	table.Release()
	if len(table.FDs()) != 0 {
		t.Error("descriptors left after Release")
	}
}

// TestRecordLocks makes open file description locks on the host and here.
func TestRecordLocks(t *testing.T) {
	g, _ := world(t, "put f x 100")
	name := t.TempDir() + "/f"
	var host [2]int
	var ours [2]*vfs.Description
	for i := range 2 {
		var err error
		if host[i], err = unix.Open(name, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o644); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(host[i])
		if ours[i], err = g.Caller.Open(vfs.Path{}, "f", linux.O_RDWR, 0); err != nil {
			t.Fatal(err)
		}
		defer ours[i].Unref()
	}
	const r, w, u = unix.F_RDLCK, unix.F_WRLCK, unix.F_UNLCK
	for i, l := range []struct {
		who        int
		typ        int16
		start, len int64
	}{
		{0, r, 0, 10}, {1, r, 5, 10}, {1, w, 5, 10}, {0, u, 5, 2}, {1, w, 5, 2}, {1, w, 20, 0}, {0, r, 1000, 1},
		{0, w, 15, 5}, {0, w, 15, 6}, {1, u, 30, 10}, {0, r, 30, 10}, {0, r, 29, 1}, {1, r, 20, -5}, {1, r, 5, -10},
		{0, u, 0, 0}, {1, w, 0, 0}, {0, r, 50, 1}, {1, u, 0, 0}, {0, w, 0, 0},
	} {
		lock := unix.Flock_t{Type: l.typ, Start: l.start, Len: l.len}
		want := errno(unix.FcntlFlock(uintptr(host[l.who]), unix.F_OFD_SETLK, &lock))
		ourLock := vfs.Lock{Type: l.typ, Start: l.start, Len: l.len}
		if got := errno(ours[l.who].SetLock(ours[l.who], ourLock, unix.SEEK_SET)); got != want {
			t.Errorf("lock %d: errno %d, the host %d", i, got, want)
		}
		for _, start := range []int64{0, 6, 25, 35, 60} {
			lock := unix.Flock_t{Type: w, Start: start, Len: 3}
			if err := unix.FcntlFlock(uintptr(host[l.who]), unix.F_OFD_GETLK, &lock); err != nil {
				t.Fatal(err)
			}
			found, err := ours[l.who].GetLock(ours[l.who], vfs.Lock{Type: w, Start: start, Len: 3}, unix.SEEK_SET)
			if err != nil || found.Type != lock.Type || found.Start != lock.Start || found.Len != lock.Len {
				t.Errorf("after %d, at %d: %+v, %v; the host %+v", i, start, found, err, lock)
			}
		}
	}
}
