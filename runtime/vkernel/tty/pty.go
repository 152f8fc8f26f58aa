package tty

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// Pty is a pseudoterminal: what is written to the master is typed on the slave.
type Pty struct {
	Number  int
	control Control
	table   *Table
	inode   vfs.Inode // the slave's

	// exclusive is TIOCEXCL, which keeps no one out: it can be asked for.
	exclusive atomic.Bool

	mu      sync.Mutex
	line    line
	winsize [winsizeSize]byte
	locked  bool // the slave can't be opened yet
	hungUp  bool // the master is closed
	slaves  int  // opens
	wasOpen bool // the slave was opened once
	expired bool // the time that a read waits for is over
	timer   *time.Timer
	masterQ wait.Queue
	slaveQ  wait.Queue
}

// winsizeSize is sizeof(struct winsize), bytes.
const winsizeSize = 8

// Master and Slave are the two kinds of open files.
type (
	Master struct{ pty *Pty }
	Slave  struct {
		pty      *Pty
		nonblock bool // guarded by the Pty's lock
	}
)

// change does f with the terminal locked, then tells who waits and sends the
// signals that f made.
func (p *Pty) change(f func()) {
	p.mu.Lock()
	f()
	signals := p.line.signals
	p.line.signals = nil
	p.mu.Unlock()
	p.masterQ.Notify(wait.In | wait.Pri | wait.Out | wait.Hup)
	p.slaveQ.Notify(wait.In | wait.Out | wait.Hup)
	for _, sig := range signals {
		p.control.Signal(sig)
	}
}

// Release implements vfs.File: closing the master hangs the slave up.
func (m *Master) Release() {
	p := m.pty
	p.change(func() { p.hungUp = true })
	p.control.Signal(unix.SIGHUP)
	p.table.remove(p)
}

// Read implements vfs.Reader. When the slave was closed: EIO.
func (m *Master) Read(b []byte) (n int, err error) {
	p := m.pty
	p.change(func() {
		n = p.line.taken(b)
		switch {
		case n > 0 || len(b) == 0:
		case p.wasOpen && p.slaves == 0:
			err = unix.EIO
		default:
			err = unix.EAGAIN
		}
	})
	return n, err
}

// Write implements vfs.Writer.
func (m *Master) Write(b []byte) (n int, err error) {
	p := m.pty
	p.change(func() { n = p.line.typed(b) })
	if n == 0 && len(b) > 0 {
		return 0, unix.EAGAIN
	}
	return n, nil
}

// Ready implements vfs.Poller.
func (m *Master) Ready() (mask wait.Mask) {
	p := m.pty
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.line.output) > 0 {
		mask |= wait.In
	}
	if p.line.packet.pending() {
		mask |= wait.In | wait.Pri
	}
	if p.line.local(unix.ICANON) || !p.line.full() {
		mask |= wait.Out
	}
	if p.wasOpen && p.slaves == 0 {
		mask |= wait.Hup
	}
	return mask
}

// Async implements vfs.Asyncer.
func (m *Master) Async() {}

// Queue implements vfs.Poller.
func (m *Master) Queue() *wait.Queue { return &m.pty.masterQ }

// Ioctl implements vfs.Ioctler.
func (m *Master) Ioctl(c *vfs.Caller, cmd uint32, arg uint64, mem vfs.Memory) (uint64, error) {
	p := m.pty
	switch cmd {
	case unix.TIOCGPTN:
		return 0, storeInt(mem, arg, p.Number)
	case unix.TIOCSPTLCK:
		v, err := loadInt(mem, arg)
		if err == nil {
			p.change(func() { p.locked = v != 0 })
		}
		return 0, err
	case unix.TIOCGPTLCK:
		p.mu.Lock()
		defer p.mu.Unlock()
		return 0, storeInt(mem, arg, btoi(p.locked))
	case unix.TIOCINQ:
		p.mu.Lock()
		defer p.mu.Unlock()
		return 0, storeInt(mem, arg, len(p.line.output))
	case unix.TIOCPKT:
		return 0, p.setPacket(arg, mem)
	case tiocgpkt:
		return 0, storeInt(mem, arg, p.packetMode())
	case unix.TIOCGPGRP:
		return 0, storeInt(mem, arg, p.control.Foreground())
	case unix.TIOCGSID:
		if p.control.Session() == 0 {
			return 0, unix.ENOTTY
		}
		return 0, storeInt(mem, arg, p.control.Session())
	case tiocsig:
		if arg == 0 || arg > 64 {
			return 0, unix.EINVAL
		}
		p.control.Signal(unix.Signal(arg))
		return 0, nil
	}
	return p.ioctl(cmd, arg, mem)
}

// Requests that package unix does not have, asm-generic/ioctls.h.
const (
	tiocsig   = 0x40045436 // TIOCSIG
	tiocgpkt  = 0x80045438 // TIOCGPKT
	tiocgexcl = 0x80045440 // TIOCGEXCL
)

// Control implements File.
func (s *Slave) Control() *Control { return &s.pty.control }

// Release implements vfs.File.
func (s *Slave) Release() {
	p := s.pty
	p.change(func() { p.slaves-- })
}

// Read implements vfs.Reader. After a hangup it is at its end.
func (s *Slave) Read(b []byte) (n int, err error) {
	p := s.pty
	p.change(func() {
		switch {
		case p.hungUp || len(b) == 0:
		case p.line.enough(len(b)) || s.nonblock && p.line.enough(1) || p.takeExpired():
			p.stopTimer()
			n = p.line.read(b)
		default:
			p.startTimer()
			err = unix.EAGAIN
			if v := &p.line; !v.local(unix.ICANON) && v.CC[unix.VMIN] == 0 && v.CC[unix.VTIME] == 0 {
				err = nil // a read that never waits
			}
		}
	})
	return n, err
}

// SetFlags implements vfs.FlagSetter: a read that does not wait gets less than
// VMIN.
func (s *Slave) SetFlags(flags int) {
	s.pty.mu.Lock()
	defer s.pty.mu.Unlock()
	s.nonblock = flags&linux.O_NONBLOCK != 0
}

// startTimer starts the time after which a read in non-canonical mode gets
// what there is: at once if VMIN is 0, else after the first byte.
func (p *Pty) startTimer() {
	l := &p.line
	if l.local(unix.ICANON) || l.CC[unix.VTIME] == 0 || p.timer != nil || l.CC[unix.VMIN] > 0 && l.held() == 0 {
		return
	}
	p.timer = time.AfterFunc(time.Duration(l.CC[unix.VTIME])*100*time.Millisecond, func() {
		p.change(func() { p.expired = p.timer != nil })
	})
}

func (p *Pty) stopTimer() {
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	p.expired = false
}

func (p *Pty) takeExpired() bool {
	was := p.expired
	p.expired = false
	return was
}

// Write implements vfs.Writer.
func (s *Slave) Write(b []byte) (n int, err error) {
	p := s.pty
	p.change(func() {
		if p.hungUp {
			err = unix.EIO
			return
		}
		n = p.line.written(b)
	})
	if err == nil && n == 0 && len(b) > 0 {
		err = unix.EAGAIN
	}
	return n, err
}

// Ready implements vfs.Poller.
func (s *Slave) Ready() (mask wait.Mask) {
	p := s.pty
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hungUp {
		return wait.In | wait.Out | wait.Err | wait.Hup
	}
	least := 1
	if p.line.CC[unix.VTIME] == 0 {
		least = max(1, int(p.line.CC[unix.VMIN]))
	}
	if p.line.enough(least) {
		mask |= wait.In
	}
	if !p.line.stopped && len(p.line.output) < outputSize {
		mask |= wait.Out
	}
	return mask
}

// Async implements vfs.Asyncer.
func (s *Slave) Async() {}

// Queue implements vfs.Poller.
func (s *Slave) Queue() *wait.Queue { return &s.pty.slaveQ }

// Ioctl implements vfs.Ioctler.
func (s *Slave) Ioctl(_ *vfs.Caller, cmd uint32, arg uint64, mem vfs.Memory) (uint64, error) {
	p := s.pty
	p.mu.Lock()
	hungUp, held := p.hungUp, p.line.held()
	p.mu.Unlock()
	switch {
	case hungUp:
		return 0, unix.EIO
	case cmd == unix.TIOCINQ:
		return 0, storeInt(mem, arg, held)
	}
	return p.ioctl(cmd, arg, mem)
}

// settings are the sizes of what TCGETS, TCSETS and their like copy, and
// whether input is flushed before.
var settings = map[uint32]struct {
	size       int
	set, flush bool
}{
	unix.TCGETS: {TermiosSize, false, false}, unix.TCGETS2: {Termios2Size, false, false},
	unix.TCSETS: {TermiosSize, true, false}, unix.TCSETS2: {Termios2Size, true, false},
	unix.TCSETSW: {TermiosSize, true, false}, unix.TCSETSW2: {Termios2Size, true, false},
	unix.TCSETSF: {TermiosSize, true, true}, unix.TCSETSF2: {Termios2Size, true, true},
	unix.TCGETA: {TermioSize, false, false}, unix.TCSETA: {TermioSize, true, false},
	unix.TCSETAW: {TermioSize, true, false}, unix.TCSETAF: {TermioSize, true, true},
}

// ioctl is what both sides know.
func (p *Pty) ioctl(cmd uint32, arg uint64, mem vfs.Memory) (uint64, error) {
	if how, ok := settings[cmd]; ok {
		return 0, p.termios(how.size, how.set, how.flush, arg, mem)
	}
	switch cmd {
	case unix.TIOCGWINSZ:
		p.mu.Lock()
		defer p.mu.Unlock()
		return 0, mem.CopyOut(arg, p.winsize[:])
	case unix.TIOCSWINSZ:
		return 0, p.resize(arg, mem)
	case unix.TCFLSH:
		return 0, p.flush(arg)
	case unix.TCXONC:
		return 0, p.flow(arg)
	case unix.TCSBRK, unix.TCSBRKP:
		return 0, nil
	case unix.TIOCEXCL, unix.TIOCNXCL:
		p.exclusive.Store(cmd == unix.TIOCEXCL)
		return 0, nil
	case tiocgexcl:
		return 0, storeInt(mem, arg, btoi(p.exclusive.Load()))
	case unix.TIOCGLCKTRMIOS:
		return 0, mem.CopyOut(arg, make([]byte, TermiosSize))
	case unix.TIOCSLCKTRMIOS:
		return 0, unix.EPERM // for CAP_SYS_ADMIN
	case unix.TIOCGETD:
		return 0, storeInt(mem, arg, 0)
	case unix.TIOCOUTQ:
		p.mu.Lock()
		defer p.mu.Unlock()
		return 0, storeInt(mem, arg, len(p.line.output))
	}
	return 0, unix.ENOTTY
}

func (p *Pty) termios(size int, set, flush bool, arg uint64, mem vfs.Memory) error {
	p.mu.Lock()
	t := p.line.Termios
	p.mu.Unlock()
	all := t.bytes()
	if size == TermioSize {
		all = t.termio()
	}
	if !set {
		return mem.CopyOut(arg, all[:size])
	}
	b := make([]byte, size)
	if err := mem.CopyIn(b, arg); err != nil {
		return err
	}
	if size == TermioSize {
		t.parseTermio(b)
	} else {
		t.parse(b)
	}
	p.change(func() {
		if flush {
			p.line.flushInput()
		}
		p.line.set(t)
	})
	return nil
}

func (p *Pty) resize(arg uint64, mem vfs.Memory) error {
	var b [winsizeSize]byte
	if err := mem.CopyIn(b[:], arg); err != nil {
		return err
	}
	p.change(func() {
		if p.winsize != b {
			p.winsize = b
			p.line.signals = append(p.line.signals, unix.SIGWINCH)
		}
	})
	return nil
}

func (p *Pty) flush(which uint64) error {
	if which > unix.TCIOFLUSH {
		return unix.EINVAL
	}
	p.change(func() {
		if which != unix.TCOFLUSH {
			p.line.flushInput()
		}
		if which != unix.TCIFLUSH {
			p.line.output = nil
			p.line.packet.note(unix.TIOCPKT_FLUSHWRITE, 0)
		}
	})
	return nil
}

func (p *Pty) flow(which uint64) error {
	if which > unix.TCION {
		return unix.EINVAL
	}
	p.change(func() {
		switch which {
		case unix.TCOOFF, unix.TCOON:
			p.line.stop(which == unix.TCOOFF)
		case unix.TCIOFF:
			p.line.process(p.line.CC[unix.VSTOP])
		case unix.TCION:
			p.line.process(p.line.CC[unix.VSTART])
		}
	})
	return nil
}

func storeInt(mem vfs.Memory, addr uint64, v int) error {
	return mem.CopyOut(addr, binary.LittleEndian.AppendUint32(nil, uint32(v)))
}

func loadInt(mem vfs.Memory, addr uint64) (int, error) {
	var b [4]byte
	err := mem.CopyIn(b[:], addr)
	return int(int32(binary.LittleEndian.Uint32(b[:]))), err
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
