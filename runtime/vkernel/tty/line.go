package tty

import (
	"bytes"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// Sizes in bytes: of what is typed ahead (N_TTY_BUF_SIZE), and of output that
// the master has not read.
const (
	inputSize  = 4096
	outputSize = 1 << 16
)

// line is the line discipline N_TTY: what is typed becomes input and echo,
// what is written becomes output. It is not safe for concurrent use.
type line struct {
	Termios
	edit    []byte   // the line being typed, in canonical mode
	input   [][]byte // what can be read: lines in canonical mode; an empty one is an end of file
	output  []byte   // what the master can read
	column  int      // of the cursor
	start   int      // column at which the edited line starts
	literal bool     // the next character is none of control
	stopped bool     // output is, by VSTOP or TCOOFF
	packet  packet
	signals []unix.Signal
	before  screen // before what is being typed in one piece
}

// screen is what echo changes.
type screen struct{ output, column, start int }

// held is how many bytes of input can be read.
func (l *line) held() (n int) {
	for _, b := range l.input {
		n += len(b)
	}
	return n
}

// full tells whether no more can be typed. A line that is too long still takes
// its end.
func (l *line) full() bool {
	return l.held()+len(l.edit) >= inputSize-1
}

// typed takes characters as far as there is room for them and for what they
// echo.
func (l *line) typed(p []byte) (n int) {
	l.before = screen{len(l.output), l.column, l.start}
	for _, c := range p {
		if !l.local(unix.ICANON) && l.full() || len(l.output) > outputSize+inputSize {
			break
		}
		l.key(c)
		n++
	}
	return n
}

// key takes one character.
func (l *line) key(c byte) {
	if l.in(unix.ISTRIP) {
		c &= 0x7f
	}
	if l.in(unix.IUCLC) && l.local(unix.IEXTEN) && c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	if l.literal {
		l.literal = false
		l.add(c)
		return
	}
	if l.flowControl(c) || l.signal(c) {
		return
	}
	switch {
	case c == '\r' && l.in(unix.IGNCR):
		return
	case c == '\r' && l.in(unix.ICRNL):
		c = '\n'
	case c == '\n' && l.in(unix.INLCR):
		c = '\r'
	}
	if l.local(unix.ICANON) {
		l.canonical(c)
		return
	}
	l.echo(c)
	l.push([]byte{c})
}

// flowControl is VSTART and VSTOP.
func (l *line) flowControl(c byte) bool {
	if !l.in(unix.IXON) {
		return false
	}
	switch {
	case l.is(c, unix.VSTART):
		l.stop(false)
		return true
	case l.is(c, unix.VSTOP):
		l.stop(true)
		return true
	case l.stopped && l.in(unix.IXANY):
		l.stop(false)
	}
	return false
}

// signalKeys are the characters that send signals.
var signalKeys = []struct {
	which int
	sig   unix.Signal
}{{unix.VINTR, unix.SIGINT}, {unix.VQUIT, unix.SIGQUIT}, {unix.VSUSP, unix.SIGTSTP}}

func (l *line) signal(c byte) bool {
	if !l.local(unix.ISIG) {
		return false
	}
	for _, k := range signalKeys {
		if !l.is(c, k.which) {
			continue
		}
		if !l.local(unix.NOFLSH) {
			l.flushInput()
			l.flushEcho()
			l.packet.note(unix.TIOCPKT_FLUSHWRITE, 0)
		}
		l.stop(l.stopped && !l.in(unix.IXON))
		l.echo(c)
		l.signals = append(l.signals, k.sig)
		return true
	}
	return false
}

// flushEcho takes back what was echoed of the piece that is being typed.
func (l *line) flushEcho() {
	l.output = l.output[:l.before.output]
	l.column, l.start = l.before.column, l.before.start
}

// canonical takes a character into the edited line.
func (l *line) canonical(c byte) {
	extended := l.local(unix.IEXTEN)
	switch {
	case l.is(c, unix.VERASE):
		l.erase(eraseOne)
	case extended && l.is(c, unix.VWERASE):
		l.erase(eraseWord)
	case l.is(c, unix.VKILL):
		l.kill()
	case extended && l.is(c, unix.VLNEXT):
		l.literal = true
		if l.local(unix.ECHO) && l.local(unix.ECHOCTL) {
			l.process('^')
			l.process('\b')
		}
	case extended && l.local(unix.ECHO) && l.is(c, unix.VREPRINT):
		l.reprint(c)
	case c == '\n':
		if l.local(unix.ECHO | unix.ECHONL) {
			l.process('\n')
		}
		l.end(c)
	case l.is(c, unix.VEOF):
		l.finish()
	case l.is(c, unix.VEOL), extended && l.is(c, unix.VEOL2):
		l.echo(c)
		l.end(c)
	default:
		l.add(c)
	}
}

// add puts an ordinary character into the line. What does not fit is lost.
func (l *line) add(c byte) {
	if !l.local(unix.ICANON) {
		l.echo(c)
		l.push([]byte{c})
		return
	}
	if l.full() {
		if l.in(unix.IMAXBEL) {
			l.process('\a')
		}
		return
	}
	l.echo(c)
	l.edit = append(l.edit, c)
}

// end ends the line with c, finish without a character.
func (l *line) end(c byte) {
	l.edit = append(l.edit, c)
	l.finish()
}

func (l *line) finish() {
	l.input = append(l.input, l.edit)
	l.edit = nil
}

// push adds characters that can be read at once.
func (l *line) push(b []byte) {
	if n := len(l.input); n > 0 && len(l.input[n-1]) > 0 && !l.local(unix.ICANON) {
		l.input[n-1] = append(l.input[n-1], b...)
		return
	}
	l.input = append(l.input, bytes.Clone(b))
}

// echo shows a typed character.
func (l *line) echo(c byte) {
	if !l.local(unix.ECHO) {
		return
	}
	if len(l.edit) == 0 {
		l.start = l.column
	}
	l.show(c)
}

// show shows a character so that it can be seen: ^X for one of control.
func (l *line) show(c byte) {
	if l.local(unix.ECHOCTL) && isControl(c) && c != '\t' {
		l.output = append(l.output, '^', c^0x40)
		l.column += 2
		return
	}
	l.process(c)
}

func isControl(c byte) bool { return c < 32 || c == 127 }

// continues tells whether c is within a character of several bytes.
func (l *line) continues(c byte) bool { return l.in(unix.IUTF8) && !utf8.RuneStart(c) }

// eraseKind is what an eraser takes.
type eraseKind uint8

const (
	eraseOne eraseKind = iota
	eraseWord
	eraseAll
)

// erase takes characters off the end of the line: eraser of drivers/tty/n_tty.c.
func (l *line) erase(kind eraseKind) {
	letters := false
	for len(l.edit) > 0 {
		last := len(l.edit) - 1
		for last > 0 && l.continues(l.edit[last]) {
			last--
		}
		c := l.edit[last]
		if l.continues(c) {
			return
		}
		if kind == eraseWord {
			if !isWord(c) && letters {
				return
			}
			letters = letters || isWord(c)
		}
		l.edit = l.edit[:last]
		l.unshow(c, kind)
		if kind == eraseOne {
			return
		}
	}
}

// unshow takes a character off the screen.
func (l *line) unshow(c byte, kind eraseKind) {
	switch {
	case !l.local(unix.ECHO):
	case kind == eraseOne && !l.local(unix.ECHOE):
		l.show(l.CC[unix.VERASE])
	case c == '\t':
		for range 8 - l.columnsBefore()%8 {
			l.process('\b')
		}
	case isControl(c) && !l.local(unix.ECHOCTL):
	case isControl(c):
		l.rubOut()
		l.rubOut()
	default:
		l.rubOut()
	}
}

func (l *line) rubOut() {
	for _, c := range "\b \b" {
		l.process(byte(c))
	}
}

// columnsBefore is how far the end of the line is from a tab stop: from the
// last tab, or from where the line starts.
func (l *line) columnsBefore() (n int) {
	for i := len(l.edit) - 1; i >= 0; i-- {
		switch c := l.edit[i]; {
		case c == '\t':
			return n
		case isControl(c):
			if l.local(unix.ECHOCTL) {
				n += 2
			}
		case !l.continues(c):
			n++
		}
	}
	return n + l.start
}

// isWord is the kernel's isalnum, which takes bytes for Latin-1, and "_".
func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0xc0 && c != 0xd7 && c != 0xf7
}

// kill is VKILL: the whole line goes.
func (l *line) kill() {
	const visual = unix.ECHOK | unix.ECHOKE | unix.ECHOE
	switch {
	case len(l.edit) == 0:
	case !l.local(unix.ECHO):
		l.edit = nil
	case l.Lflag&visual != visual:
		l.edit = nil
		l.show(l.CC[unix.VKILL])
		if l.local(unix.ECHOK) {
			l.process('\n')
		}
	default:
		l.erase(eraseAll)
	}
}

// reprint is VREPRINT: the line is shown again.
func (l *line) reprint(c byte) {
	l.show(c)
	l.process('\n')
	for _, e := range l.edit {
		l.show(e)
	}
}

// written takes output as far as there is room for it.
func (l *line) written(p []byte) (n int) {
	for _, c := range p {
		if l.stopped || len(l.output) >= outputSize {
			break
		}
		l.process(c)
		n++
	}
	return n
}

// process outputs a character as OPOST and its kind say: do_output_char. The
// column is known only of what is processed.
func (l *line) process(c byte) {
	if !l.out(unix.OPOST) {
		l.output = append(l.output, c)
		return
	}
	switch c {
	case '\n':
		if l.out(unix.ONLRET | unix.ONLCR) {
			l.column = 0
		}
		if l.out(unix.ONLCR) {
			l.output = append(l.output, '\r')
		}
		l.start = l.column
	case '\r':
		if l.out(unix.ONOCR) && l.column == 0 {
			return
		}
		if l.out(unix.OCRNL) {
			c = '\n'
		}
		if c == '\r' || l.out(unix.ONLRET) {
			l.column, l.start = 0, 0
		}
	case '\t':
		spaces := 8 - l.column%8
		l.column += spaces
		if l.Oflag&unix.TABDLY == unix.XTABS {
			l.output = append(l.output, "        "[:spaces]...)
			return
		}
	case '\b':
		l.column = max(0, l.column-1)
	default:
		c = l.printed(c)
	}
	l.output = append(l.output, c)
}

// printed is an ordinary character.
func (l *line) printed(c byte) byte {
	if isControl(c) {
		return c
	}
	if l.out(unix.OLCUC) && c >= 'a' && c <= 'z' {
		c -= 'a' - 'A'
	}
	if !l.continues(c) {
		l.column++
	}
	return c
}

// flushInput forgets what was typed and not read.
func (l *line) flushInput() {
	l.edit, l.input = nil, nil
	l.packet.note(unix.TIOCPKT_FLUSHREAD, 0)
}

// set changes the settings. When canonical mode ends, the line that was begun
// can be read.
func (l *line) set(t Termios) {
	before, was := l.Termios, l.local(unix.ICANON)
	l.Termios = t
	l.noteFlow(before)
	switch is := l.local(unix.ICANON); {
	case was && !is:
		all := append(bytes.Join(l.input, nil), l.edit...)
		l.input, l.edit = nil, nil
		if len(all) > 0 {
			l.push(all)
		}
	case !was && is:
		l.literal = false
	}
	if !l.in(unix.IXON) {
		l.stop(false)
	}
}

// enough tells whether there is input for a read that waits for n bytes, or for
// VMIN if that is less.
func (l *line) enough(n int) bool {
	if l.local(unix.ICANON) {
		return len(l.input) > 0
	}
	return l.held() >= max(1, min(int(l.CC[unix.VMIN]), n))
}

// read takes what a read of len(p) bytes gets: a line at most in canonical
// mode.
func (l *line) read(p []byte) (n int) {
	for n < len(p) && len(l.input) > 0 {
		k := copy(p[n:], l.input[0])
		n += k
		if l.input[0] = l.input[0][k:]; len(l.input[0]) == 0 {
			l.input = l.input[1:]
		}
		if l.local(unix.ICANON) {
			break
		}
	}
	return n
}
