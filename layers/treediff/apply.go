package treediff

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Content gives the content that a regular file is to have; f is the file in
// upper.
type Content func(change int, f *os.File) io.Reader

// Apply makes the changes to the tree out, which is as lower was, so that it
// becomes what upper is but for the contents of regular files, which may be
// others of the same length.
func Apply(ctx context.Context, upper, out string, changes []Change, content Content) error {
	a := &applier{upper: upper, out: out, changes: changes, content: content, dirs: map[string]bool{}}
	for i := range changes {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := a.apply(i); err != nil {
			return err
		}
	}
	return a.finish()
}

type applier struct {
	upper, out string
	changes    []Change
	content    Content
	dirs       map[string]bool // whose times are to be set
	order      []string        // the same, a directory before what is in it
}

func (a *applier) apply(i int) error {
	c := &a.changes[i]
	name := filepath.Join(a.out, c.Path)
	a.touch(filepath.Dir(c.Path))
	if c.Removed {
		return os.RemoveAll(name)
	}
	if c.Kind() == unix.S_IFDIR {
		a.touch(c.Path)
		return a.directory(c, name)
	}
	if err := os.RemoveAll(name); err != nil {
		return err
	}
	if c.First != i {
		return os.Link(filepath.Join(a.out, a.changes[c.First].Path), name)
	}
	if err := a.create(i, name); err != nil {
		return err
	}
	return a.metadata(c, name)
}

func (a *applier) touch(dir string) {
	if !a.dirs[dir] {
		a.dirs[dir] = true
		a.order = append(a.order, dir)
	}
}

// directory makes one, or keeps the one that is there with what is in it.
func (a *applier) directory(c *Change, name string) error {
	info, err := os.Lstat(name)
	if err == nil && !info.IsDir() {
		err = os.Remove(name)
		info = nil
	}
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if err != nil || info == nil {
		if err := os.Mkdir(name, 0o700); err != nil {
			return err
		}
	}
	return a.metadata(c, name)
}

func (a *applier) create(i int, name string) error {
	c := &a.changes[i]
	from := filepath.Join(a.upper, c.Path)
	switch c.Kind() {
	case unix.S_IFREG:
		return a.copy(i, from, name)
	case unix.S_IFLNK:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, name)
	}
	if err := unix.Mknod(name, c.Stat.Mode, int(c.Stat.Rdev)); err != nil {
		return &fs.PathError{Op: "mknod", Path: name, Err: err}
	}
	return nil
}

func (a *applier) copy(i int, from, name string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if e := out.Close(); err == nil {
			err = e
		}
	}()
	n, err := io.Copy(out, a.content(i, in))
	if err == nil && n != a.changes[i].Stat.Size {
		err = &fs.PathError{Op: "read", Path: from, Err: io.ErrUnexpectedEOF}
	}
	return err
}

// metadata makes owner, mode, attributes and times those of upper. The mode
// comes after the owner, a change of which clears bits of it.
func (a *applier) metadata(c *Change, name string) error {
	if err := os.Lchown(name, int(c.Stat.Uid), int(c.Stat.Gid)); err != nil {
		return err
	}
	if c.Kind() != unix.S_IFLNK {
		if err := unix.Chmod(name, c.Stat.Mode&0o7777); err != nil {
			return &fs.PathError{Op: "chmod", Path: name, Err: err}
		}
	}
	if err := a.attributes(c, name); err != nil {
		return err
	}
	return setTimes(name, &c.Stat)
}

// attributes sets those of upper and removes others.
func (a *applier) attributes(c *Change, name string) error {
	want, err := Xattrs(filepath.Join(a.upper, c.Path))
	if err != nil {
		return err
	}
	have, err := Xattrs(name)
	if err != nil {
		return err
	}
	keep := map[string]bool{}
	for _, x := range want {
		keep[x.Name] = true
		if err := unix.Lsetxattr(name, x.Name, []byte(x.Value), 0); err != nil {
			return &fs.PathError{Op: "setxattr " + x.Name, Path: name, Err: err}
		}
	}
	for _, x := range have {
		if keep[x.Name] {
			continue
		}
		if err := unix.Lremovexattr(name, x.Name); err != nil {
			return &fs.PathError{Op: "removexattr " + x.Name, Path: name, Err: err}
		}
	}
	return nil
}

func setTimes(name string, st *unix.Stat_t) error {
	times := []unix.Timespec{st.Atim, st.Mtim}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, name, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &fs.PathError{Op: "utimensat", Path: name, Err: err}
	}
	return nil
}

// finish sets the times of directories, which what was done in them changed.
func (a *applier) finish() error {
	for i := len(a.order) - 1; i >= 0; i-- {
		var st unix.Stat_t
		if err := lstat(filepath.Join(a.upper, a.order[i]), &st); err != nil {
			return err
		}
		if err := setTimes(filepath.Join(a.out, a.order[i]), &st); err != nil {
			return err
		}
	}
	return nil
}
