// Package cases reads the files of test cases under integration/testdata/cases.
// It knows nothing about how a case is run.
//
// A file is a sequence of paragraphs separated by empty lines. In a paragraph
//
//	# …           is a comment
//	== NAME       makes the whole paragraph one case of several steps, run
//	              one after the other in the same scratch directory
//	locale L…     runs the paragraph once with LC_ALL set to each L
//	              (at the top of the file: for all paragraphs)
//	~ s/RE/TEXT/  replaces in stdout and stderr before they are compared,
//	              for what differs from one native run to the next; RE is a
//	              Go regexp with (?m) set, any character may take the slash's place
//	$ COMMAND     is a step; without == each is a case of its own, named by itself
//
// A command is a line of shell reduced to words, quotes (single, double, $' with
// escapes, backslash), leading NAME=VALUE settings, and at the end a stdin:
// "< FILE" or "<<< WORD". There are no expansions, pipes or lists.
package cases

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
)

// Case is a list of steps in one scratch directory.
type Case struct {
	Name    string // unique in its file: the command or the == name
	File    string // base name without extension
	Line    int    // where it starts in the file
	Locale  string // LC_ALL, or empty
	Steps   []Step
	Filters []Filter
}

// ID names the case among all files, as known.txt does.
func (c Case) ID() string {
	id := c.File + ": " + c.Name
	if c.Locale != "" {
		id += " [" + c.Locale + "]"
	}
	return id
}

// Step is one command.
type Step struct {
	Command
	Line int
	Text string // as in the file
}

// Filter is a substitution on output.
type Filter struct {
	re   *regexp.Regexp
	with []byte
}

// Apply returns out with all matches replaced.
func (f Filter) Apply(out []byte) []byte { return f.re.ReplaceAll(out, f.with) }

// ReadDir reads all *.txt files of a directory.
func ReadDir(dir string) ([]Case, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, err
	}
	sort.Strings(files)
	var all []Case
	for _, f := range files {
		c, err := ReadFile(f)
		if err != nil {
			return nil, err
		}
		all = append(all, c...)
	}
	return all, nil
}

// ReadFile reads one file. Errors name file and line.
func ReadFile(path string) ([]Case, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	cs, err := Parse(strings.TrimSuffix(filepath.Base(path), ".txt"), string(data))
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	return cs, nil
}

// Parse reads the text of a file.
func Parse(name, text string) ([]Case, error) {
	p := parser{file: name, locales: []string{""}, seen: map[string]int{}}
	sc := bufio.NewScanner(strings.NewReader(text + "\n\n"))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		p.line++
		if err := p.read(sc.Text()); err != nil {
			return nil, fmt.Errorf("%d: %w", p.line, err)
		}
	}
	return p.cases, sc.Err()
}

type parser struct {
	file    string
	line    int
	locales []string // of the file
	para    paragraph
	seen    map[string]int // ID → line
	cases   []Case
}

type paragraph struct {
	name    string
	locales []string
	filters []Filter
	steps   []Step
}

func (p *parser) read(line string) error {
	mark, rest, _ := strings.Cut(line, " ")
	switch {
	case line == "":
		return p.finish()
	case mark == "#" || mark == "":
	case mark == "==":
		p.para.name = rest
	case mark == "locale":
		p.para.locales = strings.Fields(rest)
	case mark == "~":
		f, err := parseFilter(rest)
		if err != nil {
			return err
		}
		p.para.filters = append(p.para.filters, f)
	case mark == "$":
		cmd, err := ParseCommand(rest)
		if err != nil {
			return err
		}
		p.para.steps = append(p.para.steps, Step{Command: cmd, Line: p.line, Text: rest})
	default:
		return fmt.Errorf("a line starts with %q, want one of # == locale ~ $", mark)
	}
	return nil
}

// finish turns the paragraph that ended into cases.
func (p *parser) finish() error {
	para := p.para
	p.para = paragraph{}
	if len(para.steps) == 0 {
		if para.filters != nil || para.name != "" {
			return errors.New("a paragraph without commands ends here")
		}
		if para.locales != nil {
			p.locales = para.locales
		}
		return nil
	}
	if para.locales == nil {
		para.locales = p.locales
	}
	for _, loc := range para.locales {
		for _, c := range para.split() {
			c.File, c.Locale, c.Filters = p.file, loc, para.filters
			if first, dup := p.seen[c.ID()]; dup {
				return fmt.Errorf("case %q is already at line %d", c.Name, first)
			}
			p.seen[c.ID()] = c.Line
			p.cases = append(p.cases, c)
		}
	}
	return nil
}

func (para paragraph) split() []Case {
	if para.name != "" {
		return []Case{{Name: para.name, Line: para.steps[0].Line, Steps: para.steps}}
	}
	var cs []Case
	for _, s := range para.steps {
		cs = append(cs, Case{Name: s.Text, Line: s.Line, Steps: []Step{s}})
	}
	return cs
}

// parseFilter reads s/RE/TEXT/.
func parseFilter(s string) (Filter, error) {
	if len(s) < 4 || s[0] != 's' {
		return Filter{}, fmt.Errorf("filter %q: want s/RE/TEXT/", s)
	}
	parts := strings.Split(s[2:], s[1:2])
	if len(parts) != 3 || parts[2] != "" {
		return Filter{}, fmt.Errorf("filter %q: want s/RE/TEXT/", s)
	}
	re, err := regexp.Compile("(?m)" + parts[0])
	if err != nil {
		return Filter{}, fmt.Errorf("filter %q: %w", s, err)
	}
	return Filter{re: re, with: []byte(parts[1])}, nil
}
