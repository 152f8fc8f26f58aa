// Package known reads lists of differences between converted and native
// programs that are known and not mended yet. It knows nothing about what is
// compared.
package known

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// List maps the ID of what is allowed to differ to the cause.
type List map[string]string

// Read reads a list: a cause as comment lines, then the IDs it explains, one
// per line, up to an empty line. Errors name file and line.
func Read(path string) (List, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	l, cause := List{}, ""
	sc := bufio.NewScanner(f)
	for n := 1; sc.Scan(); n++ {
		line := sc.Text()
		switch {
		case line == "":
			cause = ""
		case strings.HasPrefix(line, "#"):
			cause = strings.TrimSpace(cause + " " + strings.TrimLeft(line, "# "))
		case cause == "":
			return nil, fmt.Errorf("%s:%d: %q has no cause above it", path, n, line)
		default:
			l[line] = cause
		}
	}
	return l, sc.Err()
}
