package loader

import (
	"bytes"
	"strings"

	"golang.org/x/sys/unix"
)

// HeaderBytes is how much of a file execve looks at first
// (BINPRM_BUF_SIZE).
const HeaderBytes = 256

// Script parses the "#!" line at the start of a file, of which head holds the
// first HeaderBytes at most, as fs/binfmt_script.c does. ok is false if it is
// no script; a script with a broken line is ENOEXEC.
func Script(head []byte) (interp, arg string, ok bool, err error) {
	if !bytes.HasPrefix(head, []byte("#!")) {
		return "", "", false, nil
	}
	head = head[2:]
	line, _, complete := bytes.Cut(head, []byte("\n"))
	text := strings.Trim(string(line), " \t")
	if i := strings.IndexByte(text, 0); i >= 0 {
		text, complete = text[:i], true
	}
	interp, arg, more := cutBlank(text)
	if interp == "" {
		return "", "", true, unix.ENOEXEC
	}
	// A line that was cut may only lose its argument, never part of the path.
	if !complete && len(head) >= HeaderBytes-2 && !more {
		return "", "", true, unix.ENOEXEC
	}
	return interp, arg, true, nil
}

func cutBlank(s string) (head, tail string, found bool) {
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, "", false
	}
	return s[:i], strings.TrimLeft(s[i:], " \t"), true
}
