package local

import (
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/event"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/socket"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

var caller = &socket.Caller{Creds: socket.Ucred{PID: 1}}

func await(s socket.Socket, op func() error) error {
	entry, ready := wait.NewChannelEntry(wait.In | wait.Out)
	s.Queue().Register(entry)
	defer s.Queue().Unregister(entry)
	for {
		if err := op(); err != unix.EAGAIN {
			return err
		}
		<-ready
	}
}

// watched is a file that counts its releases.
type watched struct {
	event.Counter
	released *atomic.Int32
}

func (w *watched) Release() { w.released.Add(1) }

// TestRightsAreReleased sends descriptors that are received, lost in a closed
// socket, or sent through themselves; none stays open, none is closed twice.
func TestRightsAreReleased(t *testing.T) {
	const n = 300
	sys, f := &vfs.System{}, New()
	var released atomic.Int32
	for i := range n {
		a, b, err := f.NewPair(caller, socket.Kind{Domain: unix.AF_UNIX, Type: unix.SOCK_STREAM})
		if err != nil {
			t.Fatal(err)
		}
		d := sys.NewAnon(&watched{released: &released}, event.Inode{}, "", linux.O_RDWR)
		m := &socket.Message{Data: [][]byte{{1}}, Control: socket.Control{Rights: []*vfs.Description{d}}}
		if _, err := a.Send(caller, m); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		all.Go(func() {
			got := &socket.Message{Data: [][]byte{make([]byte, 1)}}
			if i%2 == 0 {
				b.Recv(got)
				got.Control.Release()
			}
			b.Release()
		})
		all.Go(a.Release)
		all.Wait()
	}
	if got := released.Load(); got != n {
		t.Errorf("%d of %d files were released", got, n)
	}
	if len(f.all) != 0 {
		t.Errorf("%d sockets are left", len(f.all))
	}
}

// TestStreamUnderLoad moves data both ways at once through small buffers.
func TestStreamUnderLoad(t *testing.T) {
	const total = 4 << 20
	f := New()
	a, b, _ := f.NewPair(caller, socket.Kind{Domain: unix.AF_UNIX, Type: unix.SOCK_STREAM})
	for _, s := range []socket.Socket{a, b} {
		if err := s.SetOption(unix.SOL_SOCKET, unix.SO_SNDBUF, socket.EncodeInt(5000)); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for _, s := range []socket.Socket{a, b} {
		all.Go(func() {
			buf := make([]byte, 1<<16)
			for sent := 0; sent < total; {
				for i := range buf {
					buf[i] = byte((sent + i) * 31)
				}
				await(s, func() error {
					n, err := s.Send(caller, &socket.Message{Data: [][]byte{buf[:min(len(buf), total-sent)]}})
					sent += n
					return err
				})
			}
			s.Shutdown(unix.SHUT_WR)
		})
		all.Go(func() {
			buf := make([]byte, 3000)
			for got, n := 0, 1; n > 0; got += n {
				await(s, func() (err error) {
					n, err = s.Recv(&socket.Message{Data: [][]byte{buf}})
					return err
				})
				for i, c := range buf[:n] {
					if c != byte((got+i)*31) {
						t.Errorf("byte %d is wrong", got+i)
						return
					}
				}
				if n == 0 && got != total {
					t.Errorf("the end came after %d bytes", got)
				}
			}
		})
	}
	all.Wait()
}

// TestDatagramsUnderLoad has many senders at a receiver with a short queue.
func TestDatagramsUnderLoad(t *testing.T) {
	const senders, each = 8, 500
	f := New()
	kind := socket.Kind{Domain: unix.AF_UNIX, Type: unix.SOCK_DGRAM}
	r, _ := f.New(kind)
	name := []byte{unix.AF_UNIX, 0, 0, 'r'}
	if err := r.Bind(caller, name); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			s, _ := f.New(kind)
			defer s.Release()
			for range each {
				if err := await(s, func() error {
					_, err := s.Send(caller, &socket.Message{Data: [][]byte{{1, 2, 3}}, Addr: name})
					return err
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range senders * each {
		if err := await(r, func() error {
			_, err := r.Recv(&socket.Message{Data: [][]byte{make([]byte, 8)}})
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
}

// TestRightsAreBounded counts descriptors that are on their way.
func TestRightsAreBounded(t *testing.T) {
	var n socket.Network
	sys, f := &vfs.System{}, New()
	var released atomic.Int32
	send := func(s socket.Socket) error {
		m := &socket.Message{Data: [][]byte{{1}}}
		d := sys.NewAnon(&watched{released: &released}, event.Inode{}, "", linux.O_RDWR)
		if err := n.Add(&m.Control, d, 3); err != nil {
			d.Unref()
			return err
		}
		_, err := s.Send(caller, m)
		return err
	}
	for round := range 2 {
		a, b, _ := f.NewPair(caller, socket.Kind{Domain: unix.AF_UNIX, Type: unix.SOCK_STREAM})
		for range 3 {
			if err := send(a); err != nil {
				t.Fatal(err)
			}
		}
		if err := send(a); err != unix.ETOOMANYREFS {
			t.Errorf("round %d: the fourth: %v", round, err)
		}
		got := &socket.Message{Data: [][]byte{make([]byte, 1)}}
		b.Recv(got)
		got.Control.Release()
		if err := send(a); err != nil {
			t.Errorf("round %d: after one was received: %v", round, err)
		}
		a.Release()
		b.Release()
	}
	if got := released.Load(); got != 10 {
		t.Errorf("%d files were released, want 10", got)
	}
}
