package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Exit statuses of megabin itself.
const (
	statusError         = 125
	statusNotExecutable = 126
	statusNotFound      = 127
)

// TestRefused starts what must not run, and what must although it comes from
// outside the image.
func TestRefused(t *testing.T) {
	rootfs := need(t, source).Rootfs
	ref := need(t, converted)
	k := loadKnown(t)
	dir := t.TempDir()
	original := filepath.Join(rootfs, "bin/echo")
	tampered := copyChanged(t, filepath.Join(dir, "tampered"), original, func(b []byte) { b[len(b)/2] ^= 1 })
	libc := filepath.Join(rootfs, "lib/x86_64-linux-gnu/libc.so.6")
	badLibc := copyChanged(t, filepath.Join(dir, "libc.so.6"), libc, func(b []byte) { b[len(b)/2] ^= 1 })
	script := filepath.Join(dir, "script")
	writeFile(t, script, "#!/bin/dash\necho script $1\n")
	badScript := filepath.Join(dir, "badscript")
	writeFile(t, badScript, "#!/no/such/interpreter\n")

	for _, tt := range []struct {
		name   string
		volume string // host path:guest path
		args   []string
		status int
		stdout string
		stderr []string // each must be there
	}{
		{"a tampered program", tampered + ":/x", []string{"/x", "hi"}, statusNotExecutable, "", []string{"/x", hashOf(t, tampered)}},
		{"the original", original + ":/x", []string{"/x", "hi"}, 0, "hi\n", nil},
		{"a tampered library", badLibc + ":/lib/x86_64-linux-gnu/libc.so.6", []string{"echo", "hi"}, statusNotFound, "", []string{"libc.so.6", hashOf(t, badLibc)}},
		{"a script", script + ":/x", []string{"/x", "arg"}, 0, "script arg\n", nil},
		{"a script without its interpreter", badScript + ":/x", []string{"/x"}, statusNotFound, "", []string{"/x"}},
		{"no such file", "", []string{"/no/such/file"}, statusNotFound, "", []string{"/no/such/file"}},
		{"not in PATH", "", []string{"nosuchprogram"}, statusNotFound, "", []string{"nosuchprogram"}},
		{"not executable", "", []string{"/etc/passwd"}, statusNotExecutable, "", []string{"/etc/passwd"}},
		{"a directory", "", []string{"/etc"}, statusNotExecutable, "", []string{"/etc"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			args := []string{"run"}
			if tt.volume != "" {
				args = append(args, "-v", tt.volume+":ro")
			}
			got := capture(t, exec.Command(megabin(), append(append(args, ref), tt.args...)...))
			var diffs []string
			if got.status != tt.status || string(got.stdout) != tt.stdout {
				diffs = append(diffs, fmt.Sprintf("status %d, stdout %q; want %d, %q; stderr %q", got.status, got.stdout, tt.status, tt.stdout, got.stderr))
			}
			for _, want := range tt.stderr {
				if !strings.Contains(string(got.stderr), want) {
					diffs = append(diffs, fmt.Sprintf("stderr %q does not mention %q", got.stderr, want))
				}
			}
			k.judge(t, "refused: "+tt.name, diffs)
		})
	}
}

// copyChanged copies a program with a change and returns the copy's path.
func copyChanged(t *testing.T, to, from string, change func([]byte)) string {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	change(data)
	writeFile(t, to, string(data))
	return to
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

// hashOf asks megabin itself; the hash's own tests compare it with b3sum's vectors.
func hashOf(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.Command(megabin(), "hash", path).Output()
	if err != nil {
		t.Fatalf("megabin hash: %v", err)
	}
	hash, _, _ := strings.Cut(string(out), " ")
	return hash
}
