package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
)

// megabin runs a command line in this process.
func megabin(t *testing.T, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errb bytes.Buffer
	status = execute(context.Background(), newRoot(), args, strings.NewReader(stdin), &out, &errb)
	return status, out.String(), errb.String()
}

func TestCommandLines(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	none := filepath.Join(t.TempDir(), "none")
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no ELF\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args           string
		status         int
		stdout, stderr string // what must be in them
	}{
		{"--help", 0, "docker-archive:FILE", ""},
		{"run --help", 0, "--entrypoint", ""},
		{"version", 0, fmt.Sprint("abi ", abi.Version), ""},
		{"version --json", 0, `"manifest":1`, ""},
		{"nonsense", statusError, "", "unknown command"},
		{"convert one", statusError, "", "no TARGET"},
		{"convert oci:" + none + " oci:" + none + "2", statusError, "", none},
		{"convert oci:" + none + " dir:" + none, statusError, "", "dir:"},
		{"run", statusError, "", "requires at least 1 arg(s)"},
		{"run --no-such-flag x", statusError, "", "unknown flag"},
		{"run oci:" + none + " ls", statusError, "", none},
		{"run --help", 0, "--policy", ""},
		{"inspect oci:" + none, statusError, "", none},
		{"check oci:" + none, statusError, "", none},
		{"hash " + none, statusError, "", none},
		{"lift " + text, statusError, "", text},
		{"pack " + text, statusError, "", "output"},
		{"pack -o " + none + " " + text, statusError, "", text},
	} {
		status, out, errs := megabin(t, "", strings.Fields(tt.args)...)
		if status != tt.status || !strings.Contains(out, tt.stdout) || !strings.Contains(errs, tt.stderr) {
			t.Errorf("megabin %s: status %d\n%s%s", tt.args, status, out, errs)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(none), "*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestHash has the hash of no bytes from BLAKE3's published test vectors.
func TestHash(t *testing.T) {
	const want = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262  -\n"
	if status, out, _ := megabin(t, "", "hash", "-"); status != 0 || out != want {
		t.Errorf("status %d, %q", status, out)
	}
}

func TestVolumes(t *testing.T) {
	dir := t.TempDir()
	m, err := parseVolume(dir + ":/a/../b:ro")
	if err != nil || m.Source != dir || m.Target != "/b" || !m.ReadOnly {
		t.Errorf("%+v, %v", m, err)
	}
	for _, bad := range []string{dir, dir + ":relative", dir + ":/b:rx", ":/b", dir + ":/a:ro:x", dir + "/none:/a"} {
		if m, err := parseVolume(bad); err == nil {
			t.Errorf("%s: %+v", bad, m)
		}
	}
}

func TestTmpfs(t *testing.T) {
	if m, err := parseTmpfs("/a/../b:ro,size=2m,mode=0700", 0); err != nil || m.Target != "/b" || !m.ReadOnly {
		t.Errorf("%+v, %v", m, err)
	}
	for _, bad := range []string{"", "a", "/a:size=", "/a:size=0", "/a:size=2x", "/a:mode=9", "/a:mode=77777", "/a:uid=3"} {
		if m, err := parseTmpfs(bad, 0); err == nil {
			t.Errorf("%s: %+v", bad, m)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]uint64{"1": 1, "12b": 12, "3K": 3 << 10, "4m": 4 << 20, "5g": 5 << 30, "10000000000": 10000000000,
		"": 0, "0": 0, "m": 0, "-1": 0, "1t": 0, "99999999999g": 0, "9223372036854775808": 0} {
		if n, err := parseSize(text); n != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
}

func TestPolicy(t *testing.T) {
	for _, tt := range []struct {
		rules string
		want  kernel.Policy
	}{
		{"enforce", kernel.Policy{}},
		{"permissive", kernel.Policy{Permissive: true}},
		{"permissive,scripts=listed", kernel.Policy{Permissive: true, ListedScripts: true}},
		{"permissive,scripts=listed,enforce,scripts=any", kernel.Policy{}},
	} {
		if p, err := parsePolicy(strings.Split(tt.rules, ",")); err != nil || p != tt.want {
			t.Errorf("%s: %+v, %v", tt.rules, p, err)
		}
	}
	for _, bad := range []string{"", "lax", "scripts=none"} {
		if _, err := parsePolicy([]string{bad}); err == nil {
			t.Errorf("%q is no rule", bad)
		}
	}
	if _, err := openAudit(filepath.Join(t.TempDir(), "none", "x")); err == nil {
		t.Error("opened an audit log in a directory that is not there")
	}
}

func TestArgv(t *testing.T) {
	config := v1.Config{Entrypoint: []string{"e"}, Cmd: []string{"c", "d"}}
	for _, tt := range []struct {
		flags runFlags
		args  []string
		want  string
	}{
		{runFlags{}, nil, "e c d"},
		{runFlags{}, []string{"x"}, "e x"},
		{runFlags{entrypointSet: true, entrypoint: "p"}, nil, "p"},
		{runFlags{entrypointSet: true, entrypoint: "p"}, []string{"x"}, "p x"},
		{runFlags{entrypointSet: true}, []string{"x"}, "x"},
	} {
		if got := strings.Join(tt.flags.argv(config, tt.args), " "); got != tt.want {
			t.Errorf("%+v %v: %q, want %q", tt.flags, tt.args, got, tt.want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("FROM_HERE", "h")
	os.Unsetenv("NOT_SET")
	flags := runFlags{env: []string{"A=2", "FROM_HERE", "NOT_SET", "B="}}
	want := []string{"PATH=/bin", "A=2", "FROM_HERE=h", "B="}
	if got := flags.environment([]string{"A=1", "PATH=/bin"}); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
