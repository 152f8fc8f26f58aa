// Package fstest runs the same sequence of file operations on the host's
// kernel and on a vkernel file system and compares every result: the host is
// the oracle. It is for tests only.
package fstest

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"golang.org/x/sys/unix"
)

// System is what the operations are made on. Paths are relative to a fresh
// directory that is both root and working directory.
type System interface {
	Open(path string, flags int, mode uint32) (int, error)
	Close(fd int) error
	Read(fd int, p []byte) (int, error)
	Write(fd int, p []byte) (int, error)
	Pread(fd int, p []byte, off int64) (int, error)
	Pwrite(fd int, p []byte, off int64) (int, error)
	Seek(fd int, off int64, whence int) (int64, error)
	Ftruncate(fd int, size int64) error
	Fallocate(fd int, mode uint32, off, length int64) error
	ReadDir(fd int) ([]linux.Dirent, error)
	Flock(fd int, how int) error

	Mkdir(path string, mode uint32) error
	Mknod(path string, mode uint32, dev uint64) error
	Symlink(target, path string) error
	Link(old, new string, flags int) error
	Unlink(path string, flags int) error
	Rename(old, new string, flags uint32) error
	Readlink(path string) (string, error)
	Stat(path string, flags int) (linux.Attr, error)
	Chmod(path string, mode uint32) error
	Chown(path string, uid, gid uint32, flags int) error
	Utimens(path string, times *[2]linux.Timespec, flags int) error
	Truncate(path string, size int64) error
	Access(path string, mode uint32, flags int) error
	Getxattr(path, name string) ([]byte, error)
	Setxattr(path, name string, value []byte, flags int) error
	Removexattr(path, name string) error
	Listxattr(path string) ([]string, error)
	Umask(mask uint32) uint32
	Chdir(path string) error
	Getcwd() (string, error)
	// SetUser changes the file system ids, without supplementary groups.
	SetUser(uid, gid uint32)
}

// Compare runs script on both systems, one operation a line, and reports the
// lines whose results differ. setup, lines too, makes what is there before.
func Compare(t *testing.T, script string, newGuest func(t *testing.T, setup []string) System) {
	t.Helper()
	if strings.Contains(script, "user ") && !protectedHardlinks() {
		t.Skip("the host does not protect hard links")
	}
	lines := Lines(script)
	var setup []string
	if i := slices.Index(lines, "---"); i >= 0 {
		setup, lines = lines[:i], lines[i+1:]
	}
	host := OnHost(t, t.TempDir(), slices.Concat(setup, lines))[len(setup):]
	guest := newRunner(newGuest(t, setup))
	for i, line := range lines {
		if got := guest.do(line); got != host[i] {
			t.Errorf("line %d: %s\n\tguest: %s\n\thost:  %s", i+1, line, got, host[i])
		}
	}
}

// protectedHardlinks reports whether the host has the rule for hard links to
// others' files that the vkernel has, and most distributions set.
func protectedHardlinks() bool {
	b, err := os.ReadFile("/proc/sys/fs/protected_hardlinks")
	return err == nil && strings.TrimSpace(string(b)) == "1"
}

// Run runs lines on one system and returns the results.
func Run(s System, lines []string) []string {
	r := newRunner(s)
	var results []string
	for _, line := range lines {
		results = append(results, r.do(line))
	}
	return results
}

// Lines are the lines of a script that are not empty.
func Lines(script string) []string {
	var lines []string
	for line := range strings.Lines(script) {
		line, _, _ = strings.Cut(line, " # ")
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// OnHost runs lines on the host, in a thread of its own whose root is dir. It
// skips the test where that is not allowed.
func OnHost(t *testing.T, dir string, lines []string) []string {
	t.Helper()
	done := make(chan []string)
	failed := make(chan error, 1)
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := enter(dir); err != nil {
			failed <- err
			return
		}
		done <- Run(&hostSystem{}, lines)
	}()
	results, ok := <-done
	if !ok {
		t.Skipf("needs root: %v", <-failed)
	}
	return results
}

// runner runs lines: "op arg…" or "name = open path flags mode".
type runner struct {
	sys System
	fds map[string]int
}

func newRunner(s System) *runner { return &runner{s, map[string]int{}} }

func (r *runner) do(line string) string {
	name, rest, ok := strings.Cut(line, " = ")
	if !ok {
		name, rest = "", line
	}
	a := args{fields: fields(rest), fds: r.fds}
	op := a.str()
	if op == "open" {
		fd, err := r.sys.Open(a.str(), a.flags(), a.octal())
		if err != nil {
			return result(err)
		}
		if name == "" {
			return result(r.sys.Close(fd))
		}
		r.fds[name] = fd
		return "opened"
	}
	fn, ok := ops[op]
	if !ok {
		panic("fstest: no operation " + op)
	}
	return fn(r.sys, &a)
}

// fields splits at spaces; ” is the empty string.
func fields(s string) []string {
	list := strings.Fields(s)
	for i := range list {
		if list[i] == "''" {
			list[i] = ""
		}
		if n, ok := strings.CutPrefix(list[i], "LONG"); ok {
			k, _ := strconv.Atoi(n)
			list[i] = strings.Repeat("n", k)
		}
	}
	return list
}

func result(err error) string {
	if err == nil {
		return "ok"
	}
	return unix.ErrnoName(linux.Errno(err))
}

// args are the arguments of an operation; missing ones are zero.
type args struct {
	fields []string
	fds    map[string]int
}

func (a *args) str() string {
	if len(a.fields) == 0 {
		return ""
	}
	s := a.fields[0]
	a.fields = a.fields[1:]
	return s
}

func (a *args) fd() int {
	if fd, ok := a.fds[a.str()]; ok {
		return fd
	}
	return -1
}

func (a *args) num() int64 {
	s := a.str()
	if s == "" {
		return 0
	}
	n, err := strconv.ParseInt(s, 0, 64)
	if err != nil {
		panic("fstest: " + err.Error())
	}
	return n
}

func (a *args) octal() uint32 {
	n, _ := strconv.ParseUint(a.str(), 8, 32)
	return uint32(n)
}

// flags is a list of constants joined by |.
func (a *args) flags() int {
	v := 0
	for name := range strings.SplitSeq(a.str(), "|") {
		n, ok := constants[name]
		if !ok && name != "" && name != "0" {
			panic("fstest: no constant " + name)
		}
		v |= n
	}
	return v
}

var constants = map[string]int{
	"RDONLY": linux.O_RDONLY, "WRONLY": linux.O_WRONLY, "RDWR": linux.O_RDWR, "CREAT": linux.O_CREAT,
	"EXCL": linux.O_EXCL, "TRUNC": linux.O_TRUNC, "APPEND": linux.O_APPEND, "NONBLOCK": linux.O_NONBLOCK,
	"DIRECTORY": linux.O_DIRECTORY, "NOFOLLOW": linux.O_NOFOLLOW, "PATH": linux.O_PATH, "TMPFILE": linux.O_TMPFILE,
	"NOATIME":   linux.O_NOATIME,
	"NOREPLACE": unix.RENAME_NOREPLACE, "EXCHANGE": unix.RENAME_EXCHANGE,
	"REMOVEDIR": unix.AT_REMOVEDIR, "FOLLOW": unix.AT_SYMLINK_FOLLOW, "LNOFOLLOW": unix.AT_SYMLINK_NOFOLLOW,
	"KEEP": unix.FALLOC_FL_KEEP_SIZE, "PUNCH": unix.FALLOC_FL_PUNCH_HOLE, "ZERO": unix.FALLOC_FL_ZERO_RANGE,
	"XCREATE": unix.XATTR_CREATE, "XREPLACE": unix.XATTR_REPLACE,
	"SET": unix.SEEK_SET, "CUR": unix.SEEK_CUR, "END": unix.SEEK_END, "DATA": unix.SEEK_DATA, "HOLE": unix.SEEK_HOLE,
	"SH": unix.LOCK_SH, "EX": unix.LOCK_EX, "UN": unix.LOCK_UN, "NB": unix.LOCK_NB,
	"EACCESS": unix.AT_EACCESS,
}

// data is n bytes that depend on the seed.
func data(seed string, n int64) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = seed[i%len(seed)] + byte(i/4096)
	}
	return p
}

// sum is a short picture of bytes.
func sum(p []byte) string {
	h := uint64(14695981039346656037)
	for _, b := range p {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return fmt.Sprintf("%d bytes %x", len(p), h)
}
