package syscalls

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/tty"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// control is the job control of an open file, nil if it is no terminal.
func control(d *vfs.Description) *tty.Control {
	if f, isTTY := d.File().(tty.File); isTTY {
		return f.Control()
	}
	return nil
}

// mayRead and mayWrite stop background processes.
func mayRead(t *kernel.Task, d *vfs.Description) error {
	if c := control(d); c != nil {
		return t.MayRead(c)
	}
	return nil
}

func mayWrite(t *kernel.Task, d *vfs.Description) error {
	if c := control(d); c != nil {
		return t.MayWrite(c)
	}
	return nil
}

// opened makes a terminal that a session's leader opens the session's.
func opened(t *kernel.Task, d *vfs.Description, flags int) {
	if c := control(d); c != nil && flags&linux.O_NOCTTY == 0 {
		t.AcquireTerminal(c) // if it may not, it does not
	}
}

// jobIoctls are the requests that concern who owns a terminal.
var jobIoctls = map[uint32]func(t *kernel.Task, c *tty.Control, arg uint64) (uint64, error){
	unix.TIOCSCTTY: func(t *kernel.Task, c *tty.Control, _ uint64) (uint64, error) { return ok(t.AcquireTerminal(c)) },
	unix.TIOCNOTTY: func(t *kernel.Task, c *tty.Control, _ uint64) (uint64, error) { return ok(t.ReleaseTerminal(c)) },
	unix.TIOCGPGRP: func(t *kernel.Task, c *tty.Control, arg uint64) (uint64, error) {
		pgrp, err := t.Foreground(c)
		return copyOut(t, arg, binary.LittleEndian.AppendUint32(nil, uint32(pgrp)), err)
	},
	unix.TIOCSPGRP: func(t *kernel.Task, c *tty.Control, arg uint64) (uint64, error) {
		pgrp, err := mem(t).Load32(arg)
		if err != nil {
			return 0, err
		}
		return ok(t.SetForeground(c, int(int32(pgrp))))
	},
	unix.TIOCGSID: func(t *kernel.Task, c *tty.Control, arg uint64) (uint64, error) {
		if _, err := t.Foreground(c); err != nil {
			return 0, err
		}
		return ok(mem(t).Store32(arg, uint32(c.Session())))
	},
}

// changes are the requests that a background process is stopped for.
var changes = map[uint32]bool{
	unix.TCSETS: true, unix.TCSETSW: true, unix.TCSETSF: true, unix.TCSETS2: true, unix.TCSETSW2: true, unix.TCSETSF2: true,
	unix.TCSETA: true, unix.TCSETAW: true, unix.TCSETAF: true,
	unix.TCSBRK: true, unix.TCXONC: true, unix.TCFLSH: true, unix.TCSBRKP: true, unix.TIOCSETD: true,
}

// terminalIoctl does a request's part that is not the terminal's own; done
// says that this is all of it.
func terminalIoctl(t *kernel.Task, d *vfs.Description, cmd uint32, arg uint64) (ret uint64, err error, done bool) {
	c := control(d)
	if c == nil {
		return 0, nil, false
	}
	if f := jobIoctls[cmd]; f != nil {
		ret, err = f(t, c, arg)
		return ret, err, true
	}
	if changes[cmd] {
		err = t.MayChange(c)
	}
	return 0, err, err != nil
}
