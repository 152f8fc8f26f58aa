package pipe_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/megabin/megabin/runtime/vkernel/fs/fstest"
	"github.com/megabin/megabin/runtime/vkernel/fs/pipe"
	"github.com/megabin/megabin/runtime/vkernel/fs/tmp"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
	"golang.org/x/sys/unix"
)

// ends are the two ends of a pipe, ours or the host's.
type ends interface {
	read(p []byte) (int, error)
	write(p []byte) (int, error)
	closeRead()
	closeWrite()
	ready() (r, w wait.Mask)
}

type guest struct{ r, w *vfs.Description }

func (g *guest) read(p []byte) (int, error)  { return g.r.Read(p) }
func (g *guest) write(p []byte) (int, error) { return g.w.Write(p) }
func (g *guest) closeRead()                  { g.r.Unref() }
func (g *guest) closeWrite()                 { g.w.Unref() }
func (g *guest) ready() (r, w wait.Mask)     { return g.r.Ready(), g.w.Ready() }

type host struct{ fds [2]int }

func (h *host) read(p []byte) (int, error)  { return unix.Read(h.fds[0], p) }
func (h *host) write(p []byte) (int, error) { return unix.Write(h.fds[1], p) }
func (h *host) closeRead()                  { unix.Close(h.fds[0]) }
func (h *host) closeWrite()                 { unix.Close(h.fds[1]) }
func (h *host) ready() (r, w wait.Mask) {
	fds := []unix.PollFd{{Fd: int32(h.fds[0]), Events: 7}, {Fd: int32(h.fds[1]), Events: 7}}
	unix.Poll(fds, 0)
	return wait.Mask(fds[0].Revents), wait.Mask(fds[1].Revents)
}

func pair(t *testing.T) (*guest, *host) {
	t.Helper()
	r, w := pipe.Pair(&vfs.System{}, 0, 0, linux.O_NONBLOCK)
	h := &host{}
	if err := unix.Pipe2(h.fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	return &guest{r, w}, h
}

// TestAgainstHost does the same reads and writes on a pipe of ours and one of
// the host's. Writes are whole pages, as the host's buffer is made of pages and how
// they fill differs otherwise.
func TestAgainstHost(t *testing.T) {
	g, h := pair(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 3000 {
		size := 4096 * rnd.IntN(5)
		p := bytes.Repeat([]byte{byte(i)}, size)
		var got, want string
		if rnd.IntN(2) == 0 {
			got, want = result(p)(g.write(p)), result(p)(h.write(p))
		} else {
			q := bytes.Clone(p)
			got, want = result(p)(g.read(p)), result(q)(h.read(q))
		}
		if got != want {
			t.Fatalf("step %d: %s, the host %s", i, got, want)
		}
		compareReady(t, g, h)
	}
	g.closeWrite()
	h.closeWrite()
	compareReady2(t, g.r, h)
	for range 20 {
		p, q := make([]byte, 8192), make([]byte, 8192)
		if got, want := result(p)(g.read(p)), result(q)(h.read(q)); got != want {
			t.Fatalf("after close: %s, the host %s", got, want)
		}
	}
}

func compareReady(t *testing.T, g *guest, h *host) {
	t.Helper()
	gr, gw := g.ready()
	hr, hw := h.ready()
	if gr != hr || gw != hw {
		t.Fatalf("ready %x %x, the host %x %x", gr, gw, hr, hw)
	}
}

func compareReady2(t *testing.T, r *vfs.Description, h *host) {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(h.fds[0]), Events: 7}}
	unix.Poll(fds, 0)
	if got := r.Ready(); got != wait.Mask(fds[0].Revents) {
		t.Fatalf("ready %x, the host %x", got, fds[0].Revents)
	}
}

func result(p []byte) func(int, error) string {
	return func(n int, err error) string {
		if err != nil {
			return unix.ErrnoName(linux.Errno(err))
		}
		return fmt.Sprintf("%d %x", n, p[:min(n, 1)])
	}
}

func TestNoReader(t *testing.T) {
	g, h := pair(t)
	g.closeRead()
	h.closeRead()
	if got, want := result(nil)(g.write([]byte("x"))), result(nil)(h.write([]byte("x"))); got != want {
		t.Errorf("write: %s, the host %s", got, want)
	}
	if got := g.w.Ready(); got != wait.Out|wait.Err {
		t.Errorf("ready: %x", got)
	}
}

func TestAtomicWrites(t *testing.T) {
	r, w := pipe.Pair(&vfs.System{}, 0, 0, 0)
	var writers sync.WaitGroup
	for i := range 8 {
		writers.Add(1)
		go func() {
			defer writers.Done()
			line := bytes.Repeat([]byte{byte('a' + i)}, 1000)
			for range 50 {
				for p := line; len(p) > 0; {
					n, err := blocking(w, wait.Out, func() (int, error) { return w.Write(p) })
					if err != nil {
						t.Error(err)
						return
					}
					p = p[n:]
				}
			}
		}()
	}
	go func() {
		writers.Wait()
		w.Unref()
	}()
	buf := make([]byte, 1000)
	for total := 0; ; total += 1000 {
		got := 0
		for got < len(buf) {
			n, err := blocking(r, wait.In, func() (int, error) { return r.Read(buf[got:]) })
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				break
			}
			got += n
		}
		if got == 0 {
			if total != 8*50*1000 {
				t.Errorf("%d bytes", total)
			}
			return
		}
		if !bytes.Equal(buf, bytes.Repeat(buf[:1], 1000)) {
			t.Fatal("writes are mixed")
		}
	}
}

// blocking does what the kernel's Block does.
func blocking(d *vfs.Description, mask wait.Mask, op func() (int, error)) (int, error) {
	entry, c := wait.NewChannelEntry(mask)
	d.Queue().Register(entry)
	defer d.Queue().Unregister(entry)
	for {
		if n, err := op(); err != unix.EAGAIN {
			return n, err
		}
		<-c
	}
}

func TestSize(t *testing.T) {
	g, h := pair(t)
	sizer := g.r.File().(vfs.PipeSizer)
	for _, n := range []int{0, 1, 4096, 4097, 70000, 1 << 20, 65536, -1} {
		got, err := sizer.SetPipeSize(n)
		want, hostErr := unix.FcntlInt(uintptr(h.fds[0]), unix.F_SETPIPE_SZ, n)
		if linux.Errno(err) != linux.Errno(hostErr) || err == nil && got != want {
			t.Errorf("set %d: %d %v, the host %d %v", n, got, err, want, hostErr)
		}
	}
	big := make([]byte, 30000)
	g.write(big)
	h.write(big)
	_, err := sizer.SetPipeSize(4096)
	_, hostErr := unix.FcntlInt(uintptr(h.fds[0]), unix.F_SETPIPE_SZ, 4096)
	if linux.Errno(err) != linux.Errno(hostErr) {
		t.Errorf("too small: %v, the host %v", err, hostErr)
	}
}

// TestFifo opens a FIFO from both sides, on the host and here.
func TestFifo(t *testing.T) {
	fs, err := tmp.New(tmp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g := fstest.NewGuest(t, fs)
	if err := g.Mknod("p", unix.S_IFIFO|0o644, 0); err != nil {
		t.Fatal(err)
	}
	open := func(flags int) (*vfs.Description, error) {
		return g.Caller.Open(vfs.Path{}, "p", flags, 0)
	}
	if _, err := open(linux.O_WRONLY | linux.O_NONBLOCK); err != unix.ENXIO {
		t.Errorf("no reader: %v, want ENXIO", err)
	}
	r, err := open(linux.O_RDONLY)
	if err != nil || !r.Pending() {
		t.Fatalf("reader alone: %v, not pending", err)
	}
	entry, c := wait.NewChannelEntry(wait.In)
	r.Queue().Register(entry)
	defer r.Queue().Unregister(entry)
	w, err := open(linux.O_WRONLY)
	if err != nil || w.Pending() || r.Pending() {
		t.Fatalf("both: %v, pending %v %v", err, w.Pending(), r.Pending())
	}
	<-c
	if n, err := w.Write([]byte("hello")); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	w.Unref()
	buf := make([]byte, 10)
	if n, err := r.Read(buf); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := r.Read(buf); n != 0 || err != nil {
		t.Errorf("after the writer: %d %v, want the end", n, err)
	}
	if got := r.Ready(); got != wait.Hup {
		t.Errorf("ready %x, want POLLHUP", got)
	}
	r.Unref()
	n, err := open(linux.O_RDONLY | linux.O_NONBLOCK)
	if err != nil || n.Pending() {
		t.Fatalf("non-blocking reader: %v", err)
	}
	if got, want := n.Ready(), hostFifoReady(t); got != want {
		t.Errorf("ready before any writer: %x, the host %x", got, want)
	}
}

func hostFifoReady(t *testing.T) wait.Mask {
	t.Helper()
	name := filepath.Join(t.TempDir(), "p")
	if err := unix.Mkfifo(name, 0o644); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	fds := []unix.PollFd{{Fd: int32(fd), Events: 7}}
	unix.Poll(fds, 0)
	return wait.Mask(fds[0].Revents)
}
