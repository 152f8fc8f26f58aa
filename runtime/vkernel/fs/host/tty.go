package host

import (
	"encoding/binary"
	"strings"
	"unsafe"

	"github.com/megabin/megabin/runtime/vkernel/fs/synth"
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
	switch {
	case f.tty && cmd == unix.TIOCGPGRP:
		return 0, mem.CopyOut(arg, binary.LittleEndian.AppendUint32(nil, uint32(f.pgrp.Load())))
	case f.tty && cmd == unix.TIOCSPGRP:
		var b [4]byte
		if err := mem.CopyIn(b[:], arg); err != nil {
			return 0, err
		}
		f.pgrp.Store(int32(binary.LittleEndian.Uint32(b[:])))
		return 0, nil
	}
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

// Foreground returns the guest's foreground process group of the terminal.
func (s *Stdio) Foreground() int32 { return s.pgrp.Load() }

// SetForeground sets it (the kernel does at the start).
func (s *Stdio) SetForeground(pgrp int32) { s.pgrp.Store(pgrp) }

// Devpts is the file system for /dev/pts, with the terminal under the number
// it has on the host, so that ttyname finds it; nil if it has none.
func (s *Stdio) Devpts() vfs.FileSystem {
	number, ok := strings.CutPrefix(s.Name(), "/dev/pts/")
	if !ok || !s.tty {
		return nil
	}
	names := synth.Static{{Name: number, Inode: s}}
	return &synth.FS{Name: "devpts", Magic: unix.DEVPTS_SUPER_MAGIC, Top: synth.NewDir(0o755, 0, 0, names)}
}
