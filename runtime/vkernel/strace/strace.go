// Package strace writes system calls as strace(1) does, from the argument
// formats that the system call table states. It knows the binary formats it
// prints and nothing of what the calls do.
package strace

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Memory is the guest's memory, as the machine gives it.
type Memory interface {
	CopyIn(addr uint64, dst []byte) error
	CString(addr uint64, max int) (string, error)
}

// Format is a parsed signature: how to print the arguments and the result.
type Format struct {
	args   []printer
	result printer
	output bool // some argument is known only after the call
}

// Parse reads a signature: names of kinds separated by blanks, then optionally
// "=" and the kind of the result. An unknown kind panics: signatures are
// written in our own table.
func Parse(signature string) Format {
	args, result, _ := strings.Cut(signature, "=")
	f := Format{result: decimal}
	for _, name := range strings.Fields(args) {
		f.args = append(f.args, kind(name))
		f.output = f.output || outputs[name]
	}
	if name := strings.TrimSpace(result); name != "" {
		f.result = kind(name)
	}
	return f
}

func kind(name string) printer {
	p, ok := kinds()[name]
	if !ok {
		panic("BUG: strace: no kind " + name)
	}
	return p
}

// Call is one system call to be printed.
type Call struct {
	Name   string
	Format Format
	Args   [6]uint64
	Mem    Memory

	Ret  uint64
	Err  unix.Errno
	Done bool // Ret and Err are known
}

// Entry is the line's first half: name and arguments.
func (c *Call) Entry() string {
	parts := make([]string, len(c.Format.args))
	for i, p := range c.Format.args {
		parts[i] = p(c, i, c.Args[i])
	}
	return c.Name + "(" + strings.Join(parts, ", ") + ")"
}

// column is where strace puts the equals sign.
const column = 39

// Line is the whole line, without a newline.
func (c *Call) Line() string {
	return fmt.Sprintf("%-*s = %s", column, c.Entry(), c.Result())
}

// Result is what comes after the equals sign.
func (c *Call) Result() string {
	switch {
	case !c.Done:
		return "?"
	case c.Err == 0:
		return c.Format.result(c, -1, c.Ret)
	case unix.ErrnoName(c.Err) == "":
		return fmt.Sprintf("-1 (errno %d)", int(c.Err))
	}
	text := c.Err.Error()
	return fmt.Sprintf("-1 %s (%s%s)", unix.ErrnoName(c.Err), strings.ToUpper(text[:1]), text[1:])
}

// Signal is the line for a signal that is delivered.
func Signal(sig int, info string) string {
	return fmt.Sprintf("--- %s {%s} ---", SignalName(sig), info)
}

// SignalName is SIGINT and the like, or the number.
func SignalName(sig int) string {
	if name := unix.SignalName(unix.Signal(sig)); name != "" {
		return name
	}
	if sig >= 32 && sig <= 64 {
		if sig == 32 || sig == 33 {
			return fmt.Sprintf("SIGRT_%d", sig-32)
		}
		return fmt.Sprintf("SIGRT_%d", sig-32)
	}
	return fmt.Sprint(sig)
}
