package proc_test

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/megabin/megabin/runtime/vkernel/fs/fstest"
	"github.com/megabin/megabin/runtime/vkernel/fs/proc"
	"github.com/megabin/megabin/runtime/vkernel/fs/tmp"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"golang.org/x/sys/unix"
)

// kernel is one process, 7, with the thread 8.
type kernel struct {
	guest *fstest.Guest
	exe   vfs.Path
	comm  string
	login uint32
	oom   int
}

func (k *kernel) PIDs() []int { return []int{7} }
func (k *kernel) Task(tid int) proc.Task {
	if tid == 7 || tid == 8 {
		return task{k, tid}
	}
	return nil
}
func (k *kernel) Self(any) (pid, tid int) { return 7, 8 }

type task struct {
	*kernel
	tid int
}

func (t task) Status() proc.Status {
	return proc.Status{
		PID: 7, TID: t.tid, PPID: 1, PGID: 7, SID: 7, State: 'R', Threads: 2, Umask: 0o22,
		UID: [4]uint32{1, 2, 3, 4}, Groups: []uint32{5, 6}, VM: 8 << 20, RSS: 1 << 20, TPGID: -1,
		Start: 3 * time.Second,
	}
}
func (t task) Threads() []int                          { return []int{7, 8} }
func (t task) Comm() string                            { return t.comm }
func (t task) SetComm(name string)                     { t.comm, t.kernel.comm = name, name }
func (t task) Login() (user, session uint32)           { return t.kernel.login, 1 }
func (t task) SetLogin(user uint32) error              { t.kernel.login = user; return nil }
func (t task) Owner() (uid, gid uint32, dumpable bool) { return 5, 5, t.tid == 7 }
func (t task) OOMScoreAdj() int                        { return t.kernel.oom }
func (t task) SetOOMScoreAdj(n int, _ bool) error      { t.kernel.oom = n; return nil }
func (t task) Cmdline() []byte                         { return []byte("prog\x00arg\x00") }
func (t task) Environ() []byte                         { return []byte("A=1\x00") }
func (t task) Maps() []proc.Mapping {
	return []proc.Mapping{
		{Start: 0x400000, End: 0x401000, Prot: unix.PROT_READ | unix.PROT_EXEC, Dev: unix.Mkdev(8, 1), Ino: 42, Name: "/bin/prog"},
		{Start: 0x7fff0000, End: 0x7fff1000, Prot: unix.PROT_READ | unix.PROT_WRITE, Shared: true},
	}
}
func (t task) Limits() []proc.Limit      { return []proc.Limit{{Cur: 5, Max: ^uint64(0)}} }
func (t task) Exe() vfs.Path             { return t.exe }
func (t task) FSContext() *vfs.FSContext { return t.guest.Caller.FS }
func (t task) FDTable() *vfs.FDTable     { return t.guest.FDs }

func newGuest(t *testing.T) (*fstest.Guest, *kernel) {
	t.Helper()
	fs, err := tmp.New(tmp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g := fstest.NewGuest(t, fs)
	fstest.Run(g, fstest.Lines("mkdir proc 755\nmkdir d 755\nput prog x 3"))
	k := &kernel{guest: g, comm: "prog"}
	if k.exe, err = g.Caller.Resolve(vfs.Path{}, "/prog", 0); err != nil {
		t.Fatal(err)
	}
	name := "box"
	p := proc.New(proc.Options{
		Tasks: k, NS: g.Caller.NS, Release: "6.1.0", Version: "#1 SMP", Boot: time.Now(), CPUs: 2, CPUFlags: "fpu sse2",
		Hostname: func() string { return name }, SetHostname: func(s string) { name = s },
	})
	if _, err := g.Caller.Mount("/proc", g.Caller.NS.System().NewSuper(p), vfs.MountOptions{Flags: vfs.NoSuid | vfs.NoDev | vfs.NoExec}); err != nil {
		t.Fatal(err)
	}
	return g, k
}

func read(t *testing.T, g *fstest.Guest, path string) string {
	t.Helper()
	fd, err := g.Open(path, linux.O_RDONLY, 0)
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return ""
	}
	defer g.Close(fd)
	var all []byte
	buf := make([]byte, 100)
	for {
		n, err := g.Read(fd, buf)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if n <= 0 {
			return string(all)
		}
		all = append(all, buf[:n]...)
	}
}

func TestLinks(t *testing.T) {
	g, _ := newGuest(t)
	fd, err := g.Open("/d/../prog", linux.O_RDWR, 0)
	if err != nil || fd != 0 {
		t.Fatal(fd, err)
	}
	if err := g.Chdir("/d"); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/proc/self": "7", "/proc/thread-self": "7/task/8", "/proc/mounts": "self/mounts",
		"/proc/self/exe": "/prog", "/proc/self/cwd": "/d", "/proc/self/root": "/", "/proc/7/fd/0": "/prog",
	} {
		if got, err := g.Readlink(path); got != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", path, got, err, want)
		}
	}
	for path, want := range map[string]error{
		"/proc/8/comm": nil, "/proc/7/task/8/comm": nil, "/proc/9": unix.ENOENT, "/proc/07": unix.ENOENT,
		"/proc/self/fd/3": unix.ENOENT, "/proc/self/fd/x": unix.ENOENT, "/proc/self/fd/0": nil, "/proc/self/cwd/../prog": nil,
		"/proc/self/task/9": unix.ENOENT,
	} {
		if _, err := g.Stat(path, 0); err != want {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
	if err := g.Unlink("/prog", 0); err != nil {
		t.Fatal(err)
	}
	if got, _ := g.Readlink("/proc/self/fd/0"); got != "/prog (deleted)" {
		t.Errorf("deleted file: %q", got)
	}
	if got := read(t, g, "/proc/self/fd/0"); got == "" {
		t.Error("a deleted file is not opened through its descriptor")
	}
}

func TestFiles(t *testing.T) {
	g, k := newGuest(t)
	for path, want := range map[string]string{
		"/proc/self/cmdline":             "prog\x00arg\x00",
		"/proc/self/environ":             "A=1\x00",
		"/proc/self/comm":                "prog\n",
		"/proc/self/statm":               "2048 256 0 0 0 0 0\n",
		"/proc/self/mounts":              "tmpfs / tmpfs rw 0 0\nproc /proc proc rw,nosuid,nodev,noexec 0 0\n",
		"/proc/sys/kernel/hostname":      "box\n",
		"/proc/sys/kernel/osrelease":     "6.1.0\n",
		"/proc/sys/kernel/ostype":        "Linux\n",
		"/proc/sys/vm/overcommit_memory": "0\n",
	} {
		if got := read(t, g, path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	for path, want := range map[string]string{
		"/proc/self/maps":              `^00400000-00401000 r-xp 00000000 08:01 42 +/bin/prog\n7fff0000-7fff1000 rw-s 00000000 00:00 0 \n$`,
		"/proc/self/stat":              `^8 \(prog\) R 1 7 7 0 -1( \d+){44}\n$|^7 \(prog\) R 1 7 7 0 -1( \d+){44}\n$`,
		"/proc/sys/kernel/random/uuid": `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\n$`,
		"/proc/self/mountinfo":         `^\d+ \d+ 0:\d+ / / rw - tmpfs tmpfs rw\n\d+ \d+ 0:\d+ / /proc rw,nosuid,nodev,noexec - proc proc rw\n$`,
		"/proc/uptime":                 `^\d+\.\d\d \d+\.\d\d\n$`,
		"/proc/self/limits":            `Max cpu time +5 +unlimited +seconds`,
		"/proc/version":                `^Linux version 6\.1\.0 `,
	} {
		if got := read(t, g, path); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s: %q does not match %s", path, got, want)
		}
	}
	write(t, g, "/proc/self/comm", "new\n")
	write(t, g, "/proc/self/loginuid", "42")
	write(t, g, "/proc/self/oom_adj", "8\n")
	write(t, g, "/proc/sys/kernel/hostname", "other\n")
	if k.login != 42 || read(t, g, "/proc/self/sessionid") != "1" {
		t.Errorf("after a login: %d", k.login)
	}
	if got := read(t, g, "/proc/self/oom_score_adj"); got != "470\n" {
		t.Errorf("oom_score_adj is %q", got)
	}
	if k.comm != "new" || read(t, g, "/proc/sys/kernel/hostname") != "other\n" {
		t.Errorf("after writes: %q, %q", k.comm, read(t, g, "/proc/sys/kernel/hostname"))
	}
}

func write(t *testing.T, g *fstest.Guest, path, text string) {
	t.Helper()
	fd, err := g.Open(path, linux.O_WRONLY|linux.O_TRUNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close(fd)
	if _, err := g.Write(fd, []byte(text)); err != nil {
		t.Errorf("%s: %v", path, err)
	}
}

// TestStatusKeys: the keys of status and the number of fields of stat are the
// host's, as far as we have them.
func TestStatusKeys(t *testing.T) {
	g, _ := newGuest(t)
	host, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	known := map[string]bool{}
	for line := range bytes.Lines(host) {
		key, _, _ := strings.Cut(string(line), ":")
		known[key] = true
	}
	for line := range strings.Lines(read(t, g, "/proc/self/status")) {
		if key, _, _ := strings.Cut(line, ":"); !known[key] {
			t.Errorf("the host's status has no %q", key)
		}
	}
	hostStat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Skip(err)
	}
	if got, want := len(strings.Fields(read(t, g, "/proc/self/stat"))), len(strings.Fields(string(hostStat))); got != want {
		t.Errorf("stat has %d fields, the host's %d", got, want)
	}
}

// TestList lists all of proc, and opens what it lists.
func TestList(t *testing.T) {
	g, _ := newGuest(t)
	var walk func(dir string, depth int)
	walk = func(dir string, depth int) {
		fd, err := g.Open(dir, linux.O_RDONLY|linux.O_DIRECTORY, 0)
		if err != nil {
			t.Errorf("%s: %v", dir, err)
			return
		}
		defer g.Close(fd) // it is among what is listed
		entries, err := g.ReadDir(fd)
		if err != nil || len(entries) < 2 {
			t.Errorf("%s: %d entries, %v", dir, len(entries), err)
		}
		for _, e := range entries {
			path := dir + "/" + e.Name
			a, err := g.Stat(path, unix.AT_SYMLINK_NOFOLLOW)
			switch {
			case e.Name == "." || e.Name == "..":
			case err != nil || linux.DirentType(a.Mode) != e.Type || a.Ino != e.Ino:
				t.Errorf("%s: type %d, inode %d; stat says %o, %d, %v", path, e.Type, e.Ino, a.Mode, a.Ino, err)
			case a.IsDir() && depth < 5:
				walk(path, depth+1)
			case a.Type() == unix.S_IFREG && strings.HasSuffix(dir, "/attr"): // there is no security module
				if fd, err := g.Open(path, linux.O_RDONLY, 0); err != nil {
					t.Errorf("%s: %v", path, err)
				} else if _, err := g.Read(fd, make([]byte, 1)); err != unix.EINVAL {
					t.Errorf("%s: %v", path, err)
				} else {
					g.Close(fd)
				}
			case a.Type() == unix.S_IFREG:
				read(t, g, path)
			}
		}
	}
	walk("/proc", 0)
}
