package vfs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/megabin/megabin/runtime/vkernel/fs/fstest"
	"github.com/megabin/megabin/runtime/vkernel/fs/synth"
	"github.com/megabin/megabin/runtime/vkernel/fs/tmp"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"golang.org/x/sys/unix"
)

// world is a namespace with a tmpfs as root and script done in it.
func world(t *testing.T, script string) (*fstest.Guest, *vfs.Namespace) {
	t.Helper()
	g := fstest.NewGuest(t, newTmp(t))
	fstest.Run(g, fstest.Lines(script))
	return g, g.Caller.NS
}

func newTmp(t *testing.T) *tmp.FS {
	t.Helper()
	fs, err := tmp.New(tmp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

// expect runs "op => result" lines.
func expect(t *testing.T, g *fstest.Guest, script string) {
	t.Helper()
	for _, line := range fstest.Lines(script) {
		op, want, _ := strings.Cut(line, " => ")
		if got := fstest.Run(g, []string{op})[0]; got != want {
			t.Errorf("%s: %s, want %s", op, got, want)
		}
	}
}

// TestMounts: what mount(2), rename(2), rmdir(2) and link(2) say of mount points.
func TestMounts(t *testing.T) {
	g, ns := world(t, "mkdir m 755\nput m/hidden x 1\nmkdir d 755\nput f x 1\nmkdir d/sub 755")
	super := ns.System().NewSuper(newTmp(t))
	m, err := g.Caller.Mount("/m", super, vfs.MountOptions{Source: "inner"})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, g, `
open m/hidden RDONLY => ENOENT
put m/seen y 2 => 2
open m/../m/./seen RDONLY => ok
open m/../../f RDONLY => ok
mkdir m/deep 755 => ok
rmdir m => EBUSY
rename m x => EBUSY
rename d m => EBUSY
rename f m/f => EXDEV
link f m/f => EXDEV
chdir m/deep => ok
cwd => /m/deep
open ../../f RDONLY => ok
chdir / => ok
`)
	if _, err := g.Caller.Mount("/f", super, vfs.MountOptions{}); err != unix.ENOTDIR {
		t.Errorf("directory on a file: %v", err)
	}
	a, _ := g.Stat("m", 0)
	b, _ := g.Stat(".", 0)
	if a.Dev == b.Dev || a.MountID != m.ID() {
		t.Errorf("device %x and %x, mount %d, want %d", a.Dev, b.Dev, a.MountID, m.ID())
	}
	m.SetFlags(vfs.ReadOnly)
	expect(t, g, "put m/x y 1 => EROFS\nmkdir m/seen 755 => EEXIST\nchmod m/seen 600 => EROFS\nopen m/seen RDONLY => ok")
	if _, err := g.Caller.Mount("/m/deep", ns.System().NewSuper(newTmp(t)), vfs.MountOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := ns.Unmount(m.Root()); err != unix.EBUSY {
		t.Errorf("unmount with a mount in it: %v", err)
	}
	deep, err := g.Caller.Resolve(vfs.Path{}, "/m/deep", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []vfs.Path{deep, m.Root()} {
		if err := ns.Unmount(p); err != nil {
			t.Error(err)
		}
	}
	expect(t, g, "open m/hidden RDONLY => ok\nopen m/seen RDONLY => ENOENT")
	if err := ns.Unmount(ns.Root()); err != unix.EINVAL {
		t.Errorf("unmount of the root: %v", err)
	}
}

// TestChroot: nothing gets out by names.
func TestChroot(t *testing.T) {
	g, _ := world(t, "mkdir jail 755\nmkdir jail/d 755\nput secret x 1\nsymlink /secret jail/abs\nsymlink ../../secret jail/rel")
	if err := g.Caller.Chroot("/jail"); err != nil {
		t.Fatal(err)
	}
	expect(t, g, `
open /secret RDONLY => ENOENT
open /abs RDONLY => ENOENT
open /rel RDONLY => ENOENT
open /d/../../../secret RDONLY => ENOENT
cwd => (unreachable)/
chdir /d => ok
cwd => /d
open ../../secret RDONLY => ENOENT
`)
	g.Caller.Creds = vfs.UserCreds(1000, 1000)
	if err := g.Caller.Chroot("/d"); err != unix.EPERM {
		t.Errorf("chroot by a user: %v", err)
	}
}

// TestManyLinks: path_resolution(7) allows 40 links.
func TestManyLinks(t *testing.T) {
	g, _ := world(t, "put f x 1\nsymlink f l0")
	for i := range 45 {
		fstest.Run(g, []string{fmt.Sprintf("symlink l%d l%d", i, i+1)})
	}
	expect(t, g, "open l39 RDONLY => ok\nopen l40 RDONLY => ELOOP")
}

// TestProtectedSymlinks: fs.protected_symlinks in proc_sys_fs(5).
func TestProtectedSymlinks(t *testing.T) {
	g, _ := world(t, `
put f x 1
mkdir pub 755
chmod pub 1777
symlink ../f pub/root
`)
	for _, uid := range []uint32{1000, 2000} {
		g.SetUser(uid, uid)
		fstest.Run(g, []string{fmt.Sprintf("symlink ../f pub/u%d", uid)})
	}
	g.SetUser(1000, 1000)
	expect(t, g, "open pub/root RDONLY => ok\nopen pub/u1000 RDONLY => ok\nopen pub/u2000 RDONLY => EACCES\nreadlink pub/u2000 => ../f")
	g.SetUser(0, 0)
	expect(t, g, "open pub/u1000 RDONLY => EACCES")
}

// TestResolve checks what openat2(2) says of its resolve flags.
func TestResolve(t *testing.T) {
	g, ns := world(t, "mkdir d 755\nput d/f x 1\nput f x 1\nsymlink f d/in\nsymlink ../f d/out\nsymlink /f d/abs\nmkdir d/m 755")
	if _, err := g.Caller.Mount("/d/m", ns.System().NewSuper(newTmp(t)), vfs.MountOptions{}); err != nil {
		t.Fatal(err)
	}
	d, err := g.Caller.Resolve(vfs.Path{}, "d", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		path    string
		resolve uint64
		want    error
	}{
		{"f", unix.RESOLVE_BENEATH, nil},
		{"in", unix.RESOLVE_BENEATH, nil},
		{"out", unix.RESOLVE_BENEATH, unix.EXDEV},
		{"abs", unix.RESOLVE_BENEATH, unix.EXDEV},
		{"/f", unix.RESOLVE_BENEATH, unix.EXDEV},
		{"../f", unix.RESOLVE_BENEATH, unix.EXDEV},
		{"m/../f", unix.RESOLVE_BENEATH, nil},
		{"out", unix.RESOLVE_IN_ROOT, nil},
		{"abs", unix.RESOLVE_IN_ROOT, nil},
		{"../../../f", unix.RESOLVE_IN_ROOT, nil},
		{"in", unix.RESOLVE_NO_SYMLINKS, unix.ELOOP},
		{"f", unix.RESOLVE_NO_SYMLINKS, nil},
		{"m", unix.RESOLVE_NO_XDEV, unix.EXDEV},
		{"f", unix.RESOLVE_NO_XDEV, nil},
		{"f", 1 << 40, unix.EINVAL},
		{"f", unix.RESOLVE_BENEATH | unix.RESOLVE_IN_ROOT, unix.EINVAL},
	} {
		desc, err := g.Caller.Open2(d, test.path, vfs.OpenHow{Resolve: test.resolve})
		if err == nil {
			desc.Unref()
		}
		if err != test.want {
			t.Errorf("%s with %#x: %v, want %v", test.path, test.resolve, err, test.want)
		}
	}
}

// TestMagicLink: a magic link leads to an inode that no name has any more.
func TestMagicLink(t *testing.T) {
	g, ns := world(t, "put f x 5\nmkdir p 755")
	d, err := g.Caller.Open(vfs.Path{}, "f", linux.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Unref()
	link := synth.NewMagic(0o777, 0, 0,
		func(c *vfs.Caller) (string, error) { return c.PathName(d.Path()), nil },
		func(*vfs.Caller) (vfs.Path, error) { return d.Path(), nil })
	dir := synth.NewDir(0o755, 0, 0, synth.Static{{Name: "l", Inode: link}})
	if _, err := g.Caller.Mount("/p", ns.System().NewSuper(&synth.FS{Name: "x", Top: dir}), vfs.MountOptions{}); err != nil {
		t.Fatal(err)
	}
	expect(t, g, `
readlink p/l => /f
unlink f => ok
readlink p/l => /f (deleted)
open p/l RDONLY => ok
open p/l RDONLY|NOFOLLOW => ELOOP
open p/l CREAT|RDWR 644 => ok
open p/l/x RDONLY => ENOTDIR
open f RDONLY => ENOENT
mkdir p/x 755 => ENOENT
unlink p/l => EPERM
`)
	// open(2), O_TMPFILE: linkat gives a file without a name one.
	tmpfile, err := g.Caller.Open(vfs.Path{}, ".", linux.O_TMPFILE|linux.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer tmpfile.Unref()
	if err := g.Caller.Link(tmpfile.Path(), "", vfs.Path{}, "named", unix.AT_EMPTY_PATH); err != nil {
		t.Error(err)
	}
	expect(t, g, "stat named => 100600 links 1 owner 0:0 size 0 dev 0")
}

// TestSpecials: open(2) of what only other parts of the kernel can open.
func TestSpecials(t *testing.T) {
	g, _ := world(t, "mksock s 600\nmkchr c 600\nsymlink x l")
	expect(t, g, `
open s RDWR => ENXIO
open c RDWR => ENXIO
open l RDONLY|NOFOLLOW => ELOOP
open s PATH => ok
open l PATH|NOFOLLOW => ok
`)
}
