// Package proc is the proc file system: what proc(5) says of processes and of
// the system, computed at each read. It knows processes only through the interfaces
// Tasks and Task, which the kernel implements.
package proc

import (
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/megabin/megabin/runtime/vkernel/fs/synth"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"golang.org/x/sys/unix"
)

// Tasks is the set of processes. Its methods, and those of Task, are called with
// locks of the vfs held: they must not call the vfs.
type Tasks interface {
	// PIDs lists the processes, ascending.
	PIDs() []int
	// Task returns the thread (or process, by its leader) with an id, nil if
	// there is none.
	Task(tid int) Task
	// Self is who a Caller's Task is: its process and thread ids.
	Self(task any) (pid, tid int)
}

// Task is one thread. What has ended may return zero values.
type Task interface {
	// Status is a snapshot.
	Status() Status
	// Threads lists the thread ids of its process, ascending.
	Threads() []int
	Comm() string
	SetComm(name string)
	// Owner is its effective user and group, and whether others of that user may look
	// into it (PR_GET_DUMPABLE).
	Owner() (uid, gid uint32, dumpable bool)
	OOMScoreAdj() int
	// SetOOMScoreAdj is told n from -1000 to 1000, and whether by the older file, oom_adj.
	SetOOMScoreAdj(n int, older bool) error
	// Login is the user that logged in (loginuid) and the number of that session.
	Login() (user, session uint32)
	SetLogin(user uint32) error
	Cmdline() []byte // arguments, each with a NUL after it
	Environ() []byte // likewise
	Maps() []Mapping
	Limits() []Limit // by RLIMIT_* number
	// The zero Path, or nil, once they are gone.
	Exe() vfs.Path
	FSContext() *vfs.FSContext
	FDTable() *vfs.FDTable
}

// Status is what status, stat and statm tell.
type Status struct {
	PID, TID, PPID  int
	Tracer          int // thread id, 0 for none
	PGID, SID       int
	State           byte      // 'R', 'S', 'Z', …
	TTY             int       // device number of the controlling terminal, 0 if none
	TPGID           int       // its foreground process group, -1 if none
	UID, GID        [4]uint32 // real, effective, saved, file system
	Groups          []uint32
	Caps            [5]uint64 // inheritable, permitted, effective, bounding, ambient
	NoNewPrivs      bool
	Seccomp         [2]int // mode, filters
	CPUs            uint64 // affinity, a bit for each processor
	Threads         int
	Umask           uint32
	FDSize          int
	Nice            int
	ExitSignal      int
	User, System    time.Duration // processor time used
	Start           time.Duration // since boot
	VM, RSS, Data   uint64        // bytes
	Text, Stack     uint64        // bytes
	Code, Args, Env [2]uint64     // guest addresses: start and end
	StackStart      uint64        // guest address
	BrkStart        uint64        // guest address
	Pending         uint64        // signals, bit n-1 for signal n
	SharedPending   uint64
	Blocked         uint64
	Ignored, Caught uint64
}

// Mapping is one line of maps.
type Mapping struct {
	Start, End uint64 // guest addresses
	Prot       int    // PROT_*
	Shared     bool
	Offset     int64
	Dev, Ino   uint64
	Name       string
}

// File is a file that something else than tasks makes.
type File struct {
	Name string
	Read func() []byte
}

// Limit is a resource limit; ^0 is unlimited.
type Limit struct{ Cur, Max uint64 }

// Options is what proc tells of the system.
type Options struct {
	Tasks    Tasks
	NS       *vfs.Namespace
	Hostname func() string
	// SetHostname may be nil: hostname cannot be written.
	SetHostname func(string)
	Release     string // of the kernel, "6.1.0"
	Version     string // "#1 SMP …"
	Boot        time.Time
	CPUs        int
	CPUFlags    string // for cpuinfo, separated by spaces
	Net         []File // of /proc/net
	NetSys      []File // of /proc/sys/net, with the names of directories
	IPC         []File // of /proc/sysvipc
	// Keys is /proc/keys as a Caller's Task sees it, KeyUsers /proc/key-users;
	// nil: there are none.
	Keys     func(task any) []byte
	KeyUsers func() []byte
}

// fs is one proc file system.
type fs struct {
	Options

	mu   sync.Mutex
	dirs map[int]*Process // by process id
}

// New makes a proc file system.
func New(o Options) vfs.FileSystem {
	f := &fs{Options: o, dirs: map[int]*Process{}}
	top := &root{fs: f, static: f.system()}
	return &synth.FS{
		Name: "proc", Magic: unix.PROC_SUPER_MAGIC,
		Top: synth.NewDir(0o555, 0, 0, top),
	}
}

// root is the top directory: the system's files, then the processes.
type root struct {
	fs     *fs
	static synth.Static
}

// Lookup implements synth.Names.
func (r *root) Lookup(name string) (vfs.Inode, error) {
	if pid, ok := number(name); ok {
		return r.fs.process(pid)
	}
	return r.static.Lookup(name)
}

// Names implements synth.Names.
func (r *root) Names() ([]synth.Name, error) {
	names, err := r.static.Names()
	for _, pid := range r.fs.Tasks.PIDs() {
		names = append(names, synth.Name{Name: strconv.Itoa(pid), Type: unix.DT_DIR})
	}
	return names, err
}

// number parses a canonical positive decimal number.
func number(name string) (int, bool) {
	n, err := strconv.Atoi(name)
	return n, err == nil && n >= 0 && strconv.Itoa(n) == name
}

// process returns the directory of a process (a thread's id works too), the
// same one while it lives.
func (f *fs) process(pid int) (vfs.Inode, error) {
	t := f.Tasks.Task(pid)
	f.mu.Lock()
	defer f.mu.Unlock()
	if t == nil {
		delete(f.dirs, pid)
		return nil, unix.ENOENT
	}
	if d := f.dirs[pid]; d != nil {
		return d, nil
	}
	f.forgetEnded()
	d := &Process{f.newTaskDir(pid, true), pid}
	f.dirs[pid] = d
	return d, nil
}

// Process is a process's directory.
type Process struct {
	*synth.Dir
	PID int
}

// forgetEnded drops the directories of processes that have ended.
func (f *fs) forgetEnded() {
	for pid := range f.dirs {
		if f.Tasks.Task(pid) == nil {
			delete(f.dirs, pid)
		}
	}
}

// threads is the directory task: a directory for each thread.
type threads struct {
	fs   *fs
	pid  int
	mu   sync.Mutex
	dirs map[int]*synth.Dir
}

// Lookup implements synth.Names.
func (th *threads) Lookup(name string) (vfs.Inode, error) {
	tid, ok := number(name)
	t := th.fs.Tasks.Task(tid)
	if !ok || t == nil || !slices.Contains(t.Threads(), th.pid) {
		return nil, unix.ENOENT
	}
	th.mu.Lock()
	defer th.mu.Unlock()
	if d := th.dirs[tid]; d != nil {
		return d, nil
	}
	d := th.fs.newTaskDir(tid, false)
	th.dirs[tid] = d
	return d, nil
}

// Names implements synth.Names.
func (th *threads) Names() ([]synth.Name, error) {
	t := th.fs.Tasks.Task(th.pid)
	if t == nil {
		return nil, unix.ENOENT
	}
	var names []synth.Name
	for _, tid := range t.Threads() {
		names = append(names, synth.Name{Name: strconv.Itoa(tid), Type: unix.DT_DIR})
	}
	return names, nil
}
