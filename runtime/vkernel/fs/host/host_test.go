package host_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/megabin/megabin/runtime/vkernel/fs/fstest"
	"github.com/megabin/megabin/runtime/vkernel/fs/host"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
	"github.com/zeebo/blake3"
	"golang.org/x/sys/unix"
)

func newGuest(t *testing.T, setup []string) fstest.System {
	t.Helper()
	g, _ := bind(t, t.TempDir())
	fstest.Run(g, setup)
	return g
}

func bind(t *testing.T, dir string) (*fstest.Guest, *host.FS) {
	t.Helper()
	fs, err := host.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	return fstest.NewGuest(t, fs), fs
}

func TestScripts(t *testing.T) {
	for _, s := range fstest.Scripts {
		t.Run(s.Name, func(t *testing.T) { fstest.Compare(t, s.Text, newGuest) })
	}
}

func TestRandom(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			fstest.Compare(t, fstest.Random(seed+500, 150), newGuest)
		})
	}
}

// TestNoEscape checks that links on the host lead to places in the guest's
// tree only.
func TestNoEscape(t *testing.T) {
	outside := t.TempDir()
	dir := filepath.Join(t.TempDir(), "bound")
	secret := filepath.Join(outside, "secret")
	for _, err := range []error{
		os.Mkdir(dir, 0o755),
		os.WriteFile(secret, []byte("secret"), 0o644),
		os.Symlink(secret, filepath.Join(dir, "file")),
		os.Symlink(outside, filepath.Join(dir, "dir")),
		os.Symlink("../../../../../../.."+secret, filepath.Join(dir, "up")),
		os.Symlink("/proc/self/root"+secret, filepath.Join(dir, "magic")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	g, _ := bind(t, dir)
	for _, path := range []string{"file", "dir/secret", "up", "magic", "../../secret", "/.." + secret} {
		if _, err := g.Open(path, linux.O_RDONLY, 0); err != unix.ENOENT {
			t.Errorf("%s: %v, want ENOENT", path, err)
		}
	}
	if _, err := g.Stat("..", 0); err != nil {
		t.Error(err)
	}
	if cwd, err := g.Getcwd(); err != nil || cwd != "/" {
		t.Errorf("working directory %q, %v", cwd, err)
	}
}

// TestOutsideChanges checks that what the host does is seen.
func TestOutsideChanges(t *testing.T) {
	dir := t.TempDir()
	g, _ := bind(t, dir)
	name := filepath.Join(dir, "f")
	if _, err := g.Stat("f", 0); err != unix.ENOENT {
		t.Fatal(err)
	}
	for i := range 3 {
		want := bytes.Repeat([]byte{byte('a' + i)}, 10*(i+1))
		os.Remove(name)
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
		fd, err := g.Open("f", linux.O_RDONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 100)
		if n, err := g.Read(fd, got); err != nil || !bytes.Equal(got[:n], want) {
			t.Errorf("read %q, %v; want %q", got[:n], err, want)
		}
	}
}

func TestHash(t *testing.T) {
	dir := t.TempDir()
	g, _ := bind(t, dir)
	for _, content := range []string{"one", "two, longer", ""} {
		if err := os.WriteFile(filepath.Join(dir, "f"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		d, err := g.Caller.Open(vfs.Path{}, "f", linux.O_RDONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if sum, err := vfs.HashOf(d, 1<<20); err != nil || sum != blake3.Sum256([]byte(content)) {
				t.Errorf("%q: %x, %v", content, sum, err)
			}
		}
		d.Unref()
	}
}

// TestReadOnly checks a read-only mount.
func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	fs, err := host.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	sys := &vfs.System{}
	ns := sys.NewNamespace(sys.NewSuper(fs), vfs.MountOptions{Flags: vfs.ReadOnly})
	g := &fstest.Guest{
		Caller: &vfs.Caller{NS: ns, FS: vfs.NewFSContext(ns.Root()), Creds: vfs.RootCreds()},
		FDs:    vfs.NewFDTable(func() int { return 64 }),
	}
	got := fstest.Run(g, fstest.Lines(`
open f RDWR
open new RDWR|CREAT 644
mkdir d 755
mkdir f 755
unlink f
unlink none
rename f g
chmod f 600
touch f
truncate f 0
access f 2
access f 4
symlink a b
link f g
cat f`))
	want := []string{"EROFS", "EROFS", "EROFS", "EEXIST", "EROFS", "EROFS", "EROFS", "EROFS", "EROFS", "EROFS",
		"EROFS", "ok", "EROFS", "EROFS", got[14]}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// TestStdioPipe passes bytes through pipes, waiting as the kernel does.
func TestStdioPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	sys := &vfs.System{}
	in, err := host.NewStdio(r, linux.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	d, err := in.Describe(sys, linux.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("0123456789\x00\xff"), 50000)
	go func() {
		w.Write(want)
		w.Close()
	}()
	var got []byte
	buf := make([]byte, 7777)
	for {
		n, err := blocking(d, wait.In, func() (int, error) { return d.Read(buf) })
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		got = append(got, buf[:n]...)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, want %d, or they differ", len(got), len(want))
	}
	if a, err := d.Stat(); err != nil || a.Type() != unix.S_IFIFO {
		t.Errorf("stat: %o, %v", a.Mode, err)
	}
	if _, err := d.Seek(0, unix.SEEK_SET); err != unix.ESPIPE {
		t.Errorf("seek: %v", err)
	}
}

// TestStdioWrite writes more than a pipe holds.
func TestStdioWrite(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	sys := &vfs.System{}
	out, err := host.NewStdio(w, linux.O_WRONLY)
	if err != nil {
		t.Fatal(err)
	}
	d, err := out.Describe(sys, linux.O_WRONLY)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("abc\n"), 100000)
	result := make(chan []byte)
	go func() {
		got, _ := io.ReadAll(io.LimitReader(r, int64(len(want))))
		result <- got
	}()
	for p := want; len(p) > 0; {
		n, err := blocking(d, wait.Out, func() (int, error) { return d.Write(p) })
		if err != nil {
			t.Fatal(err)
		}
		p = p[n:]
	}
	if got := <-result; !bytes.Equal(got, want) {
		t.Errorf("%d bytes arrived, want %d, or they differ", len(got), len(want))
	}
	r.Close()
	if _, err := d.Write([]byte("x")); err != unix.EPIPE {
		t.Errorf("write without a reader: %v", err)
	}
}

// TestStdioFile checks that a regular file's offset is the host's.
func TestStdioFile(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.WriteString("0123456789")
	f.Seek(2, io.SeekStart)
	in, err := host.NewStdio(f, linux.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	d, err := in.Describe(&vfs.System{}, linux.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 3)
	if n, err := d.Read(buf); n != 3 || err != nil || string(buf) != "234" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
	if off, err := d.Seek(-1, unix.SEEK_CUR); off != 4 || err != nil {
		t.Errorf("seek: %d, %v", off, err)
	}
	if off, _ := f.Seek(0, io.SeekCurrent); off != 4 {
		t.Errorf("the host's offset is %d, want 4", off)
	}
	if n, err := d.Pread(buf, 7); n != 3 || err != nil || string(buf) != "789" {
		t.Errorf("pread %q, %v", buf[:n], err)
	}
	if a, err := d.Stat(); err != nil || a.Type() != unix.S_IFREG || a.Size != 10 {
		t.Errorf("stat: %+v, %v", a, err)
	}
}

// blocking does what the kernel's Block does.
func blocking(d *vfs.Description, mask wait.Mask, op func() (int, error)) (int, error) {
	if n, err := op(); err != unix.EAGAIN {
		return n, err
	}
	queue := d.Queue()
	entry, c := wait.NewChannelEntry(mask)
	queue.Register(entry)
	defer queue.Unregister(entry)
	for {
		if n, err := op(); err != unix.EAGAIN {
			return n, err
		}
		<-c
	}
}
