package tty

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// terminal is a pseudoterminal: ours or the host's. read gives what comes in
// within a moment, all of it.
type terminal interface {
	set(change func(*Termios))
	master(p []byte)         // type
	slave(p []byte)          // output
	readMaster(n int) []byte // at least n bytes if they come
	readSlave() string       // one read, or an error
}

type ours struct {
	m *Master
	s *Slave
}

func newOurs(t *testing.T) *ours {
	table := NewTable()
	f, err := table.OpenMaster(&vfs.Caller{Creds: vfs.RootCreds()})
	if err != nil {
		t.Fatal(err)
	}
	m := f.(*Master)
	m.pty.locked = false
	s, err := table.OpenSlave(m.pty.control.Device, unix.O_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	return &ours{m, s.(*Slave)}
}

func (o *ours) set(change func(*Termios)) {
	o.m.pty.change(func() {
		t := o.m.pty.line.Termios
		change(&t)
		o.m.pty.line.set(t)
	})
}

func (o *ours) master(p []byte) { o.m.Write(p) }
func (o *ours) slave(p []byte)  { o.s.Write(p) }

func (o *ours) readMaster(int) []byte {
	b := make([]byte, 1<<17)
	n, _ := o.m.Read(b)
	return b[:n]
}

func (o *ours) readSlave() string {
	b := make([]byte, inputSize)
	n, err := o.s.Read(b)
	return fmt.Sprintf("%q %v", b[:n], err)
}

// hosts is a pseudoterminal of the host.
type hosts struct{ m, s *os.File }

func newHosts(t *testing.T) *hosts {
	m, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("no pseudoterminals here: %v", err)
	}
	t.Cleanup(func() { m.Close() })
	if err := unix.IoctlSetPointerInt(int(m.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(m.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	s, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	unix.SetNonblock(int(m.Fd()), true)
	unix.SetNonblock(int(s.Fd()), true)
	return &hosts{m, s}
}

func (h *hosts) set(change func(*Termios)) {
	var raw [TermiosSize]byte
	unix.Syscall(unix.SYS_IOCTL, h.s.Fd(), unix.TCGETS, uintptr(unsafe.Pointer(&raw)))
	var t Termios
	t.parse(raw[:])
	change(&t)
	copy(raw[:], t.bytes())
	unix.Syscall(unix.SYS_IOCTL, h.s.Fd(), unix.TCSETS, uintptr(unsafe.Pointer(&raw)))
}

func (h *hosts) master(p []byte) { unix.Write(int(h.m.Fd()), p) }
func (h *hosts) slave(p []byte)  { unix.Write(int(h.s.Fd()), p) }

// wait waits until fd can be read, not for long.
func waitFor(fd uintptr, d time.Duration) bool {
	end := time.Now().Add(d)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(max(0, time.Until(end).Milliseconds())))
		if err != unix.EINTR { // by a signal of Go's scheduler
			return n > 0
		}
	}
}

func (h *hosts) readMaster(want int) (all []byte) {
	patience := time.Second
	for {
		if len(all) >= want {
			patience = 5 * time.Millisecond
		}
		if !waitFor(h.m.Fd(), patience) {
			return all
		}
		b := make([]byte, 1<<16)
		n, err := unix.Read(int(h.m.Fd()), b)
		if err != nil {
			return all
		}
		all = append(all, b[:n]...)
	}
}

func (h *hosts) readSlave() string {
	waitFor(h.s.Fd(), 50*time.Millisecond)
	b := make([]byte, inputSize)
	n, err := unix.Read(int(h.s.Fd()), b)
	return fmt.Sprintf("%q %v", b[:max(n, 0)], err)
}

// act is something to do with a terminal: what it returns is compared.
type act func(t terminal) string

func typing(s string) act {
	return func(t terminal) string { t.master([]byte(s)); return "" }
}

func output(s string) act {
	return func(t terminal) string { t.slave([]byte(s)); return "" }
}

func read(t terminal) string { return t.readSlave() }

func set(change func(*Termios)) act {
	return func(t terminal) string { t.set(change); return "" }
}

func on(iflag, oflag, lflag uint32) act {
	return set(func(t *Termios) { t.Iflag |= iflag; t.Oflag |= oflag; t.Lflag |= lflag })
}

func off(iflag, oflag, lflag uint32) act {
	return set(func(t *Termios) { t.Iflag &^= iflag; t.Oflag &^= oflag; t.Lflag &^= lflag })
}

var likeTheHost = map[string][]act{
	"a line":              {typing("hello\r"), read, read},
	"half a line":         {typing("hel"), read, typing("lo\n"), read},
	"two lines":           {typing("one\rtwo\r"), read, read, read},
	"erase":               {typing("helpp\x7f\x7fp me\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7fx\r"), read},
	"erase without ECHOE": {off(0, 0, unix.ECHOE), typing("abc\x7f\x7fd\r"), read},
	"kill":                {typing("rubbish\x15good\r"), read},
	"kill without ECHOKE": {off(0, 0, unix.ECHOKE), typing("rubbish\x15good\r"), read},
	"word erase":          {typing("one two.three  \x17\x17x\r"), read},
	"end of file":         {typing("\x04"), read, typing("abc\x04"), read, typing("\x04\x04"), read, read, read},
	"control characters":  {typing("a\x01\x1bb\x7f\x7fc\r"), read},
	"tab erased":          {typing("ab\tc\x7f\x7fd\r"), read, output("xy"), typing("\t\tz\x7f\x7f\x7fq\r"), read},
	"literal next":        {typing("a\x16\x03b\x16\x7fc\x16\rd\r"), read},
	"reprint":             {typing("some text\x12 more\r"), read},
	"interrupt":           {typing("half\x03whole\r"), read, typing("x\x1cy\x1az\r"), read},
	"interrupt, NOFLSH":   {on(0, 0, unix.NOFLSH), typing("half\x03whole\r"), read},
	"no signals":          {off(0, 0, unix.ISIG), typing("a\x03b\r"), read},
	"no echo":             {off(0, 0, unix.ECHO), typing("secret\x7f\x15again\r"), read},
	"ECHONL":              {off(0, 0, unix.ECHO), on(0, 0, unix.ECHONL), typing("secret\r"), read},
	"no ECHOCTL":          {off(0, 0, unix.ECHOCTL), typing("a\x01b\x7f\x7f\r"), read},
	"IGNCR":               {on(unix.IGNCR, 0, 0), typing("a\rb\n"), read},
	"no ICRNL":            {off(unix.ICRNL, 0, 0), typing("a\rb\n"), read},
	"INLCR":               {on(unix.INLCR, 0, 0), off(unix.ICRNL, 0, 0), typing("a\nb\x04"), read},
	"ISTRIP":              {on(unix.ISTRIP, 0, 0), typing("\xe1\xe2\r"), read},
	"IUTF8":               {on(unix.IUTF8, 0, 0), typing("aé日\x7f\x7fb\r"), read},
	"not IUTF8":           {typing("aé\x7fb\r"), read},
	"EOL":                 {set(func(t *Termios) { t.CC[unix.VEOL] = ';' }), typing("a;b\r"), read, read},
	"output":              {output("one\ntwo\tthree\r\n\x07\b")},
	"output untouched":    {off(0, unix.OPOST, 0), output("one\ntwo\r\n")},
	"OCRNL":               {on(0, unix.OCRNL, 0), output("a\rb\n")},
	"ONOCR":               {on(0, unix.ONOCR, 0), output("\ra\r\rb\n")},
	"OLCUC":               {on(0, unix.OLCUC, 0), output("abc Def\n")},
	"XTABS":               {on(0, unix.XTABS, 0), output("a\tbc\t\td\n\te\x7f\tf\n")},
	// A line that can be read shows that the host has seen the keys around it.
	"stop and start":     {off(0, 0, unix.ECHO), typing("x\r\x13"), read, output("held"), typing("\x11y\r"), read, output("free")},
	"IXANY":              {off(0, 0, unix.ECHO), on(unix.IXANY, 0, 0), typing("x\r\x13"), read, typing("y\r"), read, output("free")},
	"no IXON":            {off(unix.IXON, 0, 0), typing("a\x13\x11b\r"), read},
	"raw":                {off(0, 0, unix.ICANON), typing("a\x7f\x04\x15\x16b"), read, read},
	"raw, MIN 3":         {off(0, 0, unix.ICANON), set(func(t *Termios) { t.CC[unix.VMIN] = 3 }), typing("ab"), read, typing("cd"), read},
	"raw, MIN 0":         {off(0, 0, unix.ICANON), set(func(t *Termios) { t.CC[unix.VMIN] = 0 }), read, typing("x"), read},
	"a line becomes raw": {typing("one\rtw"), off(0, 0, unix.ICANON), read},
	"a long line":        {off(0, 0, unix.ECHO), typing(string(bytes.Repeat([]byte("x"), 4000))), typing(string(bytes.Repeat([]byte("y"), 200))), typing("\r"), read},
}

// hostTries is how often acts are done before they differ: the host takes keys on a thread of its
// own, and a read on a busy machine may come before an interrupt that was typed.
const hostTries = 4

// compare does the acts on both terminals.
func compare(t *testing.T, acts []act) {
	t.Helper()
	difference := ""
	for range hostTries {
		if difference = differ(newOurs(t), newHosts(t), acts); difference == "" {
			return
		}
	}
	t.Fatal(difference)
}

func differ(mine, theirs terminal, acts []act) string {
	for i, a := range acts {
		got := a(mine)
		gotOut := mine.readMaster(0)
		want := a(theirs)
		wantOut := theirs.readMaster(len(gotOut))
		if got != want || !bytes.Equal(gotOut, wantOut) {
			return fmt.Sprintf("act %d: got %s and output %q, the host gives %s and %q", i, got, gotOut, want, wantOut)
		}
	}
	return ""
}

func TestLikeTheHost(t *testing.T) {
	for name, acts := range likeTheHost {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compare(t, acts)
		})
	}
}

// TestRandomKeys types what comes, with settings that come.
func TestRandomKeys(t *testing.T) {
	const keys = "ab c\x7f\x7f\x7f\x15\x17\t\r\n\x04\x16\x03\x01é日.x"
	flags := []uint32{unix.ECHO, unix.ECHOE, unix.ECHOK, unix.ECHOKE, unix.ECHOCTL, unix.IEXTEN, unix.NOFLSH}
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 1))
			acts := []act{off(0, 0, flags[r.IntN(len(flags))]), on(uint32(r.IntN(2))*unix.IUTF8, 0, 0)}
			for range 6 {
				var p []byte
				for range r.IntN(30) {
					p = append(p, keys[r.IntN(len(keys))])
				}
				acts = append(acts, typing(string(p)), read, output("$ "))
			}
			compare(t, acts)
		})
	}
}
