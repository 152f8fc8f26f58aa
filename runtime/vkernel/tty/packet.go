package tty

import (
	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// packet is the packet mode of a pseudoterminal, TIOCPKT: the master reads a
// byte of status, or a zero and then data. The zero value is off.
type packet struct {
	on     bool
	status byte // TIOCPKT_* that the master has not read
}

// note adds what happened to the status; it replaces its opposite.
func (p *packet) note(bits, instead byte) {
	if p.on {
		p.status = p.status&^instead | bits
	}
}

// turn is TIOCPKT.
func (p *packet) turn(on bool) {
	if on && !p.on {
		p.status = 0
	}
	p.on = on
}

// pending tells whether there is status to read.
func (p *packet) pending() bool { return p.on && p.status != 0 }

// stop stops output or lets it go on.
func (l *line) stop(stopped bool) {
	switch {
	case stopped == l.stopped:
		return
	case stopped:
		l.packet.note(unix.TIOCPKT_STOP, unix.TIOCPKT_START)
	default:
		l.packet.note(unix.TIOCPKT_START, unix.TIOCPKT_STOP)
	}
	l.stopped = stopped
}

// usualFlow tells whether ^S and ^Q stop output, which who shows it may then do
// itself: pty_set_termios of drivers/tty/pty.c.
func (t *Termios) usualFlow() bool {
	return t.in(unix.IXON) && t.CC[unix.VSTOP] == 'S'&0x1f && t.CC[unix.VSTART] == 'Q'&0x1f
}

// noteFlow adds what a change of settings means to a master in packet mode.
func (l *line) noteFlow(before Termios) {
	switch is := l.usualFlow(); {
	case is == before.usualFlow():
	case is:
		l.packet.note(unix.TIOCPKT_DOSTOP, unix.TIOCPKT_NOSTOP)
	default:
		l.packet.note(unix.TIOCPKT_NOSTOP, unix.TIOCPKT_DOSTOP)
	}
	if l.local(unix.EXTPROC) || before.local(unix.EXTPROC) {
		l.packet.note(unix.TIOCPKT_IOCTL, 0)
	}
}

// taken is what a master reads: output, after a byte of status in packet mode.
func (l *line) taken(b []byte) (n int) {
	switch {
	case len(b) == 0:
		return 0
	case l.packet.pending():
		b[0], l.packet.status = l.packet.status, 0
		return 1
	case len(l.output) == 0:
		return 0
	case l.packet.on:
		b[0] = unix.TIOCPKT_DATA
		n = 1
	}
	k := copy(b[n:], l.output)
	l.output = l.output[k:]
	return n + k
}

// setPacket is TIOCPKT.
func (p *Pty) setPacket(arg uint64, mem vfs.Memory) error {
	v, err := loadInt(mem, arg)
	if err == nil {
		p.change(func() { p.line.packet.turn(v != 0) })
	}
	return err
}

// packetMode is TIOCGPKT.
func (p *Pty) packetMode() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return btoi(p.line.packet.on)
}
