package syscalls

import (
	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/event"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// perTask is a file that is not the same for every task.
type perTask interface {
	ReadFor(t *kernel.Task, p []byte) (int, error)
	ReadyFor(t *kernel.Task) wait.Mask
	QueueFor(t *kernel.Task) *wait.Queue
}

// queueFor is what t waits on after EAGAIN.
func queueFor(t *kernel.Task, d *vfs.Description) *wait.Queue {
	if f, is := d.File().(perTask); is {
		return f.QueueFor(t)
	}
	return d.Queue()
}

// readyFor is the events that hold for t now.
func readyFor(t *kernel.Task, d *vfs.Description) wait.Mask {
	if f, is := d.File().(perTask); is {
		return f.ReadyFor(t).Full()
	}
	return d.Ready().Full()
}

func signalfd(t *kernel.Task, a Args, flags int) (uint64, error) {
	set, err := sigsetArg(t, a[1], a[2])
	if err != nil {
		return 0, err
	}
	if flags&^(linux.O_CLOEXEC|linux.O_NONBLOCK) != 0 {
		return 0, unix.EINVAL
	}
	if a.Int(0) == -1 {
		return anon(t, t.NewSignalFile(set), event.Inode{}, "anon_inode:[signalfd]", flags)
	}
	return withFile(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		f, isSignal := d.File().(*kernel.SignalFile)
		if !isSignal {
			return 0, unix.EINVAL
		}
		f.SetSignals(set)
		return uint64(a.Int(0)), nil
	})
}

func sysSignalfd(t *kernel.Task, a Args) (uint64, error)  { return signalfd(t, a, 0) }
func sysSignalfd4(t *kernel.Task, a Args) (uint64, error) { return signalfd(t, a, a.Int(3)) }
