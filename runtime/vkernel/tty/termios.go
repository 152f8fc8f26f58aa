package tty

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Sizes of struct termios and struct termios2 of the kernel, bytes
// (asm-generic/termbits.h), and the number of control characters.
const (
	TermiosSize  = 36
	Termios2Size = 44
	numCC        = 19
)

// Termios is how a terminal treats characters.
type Termios struct {
	Iflag, Oflag, Cflag, Lflag uint32
	Line                       uint8
	CC                         [numCC]uint8
	Ispeed, Ospeed             uint32
}

// speed is the speed of a new terminal, in baud.
const speed = 38400

// newTermios is what a new terminal starts with: tty_std_termios.
func newTermios() Termios {
	t := Termios{
		Iflag: unix.ICRNL | unix.IXON, Oflag: unix.OPOST | unix.ONLCR, Cflag: unix.B38400 | unix.CS8 | unix.CREAD,
		Lflag:  unix.ISIG | unix.ICANON | unix.ECHO | unix.ECHOE | unix.ECHOK | unix.ECHOCTL | unix.ECHOKE | unix.IEXTEN,
		Ispeed: speed, Ospeed: speed,
	}
	for i, c := range map[int]uint8{
		unix.VINTR: 'C' & 31, unix.VQUIT: '\\' & 31, unix.VERASE: 127, unix.VKILL: 'U' & 31, unix.VEOF: 'D' & 31, unix.VMIN: 1,
		unix.VSTART: 'Q' & 31, unix.VSTOP: 'S' & 31, unix.VSUSP: 'Z' & 31, unix.VREPRINT: 'R' & 31, unix.VDISCARD: 'O' & 31,
		unix.VWERASE: 'W' & 31, unix.VLNEXT: 'V' & 31,
	} {
		t.CC[i] = c
	}
	return t
}

// bytes is struct termios2, of which struct termios is the beginning.
func (t *Termios) bytes() []byte {
	le := binary.LittleEndian
	var b []byte
	for _, v := range [...]uint32{t.Iflag, t.Oflag, t.Cflag, t.Lflag} {
		b = le.AppendUint32(b, v)
	}
	b = append(append(b, t.Line), t.CC[:]...)
	return le.AppendUint32(le.AppendUint32(b, t.Ispeed), t.Ospeed)
}

// parse reads struct termios or termios2.
func (t *Termios) parse(b []byte) {
	le := binary.LittleEndian
	t.Iflag, t.Oflag, t.Cflag, t.Lflag = le.Uint32(b), le.Uint32(b[4:]), le.Uint32(b[8:]), le.Uint32(b[12:])
	t.Line = b[16]
	copy(t.CC[:], b[17:])
	if len(b) >= Termios2Size {
		t.Ispeed, t.Ospeed = le.Uint32(b[36:]), le.Uint32(b[40:])
	}
}

// TermioSize is the size of struct termio, bytes: the interface of System V, with
// flags of 16 bits and eight control characters.
const (
	TermioSize = 18
	termioCC   = 8
)

// termio is struct termio.
func (t *Termios) termio() []byte {
	var b []byte
	for _, v := range [...]uint32{t.Iflag, t.Oflag, t.Cflag, t.Lflag} {
		b = binary.LittleEndian.AppendUint16(b, uint16(v))
	}
	return append(append(append(b, t.Line), t.CC[:termioCC]...), 0)
}

// parseTermio reads struct termio; the upper halves of the flags stay.
func (t *Termios) parseTermio(b []byte) {
	for i, v := range [...]*uint32{&t.Iflag, &t.Oflag, &t.Cflag, &t.Lflag} {
		*v = *v&^0xffff | uint32(binary.LittleEndian.Uint16(b[2*i:]))
	}
	t.Line = b[8]
	copy(t.CC[:termioCC], b[9:])
}

func (t *Termios) in(flag uint32) bool    { return t.Iflag&flag != 0 }
func (t *Termios) out(flag uint32) bool   { return t.Oflag&flag != 0 }
func (t *Termios) local(flag uint32) bool { return t.Lflag&flag != 0 }

// is tells whether c is the control character V*; 0 means that there is none.
func (t *Termios) is(c byte, which int) bool { return c != 0 && t.CC[which] == c }
