package suites

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/megabin/megabin/integration/debian"
	"github.com/megabin/megabin/integration/oracle"
)

const path = debian.Path

// prepared is a suite whose tests are in an image.
type prepared struct {
	suite
	rootfs string   // the image's files, as oracle.Spec has them
	layout string   // the image
	tests  []string // their names
}

// formatVersion changes when prepare's result for the same suite does.
const formatVersion = "1"

func (s suite) key() string {
	parts := append([]string{formatVersion, s.source, s.prepare}, s.packages...)
	sum := sha256.Sum256([]byte(strings.Join(append(parts, buildPackages...), "\x00")))
	return s.name + "-" + hex.EncodeToString(sum[:6])
}

var preparing sync.Mutex

// make builds the suite's image in the cache below dir, or finds it there, and
// lists its tests.
func (s suite) make(ctx context.Context, dir string, log io.Writer) (*prepared, error) {
	preparing.Lock()
	defer preparing.Unlock()
	base, err := debian.Build(ctx, debian.Spec{Suite: debian.Minbase.Suite, Include: s.packages}, dir, log)
	if err != nil {
		return nil, err
	}
	final := filepath.Join(dir, "suites", s.key())
	if _, err := os.Stat(final); err != nil {
		if err := s.build(ctx, base, dir, final, log); err != nil {
			return nil, fmt.Errorf("preparing %s: %w", s.name, err)
		}
	}
	p := &prepared{suite: s, rootfs: filepath.Join(final, "files") + ":" + base.Rootfs, layout: filepath.Join(final, "oci")}
	cmd, err := p.native(ctx, s.list, "")
	if err != nil {
		return nil, err
	}
	cmd.Stderr = log
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("listing the tests of %s: %w", s.name, err)
	}
	p.tests = strings.Fields(string(out))
	if len(p.tests) == 0 {
		return nil, fmt.Errorf("%s has no tests", s.name)
	}
	return p, nil
}

// build makes the directory final: files of the layer and the image.
func (s suite) build(ctx context.Context, base debian.Image, dir, final string, log io.Writer) error {
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(final), "tmp-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	files := filepath.Join(tmp, "files")
	for _, d := range []string{tmp, files, filepath.Join(files, "suite")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
		if err := os.Chmod(d, 0o755); err != nil {
			return err
		}
	}
	if err := s.fill(ctx, dir, filepath.Join(files, "suite"), log); err != nil {
		return err
	}
	tar := filepath.Join(tmp, "suite.tar")
	cmd := exec.CommandContext(ctx, "tar", "-C", files, "--numeric-owner", "--sort=name", "-cf", tar, "suite")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("tar: %w", err)
	}
	if err := base.Extend(filepath.Join(tmp, "oci"), tar); err != nil {
		return err
	}
	if err := os.Remove(tar); err != nil {
		return err
	}
	return os.Rename(tmp, final)
}

// fill runs the suite's own script, which fills target.
func (s suite) fill(ctx context.Context, dir, target string, log io.Writer) error {
	tools, err := debian.Build(ctx, debian.Spec{Suite: debian.Minbase.Suite, Include: buildPackages}, dir, log)
	if err != nil {
		return err
	}
	binds := []oracle.Bind{{Source: target, Target: "/suite"}}
	if s.source != "" {
		source, err := debian.Source(ctx, s.source, dir, log)
		if err != nil {
			return err
		}
		binds = append(binds, oracle.Bind{Source: source, Target: "/src", ReadOnly: true})
	}
	script := fmt.Sprintf("set -e\n%s\nchown -R %d:%[2]d .", s.prepare, nobody)
	cmd, err := oracle.Command(ctx, oracle.Spec{
		Rootfs: tools.Rootfs, Binds: binds, Dir: "/suite", Env: []string{"PATH=" + path, "SRC=/src", "LC_ALL=C"},
		Args: []string{"sh", "-c", script}, Container: true,
	})
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = log, log
	return cmd.Run()
}

// environment is every test's, on both sides.
func (p *prepared) environment() []string {
	base := []string{"PATH=" + path, "HOME=/tmp", "HOSTNAME=megabin", "TZ=UTC0", "TERM=dumb", "LC_ALL=C.UTF-8", "USER=nobody", "LOGNAME=nobody"}
	return append(base, p.env...)
}

// native is the command that runs a script with one argument natively.
func (p *prepared) native(ctx context.Context, script, arg string) (*exec.Cmd, error) {
	return oracle.Command(ctx, oracle.Spec{
		Rootfs: p.rootfs, Dir: "/suite", Env: p.environment(), Args: []string{"sh", "-c", script, "sh", arg},
		Container: true, UID: nobody, GID: nobody,
	})
}

// recompiled is the same in the converted image ref.
func (p *prepared) recompiled(ctx context.Context, ref, script, arg string) *exec.Cmd {
	args := []string{"run", "-u", fmt.Sprintf("%d:%[1]d", nobody), "-w", "/suite"}
	for _, kv := range p.environment() {
		args = append(args, "-e", kv)
	}
	cmd := exec.CommandContext(ctx, megabin(), append(args, ref, "sh", "-c", script, "sh", arg)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// megabin is the binary under test.
func megabin() string {
	if p := os.Getenv("MEGABIN"); p != "" {
		return p
	}
	return filepath.Join("..", "..", "bin", "megabin")
}
