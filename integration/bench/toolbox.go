package main

import (
	"archive/tar"
	"bufio"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/megabin/megabin/integration/debian"
	"github.com/megabin/megabin/integration/oracle"
)

// toolboxSpec is Debian with the programs that are measured.
var toolboxSpec = debian.Spec{
	Suite:   debian.Minbase.Suite,
	Include: []string{"bc", "git", "jq", "lua5.4", "perl", "python3", "sqlite3", "xz-utils"},
}

// share is where an image of Debian has what is ours: a directory that is
// empty otherwise.
const share = "/srv"

// guestEnv is the environment of what is measured, everywhere.
var guestEnv = []string{"PATH=" + debian.Path, "HOME=/tmp", "HOSTNAME=megabin", "TZ=UTC0", "LC_ALL=C", "PYTHONHASHSEED=0", "PYTHONDONTWRITEBYTECODE=1"}

// toolbox is the image of the programs that are measured, their input and
// micro, by which system calls are measured.
type toolbox struct {
	debian debian.Image
	files  string // directory that becomes share
	layer  string // the directory that it is in
	ref    string // the converted image
	qemu   string // static qemu-x86_64; empty if there is none
}

//go:embed testdata/programs
var programFiles embed.FS

// microSource is compiled to share/micro.
const microSource = "integration/bench/testdata/micro.c"

// toolbox returns the image, made once.
func (b *bench) toolbox(ctx context.Context) (*toolbox, error) {
	if b.image != nil {
		return b.image, nil
	}
	cache, err := debian.CacheDir()
	if err != nil {
		return nil, err
	}
	t := &toolbox{layer: filepath.Join(b.work, "toolbox")}
	t.files, t.ref = t.layer+share, "oci:"+filepath.Join(b.work, "toolbox-converted")
	if t.debian, err = debian.Build(ctx, toolboxSpec, cache, os.Stderr); err != nil {
		return nil, err
	}
	static, err := debian.Unpack(ctx, []string{"qemu-user-static"}, cache, os.Stderr)
	if err != nil {
		return nil, err
	}
	t.qemu = filepath.Join(static, "usr/bin/qemu-x86_64-static")
	if err := t.make(ctx, b); err != nil {
		return nil, fmt.Errorf("making the image of programs: %w", err)
	}
	b.image = t
	return t, nil
}

// make fills share and converts the image, unless a kept scratch directory has
// both.
func (t *toolbox) make(ctx context.Context, b *bench) error {
	done := filepath.Join(b.work, "toolbox-done")
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	if err := os.MkdirAll(t.files, 0o755); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{t.programs, t.inputs, t.repository, t.tree} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	layer, layout := filepath.Join(b.work, "toolbox.tar"), filepath.Join(b.work, "toolbox-oci")
	if err := command(ctx, "tar", "-C", t.layer, "--sort=name", "--owner=0", "--group=0", "-cf", layer, "."+share); err != nil {
		return err
	}
	if err := t.debian.Extend(layout, layer); err != nil {
		return err
	}
	if err := command(ctx, b.megabin, "convert", "oci:"+layout, t.ref); err != nil {
		return err
	}
	return os.WriteFile(done, nil, 0o644)
}

// programs writes what is checked in and compiles micro.
func (t *toolbox) programs(ctx context.Context) error {
	err := fs.WalkDir(programFiles, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := programFiles.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(t.files, path.Base(name)), data, 0o644)
	})
	if err != nil {
		return err
	}
	return command(ctx, "gcc", "-O2", "-pthread", "-Wall", "-o", filepath.Join(t.files, "micro"), microSource)
}

// Sizes of the input.
const (
	textLines = 80_000    // of text: 5 MB
	someLines = 10_000    // of the shorter text
	sortLines = 1_000_000 // of numbers
	treeFiles = 50_000
	treeDirs  = 500
	repoFiles = 5_000
)

// inputs writes text of random words, lines to sort and a JSON document; they
// are the same on each machine.
func (t *toolbox) inputs(context.Context) error {
	random := rand.New(rand.NewPCG(1, 2))
	words := vocabulary(random)
	text := func(lines int) func(w *bufio.Writer) {
		return func(w *bufio.Writer) { writeText(w, random, words, lines) }
	}
	if err := errors.Join(t.write("text", text(textLines)), t.write("short", text(someLines))); err != nil {
		return err
	}
	err := t.write("lines", func(w *bufio.Writer) {
		for range sortLines {
			fmt.Fprintf(w, "%08x\n", random.Uint32())
		}
	})
	if err != nil {
		return err
	}
	return t.write("data.json", func(w *bufio.Writer) {
		w.WriteString("[")
		for i := range 20_000 {
			if i > 0 {
				w.WriteString(",\n")
			}
			fmt.Fprintf(w, `{"id":%d,"name":%q,"tags":[%q,%q],"size":%d}`, i, words[random.IntN(len(words))],
				words[random.IntN(50)], words[random.IntN(50)], random.IntN(100_000))
		}
		w.WriteString("]\n")
	})
}

func writeText(w *bufio.Writer, random *rand.Rand, words []string, lines int) {
	for i := range lines {
		fmt.Fprintf(w, "%06d ", i)
		for range 4 + random.IntN(8) {
			// Some words are frequent and most are rare, as in a language.
			w.WriteString(words[int(float64(len(words))*random.Float64()*random.Float64()*random.Float64())])
			w.WriteByte(' ')
		}
		fmt.Fprintf(w, "%d\n", random.IntN(1000))
	}
}

func vocabulary(random *rand.Rand) []string {
	endings := []string{"", "", "s", "ed", "ing", "er"}
	words := make([]string, 20_000)
	for i := range words {
		var w strings.Builder
		for range 1 + random.IntN(4) {
			w.WriteByte("bcdfghklmnprstvw"[random.IntN(16)])
			w.WriteByte("aeiou"[random.IntN(5)])
		}
		words[i] = w.String() + endings[random.IntN(len(endings))]
	}
	return words
}

func (t *toolbox) write(name string, fill func(*bufio.Writer)) error {
	f, err := os.Create(filepath.Join(t.files, name))
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	fill(w)
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// repository has the image's own Git make a repository, natively.
func (t *toolbox) repository(ctx context.Context) error {
	cmd, err := oracle.Command(ctx, oracle.Spec{
		Rootfs: t.debian.Rootfs, Binds: []oracle.Bind{{Source: t.files, Target: share}}, Dir: "/tmp", Env: guestEnv,
		Args: []string{"sh", share + "/mkrepo.sh", fmt.Sprint(repoFiles)},
	})
	if err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("making a Git repository: %w\n%s", err, out)
	}
	return nil
}

// tree writes an archive of many small files.
func (t *toolbox) tree(context.Context) error {
	f, err := os.Create(filepath.Join(t.files, "tree.tar"))
	if err != nil {
		return err
	}
	defer f.Close()
	buffered := bufio.NewWriterSize(f, 1<<20)
	w := tar.NewWriter(buffered)
	for d := range treeDirs {
		dir := fmt.Sprintf("tree/%d/%d", d%20, d)
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}); err != nil {
			return err
		}
		for i := range treeFiles / treeDirs {
			text := strings.Repeat(fmt.Sprintf("line of file %d\n", i), 1+i%40)
			if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("%s/file%d.c", dir, i), Mode: 0o644, Size: int64(len(text))}); err != nil {
				return err
			}
			if _, err := w.Write([]byte(text)); err != nil {
				return err
			}
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// native is a command in the image, by the machine itself. What it writes is
// kept in memory, as in a container.
func (t *toolbox) native(ctx context.Context, args []string) (*exec.Cmd, error) {
	return oracle.Command(ctx, oracle.Spec{Rootfs: t.layer + ":" + t.debian.Rootfs, Dir: "/tmp", Env: guestEnv, Args: args, Container: true})
}

// emulated is the same by qemu-user. Programs that it starts in turn run
// natively.
func (t *toolbox) emulated(ctx context.Context, args []string) (*exec.Cmd, error) {
	return oracle.Command(ctx, oracle.Spec{
		Rootfs: t.layer + ":" + t.debian.Rootfs, Dir: "/tmp", Env: guestEnv, Args: append([]string{"/qemu"}, args...), Container: true,
		Binds: []oracle.Bind{{Source: t.qemu, Target: "/qemu", ReadOnly: true}},
	})
}

// lifted is the same by megabin.
func (b *bench) lifted(ctx context.Context, args []string) (*exec.Cmd, error) {
	list := []string{"run", "-w", "/tmp"}
	for _, kv := range guestEnv {
		list = append(list, "-e", kv)
	}
	cmd := exec.CommandContext(ctx, b.megabin, append(append(list, b.image.ref), args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd, nil
}
