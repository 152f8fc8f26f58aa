package images

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/layers/treediff"
)

// oddTree is a directory with the tool and files of all kinds.
func oddTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	program := read(t, theProgram(t))
	for _, d := range []string{"bin", "dev", "empty", "deep/er/and/deeper", "sticky"} {
		must(t, "mkdir", "-p", at(d))
	}
	for name, content := range map[string]string{
		"bin/tool": program, "bin/setuid": program, "bin/capable": program, "bin/owned": program,
		"deep/er/and/deeper/tool": program, "text": "text", "name with space \xff": "bytes",
	} {
		write(t, at(name), content)
	}
	for _, err := range []error{
		os.Link(at("bin/tool"), at("deep/linked")), os.Symlink("/bin/tool", at("symlink")), os.Symlink("nowhere", at("dangling")),
		os.Chmod(at("bin/setuid"), 0o755|os.ModeSetuid|os.ModeSetgid), os.Chmod(at("sticky"), 0o777|os.ModeSticky),
		unix.Mkfifo(at("fifo"), 0o600), unix.Mknod(at("dev/null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))),
		os.Lchown(at("bin/owned"), 123, 4567), os.Lchown(at("symlink"), 12, 34), os.Chmod(at("bin/owned"), 0o400),
		// CAP_NET_BIND_SERVICE, permitted and effective: struct vfs_cap_data of linux/capability.h, version 2.
		unix.Setxattr(at("bin/capable"), "security.capability", []byte("\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 0),
		unix.Setxattr(at("text"), "user.note", []byte("kept"), 0),
		os.Truncate(at("text"), 1<<20),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(t, "find", dir, "-exec", "touch", "-h", "-d", "2001-02-03 04:05:06.123456789", "{}", "+")
	return dir
}

// unpackedList describes the files of an image, as tar with all attributes
// lists them.
func unpackedList(t *testing.T, name string) []string {
	t.Helper()
	dir := t.TempDir()
	copied := filepath.Join(dir, "copy")
	must(t, "skopeo", "copy", "--src-tls-verify=false", "docker://"+env.image(name), "dir:"+copied)
	var m struct{ Layers []struct{ Digest string } }
	decode(t, read(t, filepath.Join(copied, "manifest.json")), &m)
	rootfs := filepath.Join(dir, "rootfs")
	must(t, "mkdir", rootfs)
	for _, l := range m.Layers {
		must(t, "tar", "-C", rootfs, "--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf", filepath.Join(copied, strings.TrimPrefix(l.Digest, "sha256:")))
	}
	must(t, "rm", "-rf", filepath.Join(rootfs, ".megabin"))
	out := must(t, "find", rootfs, "-mindepth", "1", "-printf", "%P %y %m %U:%G %n %T@ %l %s\n")
	var lines []string
	for line := range strings.Lines(out) {
		// A directory's size and links are the file system's matter.
		if f := strings.Fields(line); len(f) > 2 && f[1] == "d" {
			line = strings.Join(f[:4], " ") + "\n"
		}
		lines = append(lines, line)
	}
	lines = append(lines, attributes(t, rootfs)...)
	slices.Sort(lines)
	return lines
}

func attributes(t *testing.T, dir string) (lines []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		list, err := treediff.Xattrs(name)
		if len(list) > 0 {
			lines = append(lines, fmt.Sprintf("%s %q\n", strings.TrimPrefix(name, dir+"/"), list))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// TestOddFiles converts an image with files of all kinds in both ways. But for
// contents, the files are the source's.
func TestOddFiles(t *testing.T) {
	layer := filepath.Join(t.TempDir(), "layer.tar")
	must(t, "tar", "-C", oddTree(t), "--format=pax", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-cf", layer, ".")
	must(t, tool("crane"), "append", "--oci-empty-base", "-f", layer, "-t", env.image("odd:raw"))
	must(t, tool("crane"), "mutate", "--set-platform", "linux/amd64", "--entrypoint", "/bin/tool", env.image("odd:raw"), "-t", env.image("odd:source"))
	mustConvert(t, env.image("odd:source"), env.image("odd:cli"))
	dir := buildContext(t, "FROM "+env.image("odd:source")+"\n", nil)
	build{dir: dir, way: syntax, output: pushed("odd:frontend")}.mustRun(t)
	want := unpackedList(t, "odd:source")
	if all := strings.Join(want, ""); !strings.Contains(all, "security.capability") || !strings.Contains(all, "user.note") {
		t.Fatalf("the source has no attributes:\n%s", all)
	}
	for _, name := range []string{"odd:cli", "odd:frontend"} {
		says(t, env.image(name), "hello\n")
		must(t, megabin(), "check", "docker://"+env.image(name))
		have := unpackedList(t, name)
		if name == "odd:frontend" {
			want, have = asBuildkit(want), asBuildkit(have)
		}
		if !slices.Equal(want, have) {
			t.Errorf("%s has\n%s\nthe source has\n%s", name, strings.Join(have, ""), strings.Join(want, ""))
		}
	}
}

var fraction = regexp.MustCompile(`(\d{9,})\.\d{10}`)

// asBuildkit leaves out what BuildKit does not write into layers: fractions of
// seconds, and attributes but for file capabilities.
func asBuildkit(lines []string) (list []string) {
	for _, line := range lines {
		if !strings.Contains(line, "user.note") {
			list = append(list, fraction.ReplaceAllString(line, "$1"))
		}
	}
	return list
}
