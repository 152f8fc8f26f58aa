package syscalls

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/machine"
	"github.com/megabin/megabin/runtime/vkernel/fs/pipe"
	"github.com/megabin/megabin/runtime/vkernel/fs/tmp"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/mm"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// arenaSize is the memory that each side of a comparison has, bytes.
const arenaSize = 1 << 16

// side is a kernel that can be called: ours, or the host's.
type side struct {
	call func(nr uint64, args [6]uint64) (uint64, unix.Errno)
	base uint64 // address of the arena
	mem  []byte
	dir  string
	vars map[string]uint64
}

// refuse lets nothing run.
type refuse struct{}

func (refuse) Admit(*mm.Area, []byte, mm.Asker) (mm.Grant, error) { return mm.Grant{}, unix.EACCES }

// newTask makes a task without a program, in a file system in memory.
func newTask(t testing.TB) *kernel.Task {
	t.Helper()
	engine, err := machine.NewEngine(context.Background(), machine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close() })
	root, err := tmp.New(tmp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	sys := &vfs.System{Fifos: pipe.NewFifo}
	k := kernel.New(kernel.Config{
		Engine: engine, NS: sys.NewNamespace(sys.NewSuper(root), vfs.MountOptions{}),
		Memory: root.Root().(vfs.TmpMaker), Hostname: "test", Calls: New(Options{}),
	})
	creds := kernel.NewCreds(uint32(os.Getuid()), uint32(os.Getgid()), nil)
	task, err := k.NewInit(t.Context(), kernel.Init{FS: vfs.NewFSContext(k.NS.Root()), Creds: creds})
	if err != nil {
		t.Fatal(err)
	}
	if task.MM, err = mm.New(engine, refuse{}, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(task.MM.Release)
	return task
}

func guestSide(t testing.TB) *side {
	task := newTask(t)
	base, err := task.MM.Map(mm.Request{Len: arenaSize, Prot: unix.PROT_READ | unix.PROT_WRITE, Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS})
	if err != nil {
		t.Fatal(err)
	}
	mem, err := task.MM.AS.Slice(base, arenaSize, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := task.Caller().Mkdir(vfs.Path{}, "/t", 0o777); err != nil {
		t.Fatal(err)
	}
	return &side{base: base, mem: mem, dir: "/t", vars: map[string]uint64{}, call: func(nr uint64, args [6]uint64) (uint64, unix.Errno) {
		ret, err := task.K.Calls.Call(task, nr, args)
		if err != nil {
			ret = 0
		}
		return ret, linux.Errno(err)
	}}
}

func hostSide(t testing.TB) *side {
	mem, err := unix.Mmap(-1, 0, arenaSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(mem) })
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &side{base: uint64(uintptr(unsafe.Pointer(&mem[0]))), mem: mem, dir: dir, vars: map[string]uint64{}, call: func(nr uint64, a [6]uint64) (uint64, unix.Errno) {
		ret, _, e := unix.Syscall6(uintptr(nr), uintptr(a[0]), uintptr(a[1]), uintptr(a[2]), uintptr(a[3]), uintptr(a[4]), uintptr(a[5]))
		if e != 0 {
			ret = 0
		}
		return uint64(ret), e
	}}
}

// Arguments of a step besides numbers.
type (
	at   int    // an offset in the arena
	text string // a string, put in the arena's upper half
	in   string // a path in the side's directory
	v    string // a result saved by an earlier step
)

const bad = 8 // an address that is never mapped

// step is one call made on both sides. What it returns must be the same,
// unless it is saved, and so must the arena's bytes from cmp[0] to cmp[1].
type step struct {
	nr   uint64
	args []any
	save string
	cmp  [2]int
}

func (s *side) run(st step) (uint64, unix.Errno) {
	var args [6]uint64
	free := arenaSize / 2
	put := func(str string) uint64 {
		n := copy(s.mem[free:], str+"\x00")
		free += n
		return s.base + uint64(free-n)
	}
	for i, a := range st.args {
		switch a := a.(type) {
		case int:
			args[i] = uint64(a)
		case at:
			args[i] = s.base + uint64(a)
		case text:
			args[i] = put(string(a))
		case in:
			args[i] = put(s.dir + "/" + string(a))
		case v:
			args[i] = s.vars[string(a)]
		default:
			panic("BUG: an argument of another type")
		}
	}
	ret, e := s.call(st.nr, args)
	if st.save != "" {
		s.vars[st.save] = ret
		ret = 0
	}
	return ret, e
}

func c(nr uint64, args ...any) step { return step{nr: nr, args: args} }

func (s step) saved(name string) step {
	s.save = name
	return s
}

func (s step) same(from, to int) step {
	s.cmp = [2]int{from, to}
	return s
}

const rdwr = linux.O_RDWR | linux.O_CREAT

// TestLikeTheHost makes the same calls here and on the host.
func TestLikeTheHost(t *testing.T) {
	old := unix.Umask(0o022)
	defer unix.Umask(old)
	for name, steps := range likeTheHost {
		t.Run(name, func(t *testing.T) {
			guest, host := guestSide(t), hostSide(t)
			for i, st := range steps {
				got, gotErr := guest.run(st)
				want, wantErr := host.run(st)
				if got != want || gotErr != wantErr {
					t.Errorf("step %d, %s%v: %d %v, the host gives %d %v", i, Table[st.nr].Name, st.args, int64(got), gotErr, int64(want), wantErr)
				}
				if g, w := guest.mem[st.cmp[0]:st.cmp[1]], host.mem[st.cmp[0]:st.cmp[1]]; !bytes.Equal(g, w) {
					t.Errorf("step %d, %s%v: memory is %x, the host's %x", i, Table[st.nr].Name, st.args, g, w)
				}
			}
		})
	}
}

const fdcwd = unix.AT_FDCWD

var likeTheHost = map[string][]step{
	"files": {
		c(unix.SYS_OPENAT, fdcwd, in("f"), rdwr|linux.O_EXCL, 0o666).saved("f"),
		c(unix.SYS_OPENAT, fdcwd, in("f"), rdwr|linux.O_EXCL, 0o666),
		c(unix.SYS_WRITE, v("f"), text("hello, world"), 12),
		c(unix.SYS_LSEEK, v("f"), 0, unix.SEEK_CUR), c(unix.SYS_LSEEK, v("f"), -5, unix.SEEK_END), c(unix.SYS_LSEEK, v("f"), -500, unix.SEEK_CUR),
		c(unix.SYS_LSEEK, v("f"), 0, 77), c(unix.SYS_READ, v("f"), at(0), 100).same(0, 100), c(unix.SYS_READ, v("f"), at(0), 100),
		c(unix.SYS_PREAD64, v("f"), at(0), 5, 7).same(0, 8), c(unix.SYS_PREAD64, v("f"), at(0), 5, -1), c(unix.SYS_PREAD64, v("f"), at(0), 5, 1000),
		c(unix.SYS_PWRITE64, v("f"), text("XX"), 2, 20), c(unix.SYS_PREAD64, v("f"), at(0), 64, 0).same(0, 64),
		c(unix.SYS_READ, v("f"), bad, 10), c(unix.SYS_WRITE, v("f"), bad, 10), c(unix.SYS_READ, v("f"), bad, 0),
		c(unix.SYS_READ, 999, at(0), 1), c(unix.SYS_FTRUNCATE, v("f"), 3), c(unix.SYS_FTRUNCATE, v("f"), -3), c(unix.SYS_TRUNCATE, in("f"), 9), c(unix.SYS_TRUNCATE, in("none"), 9),
		c(unix.SYS_PREAD64, v("f"), at(0), 64, 0).same(0, 64), c(unix.SYS_FSYNC, v("f")), c(unix.SYS_FSTAT, v("f"), at(512)).same(512+16, 512+28), c(unix.SYS_FSTAT, v("f"), bad),
		c(unix.SYS_FALLOCATE, v("f"), 0, 0, 100), c(unix.SYS_FSTAT, v("f"), at(512)).same(512+48, 512+56), c(unix.SYS_FALLOCATE, v("f"), 0, 0, 0),
		c(unix.SYS_IOCTL, v("f"), unix.TIOCGWINSZ, at(0)), c(unix.SYS_FADVISE64, v("f"), 0, 0, 99), c(unix.SYS_GETDENTS64, v("f"), at(0), 100),
		c(unix.SYS_CLOSE, v("f")), c(unix.SYS_CLOSE, v("f")), c(unix.SYS_CLOSE, -1),
	},
	"descriptors": {
		c(unix.SYS_OPENAT, fdcwd, in("f"), rdwr|linux.O_APPEND, 0o600).saved("f"),
		c(unix.SYS_DUP, v("f")).saved("g"), c(unix.SYS_DUP2, v("f"), v("f")).saved("same"), c(unix.SYS_DUP3, v("f"), v("f"), 0), c(unix.SYS_DUP2, v("f"), -1), c(unix.SYS_DUP, 9999),
		c(unix.SYS_FCNTL, v("g"), unix.F_GETFL, 0), c(unix.SYS_FCNTL, v("g"), unix.F_SETFL, linux.O_NONBLOCK), c(unix.SYS_FCNTL, v("f"), unix.F_GETFL, 0),
		c(unix.SYS_FCNTL, v("g"), unix.F_GETFD, 0), c(unix.SYS_FCNTL, v("g"), unix.F_SETFD, 1), c(unix.SYS_FCNTL, v("g"), unix.F_GETFD, 0), c(unix.SYS_FCNTL, v("f"), unix.F_GETFD, 0),
		c(unix.SYS_FCNTL, v("f"), unix.F_DUPFD, -1), c(unix.SYS_FCNTL, v("f"), 999, 0), c(unix.SYS_FCNTL, v("f"), unix.F_GETPIPE_SZ, 0), c(unix.SYS_FLOCK, v("f"), unix.LOCK_EX|unix.LOCK_NB), c(unix.SYS_FLOCK, v("f"), 77),
		c(unix.SYS_OPENAT, fdcwd, in("f"), linux.O_WRONLY, 0).saved("w"), c(unix.SYS_READ, v("w"), at(0), 1), c(unix.SYS_FLOCK, v("w"), unix.LOCK_SH|unix.LOCK_NB),
		c(unix.SYS_OPENAT, fdcwd, in("f"), linux.O_PATH, 0).saved("p"), c(unix.SYS_READ, v("p"), at(0), 1), c(unix.SYS_FSTAT, v("p"), at(0)).same(16, 28), c(unix.SYS_FCHMOD, v("p"), 0o600),
		c(unix.SYS_CLOSE_RANGE, 9, 3, 0), c(unix.SYS_CLOSE_RANGE, 3, 9, 77),
	},
	"names": {
		c(unix.SYS_MKDIR, in("d"), 0o777), c(unix.SYS_MKDIR, in("d"), 0o777), c(unix.SYS_MKDIR, in("none/d"), 0o777), c(unix.SYS_MKNODAT, fdcwd, in("d/f"), unix.S_IFREG|0o644, 0),
		c(unix.SYS_RMDIR, in("d")), c(unix.SYS_UNLINK, in("d")), c(unix.SYS_RMDIR, in("d/f")), c(unix.SYS_UNLINK, in("d/f/x")), c(unix.SYS_LINK, in("d/f"), in("g")), c(unix.SYS_LINK, in("d"), in("h")), c(unix.SYS_LINK, in("none"), in("h")),
		c(unix.SYS_STAT, in("g"), at(0)).same(16, 28), c(unix.SYS_SYMLINK, text("g"), in("l")), c(unix.SYS_SYMLINK, text("g"), in("l")), c(unix.SYS_SYMLINK, text(""), in("m")), c(unix.SYS_SYMLINK, text("loop"), in("loop")),
		c(unix.SYS_LSTAT, in("l"), at(0)).same(16, 28), c(unix.SYS_STAT, in("l"), at(0)).same(16, 28), c(unix.SYS_STAT, in("loop"), at(0)), c(unix.SYS_READLINK, in("l"), at(0), 64).same(0, 1), c(unix.SYS_READLINK, in("g"), at(0), 64), c(unix.SYS_READLINK, in("l"), at(0), 0),
		c(unix.SYS_OPENAT, fdcwd, in("l"), linux.O_NOFOLLOW, 0), c(unix.SYS_OPENAT, fdcwd, in("g"), linux.O_DIRECTORY, 0), c(unix.SYS_OPENAT, fdcwd, in("d"), linux.O_WRONLY, 0), c(unix.SYS_OPENAT, fdcwd, text(""), 0, 0), c(unix.SYS_OPENAT, fdcwd, bad, 0, 0), c(unix.SYS_OPENAT, 999, text("x"), 0, 0),
		c(unix.SYS_RENAME, in("g"), in("d")), c(unix.SYS_RENAME, in("d"), in("d/e")), c(unix.SYS_RENAMEAT2, fdcwd, in("g"), fdcwd, in("d/f"), unix.RENAME_NOREPLACE), c(unix.SYS_RENAMEAT2, fdcwd, in("g"), fdcwd, in("d"), unix.RENAME_EXCHANGE), c(unix.SYS_RENAMEAT2, fdcwd, in("g"), fdcwd, in("d"), 64),
		c(unix.SYS_ACCESS, in("d"), 0), c(unix.SYS_ACCESS, in("d"), 8), c(unix.SYS_ACCESS, in("none"), 4), c(unix.SYS_FACCESSAT2, fdcwd, in("d"), 0, 1), c(unix.SYS_CHMOD, in("d"), 0o4711), c(unix.SYS_STAT, in("d"), at(0)).same(24, 28), c(unix.SYS_NEWFSTATAT, fdcwd, in("d"), at(0), 0x80000),
		c(unix.SYS_UTIMENSAT, fdcwd, in("d"), bad, 0), c(unix.SYS_UTIMENSAT, fdcwd, in("d"), 0, 0x80000), c(unix.SYS_GETCWD, at(0), 1), c(unix.SYS_CHDIR, in("d")), c(unix.SYS_UMASK, 0o77), c(unix.SYS_UMASK, 0o22), c(unix.SYS_STATX, fdcwd, in("g"), 0x6000, 0xfff, at(0)), c(unix.SYS_TRUNCATE, in("none"), -1),
	},
	"pipes and events": {
		c(unix.SYS_PIPE2, at(0), 0x77), c(unix.SYS_PIPE2, bad, 0), c(unix.SYS_PIPE2, at(0), linux.O_NONBLOCK), c(unix.SYS_EVENTFD2, 3, linux.O_NONBLOCK).saved("e"), c(unix.SYS_EVENTFD2, 3, 1<<20),
		c(unix.SYS_READ, v("e"), at(64), 8).same(64, 72), c(unix.SYS_READ, v("e"), at(64), 8), c(unix.SYS_READ, v("e"), at(64), 4), c(unix.SYS_LSEEK, v("e"), 0, 0), c(unix.SYS_WRITE, v("e"), text("\x05\x00\x00\x00\x00\x00\x00\x00"), 8), c(unix.SYS_READ, v("e"), at(64), 8).same(64, 72),
		c(unix.SYS_WRITE, v("e"), text("\xff\xff\xff\xff\xff\xff\xff\xff"), 8), c(unix.SYS_EPOLL_CREATE1, 77), c(unix.SYS_EPOLL_CREATE1, 0).saved("p"), c(unix.SYS_EPOLL_CTL, v("p"), unix.EPOLL_CTL_MOD, v("e"), at(64)), c(unix.SYS_EPOLL_CTL, v("p"), 9, v("e"), at(64)), c(unix.SYS_EPOLL_CTL, v("e"), unix.EPOLL_CTL_ADD, v("e"), at(64)),
		c(unix.SYS_EPOLL_WAIT, v("p"), at(64), 0, 0), c(unix.SYS_EPOLL_WAIT, v("p"), at(64), 4, 0), c(unix.SYS_POLL, bad, 1, 0), c(unix.SYS_POLL, 0, 0, 0), c(unix.SYS_SELECT, -1, 0, 0, 0, 0), c(unix.SYS_TIMERFD_CREATE, 77, 0), c(unix.SYS_TIMERFD_CREATE, unix.CLOCK_MONOTONIC, linux.O_NONBLOCK).saved("t"), c(unix.SYS_READ, v("t"), at(64), 8), c(unix.SYS_TIMERFD_GETTIME, v("t"), at(64)).same(64, 96), c(unix.SYS_TIMERFD_GETTIME, v("e"), at(64)),
		c(unix.SYS_MEMFD_CREATE, text("m"), 0x100), c(unix.SYS_MEMFD_CREATE, text("m"), 1).saved("m"), c(unix.SYS_WRITE, v("m"), text("abcdef"), 6), c(unix.SYS_PREAD64, v("m"), at(64), 9, 2).same(64, 70), c(unix.SYS_COPY_FILE_RANGE, v("m"), 0, v("m"), 0, 9, 1),
	},
	"processes": {
		c(unix.SYS_KILL, 0, 99), c(unix.SYS_KILL, 0x3ffffff0, 0), c(unix.SYS_TGKILL, 0, 1, 1), c(unix.SYS_RT_SIGACTION, 9, at(0), 0, 8), c(unix.SYS_RT_SIGACTION, 10, 0, at(0), 7), c(unix.SYS_RT_SIGACTION, 65, 0, 0, 8), c(unix.SYS_RT_SIGPROCMASK, 77, at(0), 0, 8), c(unix.SYS_RT_SIGPROCMASK, 0, 0, at(0), 4),
		c(unix.SYS_WAIT4, -1, 0, 0x10000000|0x800, 0), c(unix.SYS_WAITID, 9, 0, 0, 4), c(unix.SYS_PRLIMIT64, 0, 99, 0, at(0)), c(unix.SYS_GETRLIMIT, unix.RLIMIT_NOFILE, bad), c(unix.SYS_SCHED_GETAFFINITY, 0, 1, at(0)), c(unix.SYS_SCHED_GET_PRIORITY_MAX, unix.SCHED_FIFO), c(unix.SYS_SCHED_GET_PRIORITY_MIN, unix.SCHED_FIFO), c(unix.SYS_SCHED_GET_PRIORITY_MAX, 99),
		c(unix.SYS_CLOCK_GETTIME, 77, at(0)), c(unix.SYS_CLOCK_GETTIME, 0, bad), c(unix.SYS_CLOCK_GETRES, 0, at(0)).same(0, 16), c(unix.SYS_NANOSLEEP, text("\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"), 0), c(unix.SYS_CLOCK_NANOSLEEP, 3, 0, at(0), 0), c(unix.SYS_GETRANDOM, at(0), 4, 99), c(unix.SYS_GETRANDOM, at(0), 4, 0), c(unix.SYS_UNAME, bad), c(unix.SYS_FUTEX, at(1), 0, 0, 0, 0, 0), c(unix.SYS_FUTEX, at(4096), 0, 7, 0, 0, 0), c(unix.SYS_FUTEX, at(4096), 1, 7, 0, 0, 0), c(unix.SYS_FUTEX, at(4096), 9, 0, 0, 0, 0), c(unix.SYS_SET_ROBUST_LIST, at(0), 7),
		c(unix.SYS_GETITIMER, 77, at(0)), c(unix.SYS_EXECVE, in("none"), 0, 0), c(unix.SYS_EXECVE, bad, 0, 0), c(unix.SYS_GETPGID, 0x3ffffff0), c(unix.SYS_MPROTECT, at(1), 1, 1), c(unix.SYS_MUNMAP, at(1), 1), c(unix.SYS_MUNMAP, at(0), 0), c(unix.SYS_MADVISE, at(0), 4096, 0), c(unix.SYS_MADVISE, at(1), 4096, 0), c(unix.SYS_MSYNC, at(0), 4096, 5), c(unix.SYS_MINCORE, at(1), 1, at(0)), c(unix.SYS_MREMAP, at(1), 1, 1, 0, 0), c(unix.SYS_MMAP, 0, 0, 3, 0x22, -1, 0), c(unix.SYS_MMAP, 0, 4096, 3, 0x20, -1, 0), c(unix.SYS_MMAP, 0, 4096, 3, 2, 999, 0),
	},
}

// FuzzArguments makes calls with arbitrary arguments: nothing may panic.
func FuzzArguments(f *testing.F) {
	f.Add(uint16(unix.SYS_READV), uint64(0), uint64(0x1000), uint64(3), uint64(0))
	f.Fuzz(func(t *testing.T, nr uint16, a, b, c, d uint64) {
		if blocks[uint64(nr)] {
			return
		}
		g := guestSide(t)
		g.call(uint64(nr), [6]uint64{a, g.base + b%arenaSize, c, g.base + d%arenaSize, a, b})
	})
}

// blocks are calls that may wait for ever, or need a CPU.
var blocks = map[uint64]bool{
	unix.SYS_PAUSE: true, unix.SYS_RT_SIGSUSPEND: true, unix.SYS_NANOSLEEP: true, unix.SYS_CLOCK_NANOSLEEP: true, unix.SYS_POLL: true,
	unix.SYS_PPOLL: true, unix.SYS_SELECT: true, unix.SYS_PSELECT6: true, unix.SYS_RT_SIGTIMEDWAIT: true, unix.SYS_FUTEX: true,
	unix.SYS_ARCH_PRCTL: true, unix.SYS_SIGALTSTACK: true, unix.SYS_RT_SIGRETURN: true, unix.SYS_EPOLL_WAIT: true,
}
