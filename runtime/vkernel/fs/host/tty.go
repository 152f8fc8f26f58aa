package host

import (
	"strconv"
	"strings"
	"unsafe"

	"github.com/megabin/megabin/runtime/vkernel/tty"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"golang.org/x/sys/unix"
)

// direction is which way an ioctl's argument goes.
type direction int

const (
	out  direction = iota // from the host to the guest
	in                    // from the guest to the host
	none                  // the argument is a number
)

// passed are the ioctls that go to the host's terminal, with the size of what
// the argument points to in bytes; asm-generic/ioctls.h. Those with numbers of
// processes are not among them.
var passed = map[uint32]struct {
	dir  direction
	size int
}{
	unix.TCGETS:     {out, 36},
	unix.TCSETS:     {in, 36},
	unix.TCSETSW:    {in, 36},
	unix.TCSETSF:    {in, 36},
	unix.TCGETS2:    {out, 44},
	unix.TCSETS2:    {in, 44},
	unix.TCSETSW2:   {in, 44},
	unix.TCSETSF2:   {in, 44},
	unix.TCGETA:     {out, 18},
	unix.TCSETA:     {in, 18},
	unix.TCSETAW:    {in, 18},
	unix.TCSETAF:    {in, 18},
	unix.TCSBRK:     {none, 0},
	unix.TCXONC:     {none, 0},
	unix.TCFLSH:     {none, 0},
	unix.TIOCGWINSZ: {out, 8},
	unix.TIOCSWINSZ: {in, 8},
	unix.TIOCINQ:    {out, 4}, // FIONREAD
	unix.TIOCOUTQ:   {out, 4},
}

// Ioctl implements vfs.Ioctler.
func (f *stdioFile) Ioctl(_ *vfs.Caller, cmd uint32, arg uint64, mem vfs.Memory) (uint64, error) {
	how, ok := passed[cmd]
	if !ok {
		return 0, unix.ENOTTY
	}
	var b [64]byte
	switch how.dir {
	case none:
		return 0, f.hostIoctl(cmd, uintptr(arg))
	case in:
		if err := mem.CopyIn(b[:how.size], arg); err != nil {
			return 0, err
		}
		return 0, f.hostIoctl(cmd, uintptr(unsafe.Pointer(&b)))
	}
	if err := f.hostIoctl(cmd, uintptr(unsafe.Pointer(&b))); err != nil {
		return 0, err
	}
	return 0, mem.CopyOut(arg, b[:how.size])
}

func (f *stdioFile) hostIoctl(cmd uint32, arg uintptr) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(f.fd), uintptr(cmd), arg)
	if errno != 0 {
		return errno
	}
	return nil
}

// terminal is an opened stream that is a terminal.
type terminal struct{ stdioFile }

// Control implements tty.File.
func (f *terminal) Control() *tty.Control { return f.control }

// SetControl says whose terminal it is: streams that are the same terminal
// share a Control. It must be called before Open.
func (s *Stdio) SetControl(c *tty.Control) {
	s.control = c
	c.Open = s.Open
	c.StopsOutput = func() bool {
		t, err := unix.IoctlGetTermios(s.fd, unix.TCGETS)
		return err == nil && t.Lflag&unix.TOSTOP != 0
	}
	if a, err := s.Attr(); err == nil {
		c.Device = a.Rdev
	}
}

// PtsNumber is the number that the terminal has in the host's /dev/pts.
func (s *Stdio) PtsNumber() (int, bool) {
	name, ok := strings.CutPrefix(s.Name(), "/dev/pts/")
	n, err := strconv.Atoi(name)
	return n, ok && s.tty && err == nil
}
