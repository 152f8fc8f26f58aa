package cases

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Command is what a step runs.
type Command struct {
	Env       []string // NAME=VALUE
	Args      []string // at least one
	Stdin     string   // literal input
	StdinFile string   // path as the command sees it; wins over Stdin
}

var assignment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)

// ParseCommand reads a command line; see the package's documentation.
func ParseCommand(line string) (Command, error) {
	words, err := split(line)
	if err != nil {
		return Command{}, err
	}
	var c Command
	for len(words) > 0 && assignment.MatchString(words[0].text) {
		c.Env = append(c.Env, words[0].text)
		words = words[1:]
	}
	if n := len(words); n >= 2 && !words[n-2].quoted {
		switch words[n-2].text {
		case "<":
			c.StdinFile, words = words[n-1].text, words[:n-2]
		case "<<<":
			c.Stdin, words = words[n-1].text+"\n", words[:n-2]
		}
	}
	for _, w := range words {
		if !w.quoted && strings.ContainsAny(w.text, "|&;<>`") {
			return Command{}, fmt.Errorf("%q: not a simple command", w.text)
		}
		c.Args = append(c.Args, w.text)
	}
	if len(c.Args) == 0 {
		return Command{}, errors.New("no command")
	}
	return c, nil
}

type word struct {
	text   string
	quoted bool // some part of it was
}

// split cuts a line into words and removes the quotes.
func split(line string) ([]word, error) {
	var words []word
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			return words, nil
		}
		w, rest, err := nextWord(line)
		if err != nil {
			return nil, err
		}
		words, line = append(words, w), rest
	}
}

func nextWord(s string) (w word, rest string, err error) {
	var b strings.Builder
	for s != "" && s[0] != ' ' && s[0] != '\t' {
		n, text, quoted, err := piece(s)
		if err != nil {
			return w, "", err
		}
		b.WriteString(text)
		w.quoted = w.quoted || quoted
		s = s[n:]
	}
	w.text = b.String()
	return w, s, nil
}

// piece reads one quoted run or one byte: its length in s and what it means.
func piece(s string) (n int, text string, quoted bool, err error) {
	switch {
	case strings.HasPrefix(s, "$'"):
		return ansiC(s)
	case s[0] == '\'':
		text, _, ok := strings.Cut(s[1:], "'")
		if !ok {
			return 0, "", false, fmt.Errorf("unterminated ' in %q", s)
		}
		return len(text) + 2, text, true, nil
	case s[0] == '"':
		n, text, err = doubleQuoted(s)
		return n, text, true, err
	case s[0] == '\\' && len(s) > 1:
		return 2, s[1:2], true, nil
	}
	return 1, s[:1], false, nil
}

func doubleQuoted(s string) (n int, text string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return i + 1, b.String(), nil
		case s[i] == '\\' && i+1 < len(s) && strings.IndexByte(`"\$`, s[i+1]) >= 0:
			i++
		case s[i] == '$' || s[i] == '`':
			return 0, "", fmt.Errorf("expansion in %q: use '' or a backslash", s)
		}
		b.WriteByte(s[i])
	}
	return 0, "", fmt.Errorf("unterminated \" in %q", s)
}

// ansiC reads $'…' with Go's escapes, which are those of C.
func ansiC(s string) (n int, text string, quoted bool, err error) {
	rest := s[2:]
	var b strings.Builder
	for rest != "" && rest[0] != '\'' {
		r, multibyte, tail, err := strconv.UnquoteChar(rest, '\'')
		if err != nil {
			return 0, "", false, fmt.Errorf("bad escape in %q", rest)
		}
		if multibyte {
			b.WriteRune(r)
		} else {
			b.WriteByte(byte(r))
		}
		rest = tail
	}
	if rest == "" {
		return 0, "", false, fmt.Errorf("unterminated $' in %q", s)
	}
	return len(s) - len(rest) + 1, b.String(), true, nil
}
