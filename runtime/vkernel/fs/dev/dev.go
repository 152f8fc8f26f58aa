// Package dev is the character devices that every container has, and the
// directory they are in, as the OCI runtime specification lists them. It
// knows nothing of terminals: the System that uses a Table gives it one.
package dev

import (
	"crypto/rand"
	"os"

	"github.com/megabin/megabin/runtime/vkernel/fs/tmp"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"golang.org/x/sys/unix"
)

// Table is the devices there are; it implements vfs.DeviceTable.
type Table struct {
	// Terminal opens /dev/tty for a caller that has a controlling terminal;
	// nil, or ENXIO, if there is none.
	Terminal func(c *vfs.Caller, flags int) (vfs.File, error)
	// Console likewise opens /dev/console.
	Console func(c *vfs.Caller, flags int) (vfs.File, error)
	// Other opens devices that are not in this package's list; nil: ENXIO.
	Other func(c *vfs.Caller, rdev uint64, flags int) (vfs.File, error)
}

// device is a row of the table of devices.
type device struct {
	name         string
	major, minor uint32
	open         func(t *Table, c *vfs.Caller, flags int) (vfs.File, error)
}

func fixed(f vfs.File) func(*Table, *vfs.Caller, int) (vfs.File, error) {
	return func(*Table, *vfs.Caller, int) (vfs.File, error) { return f, nil }
}

// devices are numbered as in Documentation/admin-guide/devices.txt.
var devices = []device{
	{"null", 1, 3, fixed(null{})},
	{"zero", 1, 5, fixed(zero{})},
	{"full", 1, 7, fixed(full{})},
	{"random", 1, 8, fixed(random{})},
	{"urandom", 1, 9, fixed(random{})},
	{"tty", 5, 0, (*Table).openTerminal},
	{"console", 5, 1, (*Table).openConsole},
}

func (t *Table) openTerminal(c *vfs.Caller, flags int) (vfs.File, error) {
	if t.Terminal == nil {
		return nil, unix.ENXIO
	}
	return t.Terminal(c, flags)
}

func (t *Table) openConsole(c *vfs.Caller, flags int) (vfs.File, error) {
	if t.Console == nil {
		return nil, unix.ENXIO
	}
	return t.Console(c, flags)
}

// OpenDevice implements vfs.DeviceTable.
func (t *Table) OpenDevice(c *vfs.Caller, mode uint32, rdev uint64, flags int) (vfs.File, error) {
	for _, d := range devices {
		if mode == unix.S_IFCHR && rdev == linux.Mkdev(d.major, d.minor) {
			return d.open(t, c, flags)
		}
	}
	if mode == unix.S_IFCHR && t.Other != nil {
		return t.Other(c, rdev, flags)
	}
	return nil, unix.ENXIO
}

// links are the symbolic links in /dev.
var links = []struct{ name, target string }{
	{"fd", "/proc/self/fd"},
	{"stdin", "/proc/self/fd/0"},
	{"stdout", "/proc/self/fd/1"},
	{"stderr", "/proc/self/fd/2"},
	{"core", "/proc/kcore"},
	{"ptmx", "pts/ptmx"},
}

// dirs are the directories in /dev, to mount on.
var dirs = []struct {
	name string
	mode uint32
}{{"pts", 0o755}, {"shm", 0o1777}, {"mqueue", 0o1777}}

// New makes the file system for /dev. console says whether there is a
// /dev/console.
func New(console bool) (*tmp.FS, error) {
	fs, err := tmp.New(tmp.Options{Size: 64 << 20})
	if err != nil {
		return nil, err
	}
	root := fs.Root().(vfs.MutableDir)
	var specs []named
	for _, d := range devices {
		if d.name != "console" || console {
			specs = append(specs, named{d.name, vfs.Spec{Mode: unix.S_IFCHR | 0o666, Rdev: linux.Mkdev(d.major, d.minor)}})
		}
	}
	for _, l := range links {
		specs = append(specs, named{l.name, vfs.Spec{Mode: unix.S_IFLNK | 0o777, Target: l.target}})
	}
	for _, d := range dirs {
		specs = append(specs, named{d.name, vfs.Spec{Mode: unix.S_IFDIR | d.mode}})
	}
	for _, s := range specs {
		if _, err := root.Make(s.name, s.Spec); err != nil {
			return nil, err
		}
	}
	return fs, nil
}

type named struct {
	name string
	vfs.Spec
}

// The devices have no state, so one file serves all who open them.

// null is /dev/null.
type null struct{}

func (null) Release()                               {}
func (null) ReadAt([]byte, int64) (int, error)      { return 0, nil }
func (null) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (null) Lseek(int64, int64, int) (int64, error) { return 0, nil }

// zero is /dev/zero.
type zero struct{ null }

func (zero) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

// HostFile implements vfs.Mmapper.
func (zero) HostFile(bool) (*os.File, error) { return nil, nil }

// full is /dev/full.
type full struct{ null }

func (full) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

func (full) WriteAt([]byte, int64) (int, error) { return 0, unix.ENOSPC }

// random is /dev/random and /dev/urandom: the host's random numbers.
type random struct{ null }

func (random) ReadAt(p []byte, _ int64) (int, error) {
	rand.Read(p)
	return len(p), nil
}

func (random) Lseek(cur, _ int64, _ int) (int64, error) { return cur, nil }
