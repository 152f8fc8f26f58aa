package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryCoreutilsProgramHasACase compares Debian's own list of the package's
// files with the cases.
func TestEveryCoreutilsProgramHasACase(t *testing.T) {
	list, err := os.ReadFile(filepath.Join(need(t, source).Rootfs, "var/lib/dpkg/info/coreutils.list"))
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	count := 0
	for _, c := range readCases(t) {
		if !strings.HasPrefix(c.File, "coreutils") {
			continue
		}
		count++
		for _, s := range c.Steps {
			used[filepath.Base(s.Args[0])] = true
		}
	}
	for path := range strings.FieldsSeq(string(list)) {
		dir, name := filepath.Split(path)
		if strings.HasSuffix(dir, "bin/") && !used[name] {
			t.Errorf("no case runs %s", path)
		}
	}
	if count < 250 {
		t.Errorf("%d cases of coreutils, want at least 250", count)
	}
}
