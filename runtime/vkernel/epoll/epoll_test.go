package epoll_test

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/epoll"
	"github.com/megabin/megabin/runtime/vkernel/event"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// counter makes an eventfd's description.
func counter(sys *vfs.System) *vfs.Description {
	return sys.NewAnon(event.NewCounter(0, false), event.Inode{}, "eventfd", linux.O_RDWR|linux.O_NONBLOCK)
}

func add(d *vfs.Description, n uint64) { d.Write(binary.LittleEndian.AppendUint64(nil, n)) }

// take reads an eventfd; 0 if there is nothing.
func take(d *vfs.Description) uint64 {
	var b [8]byte
	if _, err := d.Read(b[:]); err != nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b[:])
}

// TestNothingIsLost has several writers and several collectors at one
// instance: each collector may sleep only when there is nothing to do, so all
// that was written is found in the end, level- and edge-triggered.
func TestNothingIsLost(t *testing.T) {
	for name, mask := range map[string]wait.Mask{"level": wait.In, "edge": wait.In | epoll.EdgeTriggered} {
		t.Run(name, func(t *testing.T) { hammer(t, mask) })
	}
}

const (
	files   = 20
	writers = 4
	writes  = 2000
)

func hammer(t *testing.T, mask wait.Mask) {
	sys, e := &vfs.System{}, epoll.New()
	var list [files]*vfs.Description
	for i := range list {
		list[i] = counter(sys)
		if err := e.Add(i, list[i], epoll.Event{Mask: mask, Data: uint64(i)}); err != nil {
			t.Fatal(err)
		}
	}
	var found atomic.Uint64
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range writes {
				add(list[rand.IntN(files)], 1)
			}
		})
	}
	for range 3 {
		all.Go(func() {
			entry, ready := wait.NewChannelEntry(wait.In)
			e.Queue().Register(entry)
			defer e.Queue().Unregister(entry)
			for found.Load() < writers*writes {
				events, err := e.Collect(5)
				if err == unix.EAGAIN {
					if found.Load() < writers*writes {
						<-ready
					}
					continue
				}
				for _, ev := range events {
					found.Add(take(list[ev.Data]))
				}
			}
			e.Queue().Notify(wait.In) // the others may sleep
		})
	}
	all.Wait()
	if got := found.Load(); got != writers*writes {
		t.Errorf("found %d of %d", got, writers*writes)
	}
}

// TestReleaseWhileWatched closes files that are being added, changed, asked for
// and written at the same time.
func TestReleaseWhileWatched(t *testing.T) {
	sys, e, outer := &vfs.System{}, epoll.New(), epoll.New()
	inner := sys.NewAnon(e, event.Inode{}, "epoll", linux.O_RDWR)
	if err := outer.Add(1, inner, epoll.Event{Mask: wait.In}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for fd := range 8 {
		all.Go(func() {
			for range 500 {
				d := counter(sys)
				e.Add(fd, d, epoll.Event{Mask: wait.In | epoll.EdgeTriggered, Data: uint64(fd)})
				add(d, 1)
				e.Modify(fd, d, epoll.Event{Mask: wait.In, Data: uint64(fd)})
				d.Unref()
			}
		})
	}
	for range 2 {
		all.Go(func() {
			for range 2000 {
				outer.Collect(1)
				e.Collect(4)
			}
		})
	}
	all.Wait()
	if events, err := e.Collect(100); err != unix.EAGAIN {
		t.Errorf("closed files are still watched: %v", events)
	}
	if inner.Ready() != 0 {
		t.Error("an instance without files is ready")
	}
	inner.Unref()
	if _, err := outer.Collect(1); err != unix.EAGAIN {
		t.Error("a closed instance is still watched")
	}
}
