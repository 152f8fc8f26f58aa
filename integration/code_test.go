package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// codeImage is an image of testdata/code: enter, which tries to run what the
// image does not list, and dyn, which opens libraries.
var codeImage = sync.OnceValues(func() (img compiledImage, err error) {
	base, err := scratch()
	if err != nil {
		return img, err
	}
	img = compiledImage{rootfs: filepath.Join(base, "code-rootfs"), ref: "oci:" + filepath.Join(base, "code") + ":latest"}
	for _, dir := range []string{img.rootfs, outside(img), filepath.Join(img.rootfs, "tmp")} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return img, err
		}
	}
	for _, args := range [][]string{
		{"-O1", "-w", "-static-pie", "-fPIE", "-pthread", "-o", img.rootfs + "/enter", "testdata/code/enter.c"},
		{"-O1", "-w", "-static", "-no-pie", "-pthread", "-o", img.rootfs + "/fixed", "testdata/code/enter.c"},
		{"-O1", "-o", img.rootfs + "/dyn", "testdata/code/dyn.c"},
		{"-O1", "-w", "-fno-asynchronous-unwind-tables", "-o", img.rootfs + "/hidden", "testdata/code/hidden.c"},
		{"-shared", "-fPIC", "-DANSWER=1", "-o", img.rootfs + "/libgood.so", "testdata/code/lib.c"},
		{"-shared", "-fPIC", "-DANSWER=3", "-z", "execstack", "-o", img.rootfs + "/libstack.so", "testdata/code/lib.c"},
		{"-shared", "-fPIC", "-DANSWER=2", "-o", outside(img) + "/libother.so", "testdata/code/lib.c"},
		{"-O1", "-static", "-o", outside(img) + "/other", "testdata/code/other.c"},
		{"-O1", "-o", outside(img) + "/otherdyn", "testdata/code/other.c"},
	} {
		if msg, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
			return img, fmt.Errorf("gcc %v: %w: %s", args, err, msg)
		}
	}
	for name, mode := range map[string]os.FileMode{"listed": 0o755, "notexecutable": 0o644} {
		if err := os.WriteFile(filepath.Join(img.rootfs, name), []byte(scriptOf(name)), mode); err != nil {
			return img, err
		}
	}
	if err := img.addLibraries(img.rootfs + "/dyn"); err != nil {
		return img, err
	}
	return img, convert("dir:"+img.rootfs, img.ref)
})

// TestOnDemand: code that discovery can't find is recompiled when it is called,
// as it is in the listed file, and not with --strict.
func TestOnDemand(t *testing.T) {
	img := need(t, codeImage)
	want := capture(t, exec.Command(filepath.Join(img.rootfs, "hidden")))
	if want.status != 0 {
		t.Fatalf("natively: %+v", want)
	}
	run := func(args ...string) outcome {
		return capture(t, exec.Command(megabin(), slices.Concat([]string{"run"}, args, []string{img.ref, "/hidden"})...))
	}
	if got := run(); got.status != 0 || !bytes.Equal(got.stdout, want.stdout) {
		t.Errorf("converted %+v, natively %+v", got, want)
	}
	if got := run("--strict"); got.status != 128+11 {
		t.Errorf("with --strict: %+v, want SIGSEGV", got)
	}
	stats := run("--stats").stderr
	if !regexp.MustCompile(`(?m)^recompiled late +[1-9]`).Match(stats) {
		t.Errorf("the counters say\n%s", stats)
	}
}

// scriptOf is a script that enter runs, with a comment of its own.
func scriptOf(name string) string { return "#!/enter nothing\n# " + name + "\n" }

// outside is a directory of the host with what the image does not list.
func outside(img compiledImage) string { return img.rootfs + "-outside" }

// decision is a line of the audit log.
type decision struct {
	Time           time.Time
	PID            int
	Call, Path     string
	Hash, Decision string
	Reason         string
}

// audited runs the image with an audit log and gives what it says. Each run has
// a copy of outside at /outside.
func audited(t *testing.T, img compiledImage, flags []string, args ...string) (outcome, []decision) {
	t.Helper()
	log, out := filepath.Join(t.TempDir(), "audit"), t.TempDir()
	if err := os.CopyFS(out, os.DirFS(outside(img))); err != nil {
		t.Fatal(err)
	}
	all := append([]string{"run", "--audit", log, "-v", out + ":/outside", "-e", "OUTSIDE=/outside", "-e", "WORK=/tmp", "-e", "ROOT="}, flags...)
	got := capture(t, exec.Command(megabin(), append(append(all, img.ref), args...)...))
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	return got, decisions(t, data)
}

// decisions reads an audit log, whose form it checks.
func decisions(t *testing.T, data []byte) (list []decision) {
	t.Helper()
	for line := range bytes.Lines(data) {
		var d decision
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&d); err != nil {
			t.Fatalf("audit log: %q: %v", line, err)
		}
		if time.Since(d.Time) > time.Hour || d.Time.Location() != time.UTC || d.PID < 1 || d.Call == "" || (d.Decision == "allowed") != (d.Reason == "") {
			t.Errorf("audit log: %s", line)
		}
		list = append(list, d)
	}
	return list
}

// denied lists the decisions that are not "allowed", without what differs from
// run to run.
func denied(list []decision) (lines []string) {
	for _, d := range list {
		if d.Decision != "allowed" {
			lines = append(lines, strings.TrimSpace(d.Decision+" "+d.Call+" "+d.Path))
		}
	}
	return lines
}

const noCode = "mmap: EACCES\n"

// entries are the ways in. natively shows that there is one: it is in what the
// case prints on the machine itself.
var entries = []struct {
	name     string
	natively string
	stdout   string // all of it
	denied   []string
}{
	{"anonymous_mmap", "called: exit 42", noCode, []string{"refused mmap"}},
	{"anonymous_shared", "called: exit 42", noCode, []string{"refused mmap /dev/zero (deleted)"}},
	{"anonymous_mprotect", "called: exit 42", "writable: ok\nmprotect: EACCES\n", []string{"refused mprotect"}},
	{"pkey", "called: exit 42", "writable: ok\npkey_mprotect: EACCES\n", []string{"refused mprotect"}},
	{"stack", "called: exit 42", "mprotect: EACCES\n", []string{"refused mprotect"}},
	{"heap", "called: exit 42", "mprotect: EACCES\n", []string{"refused mprotect"}},
	{"file_mmap", "called: exit 42", "open: ok\nwrite: ok\n" + noCode, []string{"refused mmap /tmp/code"}},
	{"file_mprotect", "called: exit 42", "open: ok\nwrite: ok\nmmap: ok\nmprotect: EACCES\n", []string{"refused mprotect /tmp/code"}},
	{"memfd_mmap", "called: exit 42", "memfd_create: ok\nwrite: ok\n" + noCode, []string{"refused mmap /memfd:code (deleted)"}},
	{"memfd_twice", "called: exit 42", "memfd_create: ok\nftruncate: ok\nmmap: ok\n" + noCode, []string{"refused mmap /memfd:code (deleted)"}},
	{"memfd_execveat", "other ran", "memfd_create: ok\nexecveat: EACCES\n", []string{"refused execve /memfd:code (deleted)"}},
	{"memfd_procfd", "other ran", "memfd_create: ok\nexecve: EACCES\n", []string{"refused execve /memfd:code (deleted)"}},
	{"unlisted", "other ran", "execve: EACCES\n", []string{"refused execve /outside/other"}},
	{"written", "run: exit 0", "copy: ok\nnothing\nrun: exit 0\nopen: ok\nrun: exit 113\n", []string{"refused execve /tmp/copy"}},
	{"renamed", "other ran", "copy: ok\nnothing\nrun: exit 0\ncopy: ok\nrename: ok\nrun: exit 113\n", []string{"refused execve /tmp/name"}},
	{"linked", "other ran", "copy: ok\nlink: ok\nnothing\nrun: exit 0\ncopy: ok\nrun: exit 113\n", []string{"refused execve /tmp/two"}},
	{"symlinked", "other ran", "symlink: ok\nrun: exit 113\n", []string{"refused execve /outside/other"}},
	{"replaced_exe", "other ran", "copy: ok\ncopy: ok\nrename: ok\nnothing\nrun: exit 0\nrun: exit 113\nrun: exit 0\n", []string{"refused execve /tmp/exe"}},
	{"patched", "called: exit 42", "mmap: ok\nmprotect: EACCES\n", []string{"refused mprotect /enter"}},
	{"shared_writable", "called: exit 42", "copy: ok\nopen: ok\n" + noCode, []string{"refused mmap /tmp/shared"}},
	{"loader", "other ran", "", []string{"refused mmap /outside/otherdyn"}},
	{"dlopened", "answer: 2", "dlopen: /outside/libother.so: failed to map segment from shared object\n", []string{"refused mmap /outside/libother.so"}},
	{"preloaded", "answer: 1", "answer: 1\n", []string{"refused mmap /outside/libother.so"}},
	{"executable_stack", "answer: 3", "dlopen: /libstack.so: cannot enable executable stack as shared object requires: Permission denied\n", []string{"refused mprotect"}},
	{"interpreter", "other ran", "chmod: ok\nrun: exit 113\n", []string{"refused execve /outside/other"}},
	{"data", "called: SEGV", "called: SEGV\n", nil},
	{"sysv_shm", "called: exit 42", "shmget: ok\nshmat: ok\nshmat: EACCES\n", []string{"refused shmat /SYSV00000000 (deleted)"}},
	{"device", "mmap: ok", "open: ok\n" + noCode, []string{"refused mmap /dev/zero"}},
	{"huge", "mmap: ok", "open: ok\nftruncate: ok\n" + noCode, []string{"refused mmap /tmp/huge"}},
	{"listed_mprotect", "same: 1", "mmap: ok\nmprotect: ok\nsame: 1\n", nil},
	{"moved", "called: exit 42", "mmap: ok\ncalled: exit 42\n", nil},
	{"elsewhere", "called: exit 42", "mmap: EACCES\nrun: exit 0\n", []string{"refused mmap /fixed"}},
	{"good", "answer: 1", "answer: 1\n", nil},
}

// TestEntries tries each way to get code to run that the image does not list:
// natively it does, converted it is refused with one line in the audit log.
func TestEntries(t *testing.T) {
	img := need(t, codeImage)
	for _, tt := range entries {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			native := exec.Command(filepath.Join(img.rootfs, "enter"), tt.name)
			native.Env = []string{"OUTSIDE=" + outside(img), "WORK=" + t.TempDir(), "ROOT=" + img.rootfs}
			if want := capture(t, native); !strings.Contains(string(want.stdout), tt.natively) {
				t.Errorf("natively: %q is not in %q", tt.natively, want.stdout)
			}
			got, log := audited(t, img, nil, "/enter", tt.name)
			if string(got.stdout) != tt.stdout {
				t.Errorf("stdout %q, want %q; stderr %q", got.stdout, tt.stdout, got.stderr)
			}
			if lines := denied(log); !slices.Equal(lines, tt.denied) {
				t.Errorf("audit log %q, want %q", lines, tt.denied)
			}
			if n := strings.Count(string(got.stderr), "megabin: refused to execute"); n != len(tt.denied) {
				t.Errorf("%d lines for the person: %q", n, got.stderr)
			}
		})
	}
}

// TestAuditLog has what a run that is all right leaves: each file's hash is
// what `megabin hash` says of the file.
func TestAuditLog(t *testing.T) {
	img := need(t, codeImage)
	got, log := audited(t, img, nil, "/dyn", "/libgood.so")
	if got.status != 0 || string(got.stdout) != "answer: 1\n" {
		t.Fatalf("status %d, %q, %q", got.status, got.stdout, got.stderr)
	}
	var lines []string
	for _, d := range log {
		lines = append(lines, d.Decision+" "+d.Call+" "+d.Path)
		if len(d.Hash) != 64 || d.PID != 1 {
			t.Errorf("%+v", d)
		}
	}
	want := []string{
		"allowed execve /dyn", "allowed execve /usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
		"allowed mmap /lib/x86_64-linux-gnu/libc.so.6", "allowed mmap /libgood.so",
	}
	for i, line := range lines {
		lines[i] = strings.Replace(line, " /lib64/", " /usr/lib/x86_64-linux-gnu/", 1)
	}
	if !slices.Equal(lines, want) {
		t.Errorf("%q\nwant %q", lines, want)
	}
	// What is refused is named by the hash of the file itself.
	_, log = audited(t, img, nil, "/enter", "unlisted")
	if h := hashOf(t, filepath.Join(outside(img), "other")); log[len(log)-1].Hash != h {
		t.Errorf("%+v, the hash is %s", log[len(log)-1], h)
	}
}

// TestAuditToStdout has the log on standard output and standard error.
func TestAuditToStdout(t *testing.T) {
	img := need(t, codeImage)
	for _, name := range []string{"-", "/dev/stdout"} {
		got := capture(t, exec.Command(megabin(), "run", "--audit", name, img.ref, "/enter", "anonymous_mmap"))
		var lines []byte
		for line := range bytes.Lines(got.stdout) {
			if line[0] == '{' {
				lines = append(lines, line...)
			}
		}
		if log := denied(decisions(t, lines)); !slices.Equal(log, []string{"refused mmap"}) {
			t.Errorf("%s: %q", name, got.stdout)
		}
	}
}

// TestRaced changes a file while it is mapped for execution: what was granted
// has the listed bytes, at once and later.
func TestRaced(t *testing.T) {
	img := need(t, codeImage)
	for _, name := range []string{"raced", "raced_outside"} {
		got, log := audited(t, img, nil, "/enter", name)
		if string(got.stdout) != "copy: ok\ntried 300, bad none\n" {
			t.Errorf("%s: %q, %q", name, got.stdout, got.stderr)
		}
		verdicts := map[string]int{}
		for _, d := range log {
			if d.Call == "mmap" {
				verdicts[d.Decision]++
			}
		}
		if verdicts["allowed"]+verdicts["refused"] != 300 {
			t.Errorf("%s: %v", name, verdicts)
		}
	}
}

// TestBindMounted puts what is not listed in the place of what is.
func TestBindMounted(t *testing.T) {
	img := need(t, codeImage)
	for _, tt := range []struct {
		file, at string
		args     []string
		denied   string
	}{
		{"other", "/enter", []string{"/enter", "nothing"}, "refused execve /enter"},
		{"libother.so", "/libgood.so", []string{"/dyn", "/libgood.so"}, "refused mmap /libgood.so"},
		{"other", "/lib64/ld-linux-x86-64.so.2", []string{"/dyn", "/libgood.so"}, "refused execve"},
	} {
		got, log := audited(t, img, []string{"-v", filepath.Join(outside(img), tt.file) + ":" + tt.at}, tt.args...)
		if lines := denied(log); len(lines) != 1 || !strings.HasPrefix(lines[0], tt.denied) {
			t.Errorf("%s: audit log %q, want %q", tt.at, lines, tt.denied)
		}
		if got.status == 0 || strings.Contains(string(got.stdout), "other ran") || strings.Contains(string(got.stdout), "answer") {
			t.Errorf("%s: status %d, %q", tt.at, got.status, got.stdout)
		}
	}
}

// TestPermissive has --policy permissive: memory is granted, but what is in it
// can't run, and execve is as strict as ever.
func TestPermissive(t *testing.T) {
	img := need(t, codeImage)
	for _, tt := range []struct {
		name   string
		stdout string
		status int
		denied []string
	}{
		{"anonymous_mmap", "mmap: ok\ncalled: SEGV\n", 0, []string{"reported mmap"}},
		{"anonymous_mprotect", "writable: ok\nmprotect: ok\ncalled: SEGV\n", 0, []string{"reported mprotect"}},
		{"file_mmap", "open: ok\nwrite: ok\nmmap: ok\ncalled: SEGV\n", 0, []string{"reported mmap /tmp/code"}},
		{"memfd_twice", "memfd_create: ok\nftruncate: ok\nmmap: ok\nmmap: ok\nthe same: 1\ncalled: SEGV\n", 0, []string{"reported mmap /memfd:code (deleted)"}},
		{"patched", "mmap: ok\nmprotect: ok\ncalled: SEGV\n", 0, []string{"reported mprotect /enter"}},
		{"executable_stack", "answer: 3\n", 0, []string{"reported mprotect"}},
		{"dlopened", "", 128 + 11, []string{"reported mmap /outside/libother.so"}},
		{"loader", "", 128 + 11, []string{"reported mmap /outside/otherdyn"}},
		{"unlisted", "execve: EACCES\n", 0, []string{"refused execve /outside/other"}},
		{"memfd_execveat", "memfd_create: ok\nexecveat: EACCES\n", 0, []string{"refused execve /memfd:code (deleted)"}},
		{"good", "answer: 1\n", 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, log := audited(t, img, []string{"--policy", "permissive"}, "/enter", tt.name)
			if string(got.stdout) != tt.stdout || got.status != tt.status {
				t.Errorf("status %d, stdout %q, want %d, %q; stderr %q", got.status, got.stdout, tt.status, tt.stdout, got.stderr)
			}
			if lines := denied(log); !slices.Equal(lines, tt.denied) {
				t.Errorf("audit log %q, want %q", lines, tt.denied)
			}
		})
	}
}

// TestScripts has --policy scripts=: with "listed" a script's hash counts,
// not where it is.
func TestScripts(t *testing.T) {
	img := need(t, codeImage)
	dir := t.TempDir()
	for _, name := range []string{"listed", "notexecutable", "unlisted"} {
		writeFile(t, filepath.Join(dir, name), scriptOf(name))
	}
	listed, any := []string{"--policy", "scripts=listed"}, []string{"--policy", "scripts=any"}
	for _, tt := range []struct {
		name   string
		flags  []string
		path   string
		denied string
	}{
		{"any, of the image", any, "/listed", ""},
		{"any, of the host", any, "/host/unlisted", ""},
		{"by default, of the host", nil, "/host/unlisted", ""},
		{"listed, of the image", listed, "/listed", ""},
		{"listed, a copy", listed, "/host/listed", ""},
		{"listed, of the host", listed, "/host/unlisted", "refused execve /host/unlisted"},
		{"listed, one that the image has as data", listed, "/host/notexecutable", "refused execve /host/notexecutable"},
		{"listed, in the place of one of the image", append([]string{"-v", dir + "/unlisted:/listed"}, listed...), "/listed", "refused execve /listed"},
		{"listed and permissive", []string{"--policy", "scripts=listed,permissive"}, "/host/unlisted", "refused execve /host/unlisted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, log := audited(t, img, append([]string{"-v", dir + ":/host"}, tt.flags...), tt.path)
			want, status := "nothing\n", 0
			if tt.denied != "" {
				want, status = "", statusNotExecutable
			}
			if string(got.stdout) != want || got.status != status {
				t.Errorf("status %d, stdout %q, stderr %q", got.status, got.stdout, got.stderr)
			}
			if lines := strings.Join(denied(log), "\n"); lines != tt.denied {
				t.Errorf("audit log %q, want %q", lines, tt.denied)
			}
		})
	}
}
