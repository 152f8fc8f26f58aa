// Package oracle runs a command natively inside a root filesystem, so that a
// test can compare a converted program with the original on the same machine.
// The command runs by chroot in a mount namespace of its own: an overlay over
// the root filesystem takes what it writes and is dropped with it, as with
// `megabin run`. Needs root and overlayfs; knows nothing about conversion.
//
// A test that uses it calls Main first thing in its TestMain.
package oracle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Spec is one native run.
type Spec struct {
	Rootfs string   // directory, left unchanged; or several, the topmost first, separated by colons
	Binds  []Bind   // mounted over the root filesystem
	Dir    string   // working directory inside
	Env    []string // the whole environment
	Args   []string // command and arguments; the command is looked up in PATH of Env

	// Container gives the command what a container has of its own besides
	// files: processes, which end with it, network (loopback only), System V
	// IPC, host name, pseudoterminals and shared memory.
	Container bool
	// UID and GID are whose process it is; root's if zero.
	UID, GID int
}

// Bind makes the host's Source visible at Target inside.
type Bind struct {
	Source, Target string
	ReadOnly       bool
}

// envSpec carries a Spec from Command to Main in the child.
const envSpec = "MEGABIN_ORACLE_SPEC"

// Exit statuses of a command that could not be started.
const (
	statusNotExecutable = 126 // as a shell's
	statusNotFound      = 127 // as a shell's
	statusSetup         = 254
)

// Failed tells whether a finished command never ran because the oracle itself
// failed; its stderr says why.
func Failed(status int, stderr []byte) bool {
	return status == statusSetup && bytes.HasPrefix(stderr, []byte(prefix))
}

const prefix = "oracle: "

// Command returns the command, ready to be given its streams and started.
func Command(ctx context.Context, spec Spec) (*exec.Cmd, error) {
	data, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Env = []string{envSpec + "=" + string(data)}
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if spec.Container {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS
	}
	return cmd, nil
}

// Main returns unless this process is one that Command started; then it
// becomes the command and never returns.
func Main() {
	data, ok := os.LookupEnv(envSpec)
	if !ok {
		return
	}
	var spec Spec
	if err := json.Unmarshal([]byte(data), &spec); err != nil {
		fail(statusSetup, err)
	}
	if err := enter(spec); err != nil {
		fail(statusSetup, err)
	}
	path, err := lookup(spec)
	if err != nil {
		fail(statusNotFound, err)
	}
	fail(statusNotExecutable, syscall.Exec(path, spec.Args, spec.Env))
}

func fail(status int, err error) {
	fmt.Fprintf(os.Stderr, prefix+"%v\n", err)
	os.Exit(status)
}

// enter builds the file system view in this process's mount namespace and
// makes it the root.
func enter(spec Spec) error {
	scratch := "/mnt" // hidden in this namespace only
	if err := syscall.Mount("tmpfs", scratch, "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mounting tmpfs: %w", err)
	}
	root, upper, work := scratch+"/root", scratch+"/upper", scratch+"/work"
	for _, d := range []string{root, upper, work} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return err
		}
	}
	opts := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", spec.Rootfs, upper, work)
	if err := syscall.Mount("overlay", root, "overlay", 0, opts); err != nil {
		return fmt.Errorf("mounting overlay %s: %w", opts, err)
	}
	binds := append([]Bind{{"/proc", "/proc", false}, {"/dev", "/dev", false}}, spec.Binds...)
	for _, b := range binds {
		if err := b.mount(root); err != nil {
			return fmt.Errorf("binding %s to %s: %w", b.Source, b.Target, err)
		}
	}
	if spec.Container {
		if err := contain(root); err != nil {
			return err
		}
	}
	if err := syscall.Chroot(root); err != nil {
		return fmt.Errorf("chroot: %w", err)
	}
	if err := become(spec.UID, spec.GID); err != nil {
		return fmt.Errorf("becoming user %d, group %d: %w", spec.UID, spec.GID, err)
	}
	return os.Chdir(spec.Dir)
}

// ownMounts are what a container does not share of the mounts below its root.
var ownMounts = []struct{ fstype, target, options string }{
	{"proc", "/proc", ""},
	{"devpts", "/dev/pts", "newinstance,ptmxmode=0666,mode=0620,gid=5"},
	{"tmpfs", "/dev/shm", "mode=1777"},
}

// contain finishes the namespaces that the process was started in.
func contain(root string) error {
	for _, m := range ownMounts {
		if err := syscall.Mount(m.fstype, root+m.target, m.fstype, 0, m.options); err != nil {
			return fmt.Errorf("mounting %s: %w", m.target, err)
		}
	}
	// /dev is the host's, whose ptmx may be a node that opens the host's terminals.
	ptmx := Bind{Source: root + "/dev/pts/ptmx", Target: "/dev/ptmx"}
	if err := ptmx.mount(root); err != nil {
		return fmt.Errorf("binding /dev/ptmx: %w", err)
	}
	if err := syscall.Sethostname([]byte("megabin")); err != nil {
		return fmt.Errorf("setting the host's name: %w", err)
	}
	if err := writeNames(root); err != nil {
		return err
	}
	return loopbackUp()
}

// writeNames writes the files of names that container engines write.
func writeNames(root string) error {
	if err := os.MkdirAll(root+"/etc", 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"/etc/hostname": "megabin\n",
		"/etc/hosts":    "127.0.0.1\tlocalhost megabin\n::1\tlocalhost ip6-localhost ip6-loopback\n",
	} {
		if err := os.WriteFile(root+name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// loopbackUp starts the loopback interface of a new network namespace.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req); err != nil {
		return fmt.Errorf("starting the loopback interface: %w", err)
	}
	return nil
}

// become changes the process's user for good.
func become(uid, gid int) error {
	if uid == 0 && gid == 0 {
		return nil
	}
	if err := syscall.Setgroups([]int{}); err != nil {
		return err
	}
	if err := syscall.Setgid(gid); err != nil {
		return err
	}
	return syscall.Setuid(uid)
}

func (b Bind) mount(root string) error {
	target := filepath.Join(root, b.Target)
	if err := b.makeTarget(target); err != nil {
		return err
	}
	if err := syscall.Mount(b.Source, target, "", syscall.MS_BIND, ""); err != nil {
		return err
	}
	if !b.ReadOnly {
		return nil
	}
	return syscall.Mount("", target, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
}

func (b Bind) makeTarget(target string) error {
	fi, err := os.Stat(b.Source)
	if err != nil {
		return err
	}
	if fi.IsDir() {
		return os.MkdirAll(target, 0o755)
	}
	f, err := os.OpenFile(target, os.O_CREATE, 0o755)
	if err != nil {
		return err
	}
	return f.Close()
}

// lookup finds the command as a shell would, in the PATH of the spec.
func lookup(spec Spec) (string, error) {
	if len(spec.Args) == 0 {
		return "", errors.New("no command")
	}
	name := spec.Args[0]
	if strings.Contains(name, "/") {
		_, err := os.Stat(name)
		return name, err
	}
	for _, kv := range spec.Env {
		list, ok := strings.CutPrefix(kv, "PATH=")
		if !ok {
			continue
		}
		for _, dir := range filepath.SplitList(list) {
			path := filepath.Join(dir, name)
			if fi, err := os.Stat(path); err == nil && fi.Mode()&0o111 != 0 {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("%s: not found in PATH", name)
}
