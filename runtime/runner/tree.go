package runner

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/fs/dev"
	"github.com/megabin/megabin/runtime/vkernel/fs/host"
	"github.com/megabin/megabin/runtime/vkernel/fs/overlay"
	"github.com/megabin/megabin/runtime/vkernel/fs/pipe"
	"github.com/megabin/megabin/runtime/vkernel/fs/tmp"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/tty"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// buildTree makes the kernel with its mounts: the image with memory above it,
// /proc, /sys, /dev and what the spec asks for.
func (c *container) buildTree() error {
	c.ptys = tty.NewTable()
	c.sys = &vfs.System{Fifos: pipe.NewFifo, Devices: &dev.Table{Other: c.openPty, Terminal: openTerminal}}
	root, err := overlay.New(c.spec.Root, c.spec.Bounds.FileSize())
	if err != nil {
		return fmt.Errorf("image's root: %w", err)
	}
	memory, err := tmp.New(tmp.Options{Size: c.spec.Bounds.FileSize()})
	if err != nil {
		return err
	}
	super := c.sys.NewSuper(root)
	c.kernel = c.newKernel(c.sys.NewNamespace(super, vfs.MountOptions{}), memory.Root().(vfs.TmpMaker))
	if err := c.prepareRoot(); err != nil {
		return err
	}
	if c.spec.ReadOnly {
		c.kernel.NS = c.sys.NewNamespace(super, vfs.MountOptions{Flags: vfs.ReadOnly})
	}
	return c.mountAll()
}

// prepareRoot writes what must be in the root before it may be read-only: the
// files that engines write, and mount points.
func (c *container) prepareRoot() error {
	for _, m := range append([]Mount{{Target: "/proc"}, {Target: "/sys"}, {Target: "/dev"}}, c.spec.Mounts...) {
		if err := c.makeTarget(m); err != nil {
			return fmt.Errorf("making %s: %w", m.Target, err)
		}
	}
	return c.writeNames()
}

// mountAll mounts what every container has, then the spec's mounts.
func (c *container) mountAll() error {
	devices, err := dev.New(c.spec.TTY)
	if err != nil {
		return err
	}
	shm, err := tmp.New(tmp.Options{Mode: 0o1777, Size: c.spec.Bounds.shmSize()})
	if err != nil {
		return err
	}
	list := append([]Mount{
		{FS: c.kernel.Proc(), Target: "/proc"}, {FS: c.kernel.Sys(), Target: "/sys", Source: "sysfs", ReadOnly: true},
		{FS: devices, Target: "/dev"}, {FS: shm, Target: "/dev/shm", Source: "shm"},
		{FS: c.ptys.FS(), Target: "/dev/pts", Source: "devpts"},
	}, c.spec.Mounts...)
	for _, m := range list {
		if err := c.mount(m); err != nil {
			return fmt.Errorf("mounting %s: %w", m.Target, err)
		}
	}
	return nil
}

// god is the caller that sets the container up.
func (c *container) god() *vfs.Caller {
	return &vfs.Caller{NS: c.kernel.NS, FS: vfs.NewFSContext(c.kernel.NS.Root()), Creds: vfs.RootCreds()}
}

// mount mounts m, and makes its target if need be.
func (c *container) mount(m Mount) error {
	if err := c.makeTarget(m); err != nil {
		return err
	}
	o := vfs.MountOptions{Source: m.Source}
	if m.ReadOnly {
		o.Flags = vfs.ReadOnly
	}
	_, err := c.god().Mount(path.Clean("/"+m.Target), c.sys.NewSuper(m.FS), o)
	return err
}

// makeTarget makes the directory or file that m is mounted on.
func (c *container) makeTarget(m Mount) error {
	target := path.Clean("/" + m.Target)
	if m.FS == nil {
		return c.makeDirs(target)
	}
	attr, err := m.FS.Root().Attr()
	if err != nil {
		return err
	}
	if attr.IsDir() {
		return c.makeDirs(target)
	}
	return c.makeFile(target)
}

func (c *container) makeDirs(name string) error {
	if name == "/" {
		return nil
	}
	caller := c.god()
	if _, err := caller.Resolve(vfs.Path{}, name, 0); err == nil {
		return nil
	}
	if err := c.makeDirs(path.Dir(name)); err != nil {
		return err
	}
	return ignore(caller.Mkdir(vfs.Path{}, name, 0o755), unix.EEXIST)
}

func (c *container) makeFile(name string) error {
	if err := c.makeDirs(path.Dir(name)); err != nil {
		return err
	}
	return ignore(c.god().Mknod(vfs.Path{}, name, unix.S_IFREG|0o644, 0), unix.EEXIST)
}

func ignore(err, harmless error) error {
	if errors.Is(err, harmless) {
		return nil
	}
	return err
}

// writeNames writes the files that container engines write: the host's name
// and its addresses.
func (c *container) writeNames() error {
	for name, text := range map[string]string{
		"/etc/hostname": c.spec.Hostname + "\n",
		"/etc/hosts":    "127.0.0.1\tlocalhost " + c.spec.Hostname + "\n::1\tlocalhost ip6-localhost ip6-loopback\n",
	} {
		if err := c.writeFile(name, text); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	return nil
}

func (c *container) writeFile(name, text string) error {
	if err := c.makeDirs(path.Dir(name)); err != nil {
		return err
	}
	d, err := c.god().Open(vfs.Path{}, name, linux.O_WRONLY|linux.O_CREAT|linux.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer d.Unref()
	_, err = d.Write([]byte(text))
	return err
}

// readFile reads a file of the image, at most 1 MiB of it.
func (c *container) readFile(name string) ([]byte, error) {
	d, err := c.god().Open(vfs.Path{}, name, linux.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer d.Unref()
	return io.ReadAll(io.LimitReader(reader{d}, 1<<20))
}

// reader makes an io.Reader of a description.
type reader struct {
	d *vfs.Description
}

func (r reader) Read(p []byte) (int, error) {
	n, err := r.d.Read(p)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// enter makes dir the working directory.
func (c *container) enter(fs *vfs.FSContext, dir string) error {
	dir = path.Clean("/" + dir)
	if err := c.makeDirs(dir); err != nil {
		return err
	}
	caller := c.god()
	caller.FS = fs
	return caller.Chdir(vfs.Path{}, dir)
}

// openStdio makes the first three descriptors. The result makes the table,
// which needs the limit on descriptors.
func (c *container) openStdio() (func(limit func() int) *vfs.FDTable, error) {
	files := [3]*os.File{c.spec.Stdin, c.spec.Stdout, c.spec.Stderr}
	var list []*vfs.Description
	for i, f := range files {
		d, err := c.describe(f, [3]int{linux.O_RDONLY, linux.O_WRONLY, linux.O_WRONLY}[i])
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return func(limit func() int) *vfs.FDTable {
		t := vfs.NewFDTable(limit)
		for i, d := range list {
			if err := t.InstallAt(d, i, false); err != nil {
				panic("BUG: runner: no room for standard streams")
			}
		}
		return t
	}, nil
}

// describe makes a description of a standard stream; nil is /dev/null.
func (c *container) describe(f *os.File, flags int) (*vfs.Description, error) {
	if f == nil {
		return c.god().Open(vfs.Path{}, "/dev/null", linux.O_RDWR, 0)
	}
	if c.spec.TTY {
		flags = linux.O_RDWR
	}
	s, err := host.NewStdio(f, flags)
	if err != nil {
		return nil, err
	}
	if s.IsTerminal() {
		c.addTerminal(s)
	}
	return s.Describe(c.sys, flags)
}

// addTerminal makes a standard stream known as a terminal. The first one is
// the console.
func (c *container) addTerminal(s *host.Stdio) {
	attr, err := s.Attr()
	if err != nil {
		return // it is a terminal without job control then
	}
	control := c.terminals[attr.Rdev]
	if control == nil {
		control = &tty.Control{}
		if c.terminals == nil {
			c.terminals = map[uint64]*tty.Control{}
		}
		c.terminals[attr.Rdev] = control
	}
	s.SetControl(control)
	if n, ok := s.PtsNumber(); ok {
		c.ptys.AddForeign(n, s)
	}
	if c.console == nil {
		c.console = control
		c.sys.Devices.(*dev.Table).Console = func(_ *vfs.Caller, flags int) (vfs.File, error) { return s.Open(flags) }
	}
}

// openTerminal opens /dev/tty.
func openTerminal(c *vfs.Caller, flags int) (vfs.File, error) {
	if t, ok := c.Task.(*kernel.Task); ok {
		return t.OpenTerminal(flags)
	}
	return nil, unix.ENXIO
}

// openPty opens either side of a pseudoterminal.
func (c *container) openPty(caller *vfs.Caller, rdev uint64, flags int) (vfs.File, error) {
	if rdev == tty.Ptmx {
		return c.ptys.OpenMaster(caller)
	}
	return c.ptys.OpenSlave(rdev, flags)
}
