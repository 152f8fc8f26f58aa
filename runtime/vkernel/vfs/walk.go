package vfs

import (
	"strings"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"golang.org/x/sys/unix"
)

// walk is one path walk in progress: pos is where it has come to, rest what
// is still to be walked.
type walk struct {
	c       *Caller
	root    Path
	start   Path // where RESOLVE_BENEATH starts
	pos     Path
	rest    string
	links   int
	resolve uint64 // RESOLVE_* of openat2
}

// Resolve bits of openat2 that are known.
const knownResolve = unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_MAGICLINKS |
	unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_BENEATH | unix.RESOLVE_IN_ROOT

// newWalk starts a walk of a path that is not empty.
func (c *Caller) newWalk(at Path, path string, resolve uint64) (*walk, error) {
	switch {
	case path == "":
		return nil, unix.ENOENT
	case len(path) >= linux.PathMax:
		return nil, unix.ENAMETOOLONG
	}
	w := &walk{c: c, root: c.FS.Root(), pos: at, rest: path, resolve: resolve}
	if !at.Ok() {
		w.pos = c.FS.Cwd()
	}
	w.start = w.pos
	if resolve&unix.RESOLVE_IN_ROOT != 0 {
		w.root = w.pos
	}
	if path[0] == '/' {
		if err := w.toRoot(); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *walk) toRoot() error {
	if w.resolve&unix.RESOLVE_BENEATH != 0 ||
		w.resolve&unix.RESOLVE_NO_XDEV != 0 && w.pos.Mount != w.root.Mount {
		return unix.EXDEV
	}
	w.pos = w.root
	return nil
}

// last is the final component of a path.
type last struct {
	name  string
	slash bool // slashes follow it: it must be a directory
}

// isDot reports whether it names no entry of its parent: ".", ".." or the
// root ("").
func (l last) isDot() bool { return l.name == "" || l.name == "." || l.name == ".." }

// next takes the next component from rest; final says that nothing but
// slashes follows.
func (w *walk) next() (l last, final bool) {
	w.rest = strings.TrimLeft(w.rest, "/")
	i := strings.IndexByte(w.rest, '/')
	if i < 0 {
		l.name, w.rest = w.rest, ""
		return l, true
	}
	l.name, w.rest = w.rest[:i], strings.TrimLeft(w.rest[i:], "/")
	l.slash = true
	return l, w.rest == ""
}

// toParent walks up to the last component, which it returns; pos is then the
// directory it is in, which may be searched.
func (w *walk) toParent() (last, error) {
	for {
		l, final := w.next()
		if l.name == "" {
			return l, nil
		}
		if err := w.maySearch(); err != nil {
			return l, err
		}
		if len(l.name) > linux.NameMax {
			return l, unix.ENAMETOOLONG
		}
		if final {
			return l, nil
		}
		if err := w.step(l, true); err != nil {
			return l, err
		}
	}
}

func (w *walk) maySearch() error {
	if !isDir(w.pos.Inode()) {
		return unix.ENOTDIR
	}
	return w.c.mayPath(w.pos, Exec)
}

// step goes from pos to its child l, through links if follow.
func (w *walk) step(l last, follow bool) error {
	switch l.name {
	case "", ".":
		return nil
	case "..":
		return w.up()
	}
	child, err := w.pos.Dentry.lookup(l.name)
	if err != nil {
		return err
	}
	p := w.c.NS.top(Path{w.pos.Mount, child})
	if p.Mount != w.pos.Mount && w.resolve&unix.RESOLVE_NO_XDEV != 0 {
		return unix.EXDEV
	}
	if link, ok := p.Inode().(Symlink); ok && follow {
		return w.follow(link, l, p)
	}
	w.pos = p
	return nil
}

func (w *walk) up() error {
	if w.resolve&unix.RESOLVE_BENEATH != 0 && w.pos == w.start {
		return unix.EXDEV
	}
	p := w.c.NS.parent(w.pos, w.root)
	if p.Mount != w.pos.Mount && w.resolve&unix.RESOLVE_NO_XDEV != 0 {
		return unix.EXDEV
	}
	w.pos = p
	return nil
}

// follow goes where the link at p leads: a magic link at once; the text
// of another is put before rest.
func (w *walk) follow(link Symlink, l last, p Path) error {
	if w.links++; w.links > linux.SymlinkMax || w.resolve&unix.RESOLVE_NO_SYMLINKS != 0 {
		return unix.ELOOP
	}
	if w.rest == "" {
		if err := w.mayFollow(p); err != nil {
			return err
		}
	}
	if magic, ok := link.(MagicLink); ok {
		return w.jump(magic)
	}
	target, err := link.Readlink(w.c)
	if err != nil {
		return err
	}
	if target == "" {
		return unix.ENOENT
	}
	if target[0] == '/' {
		if err := w.toRoot(); err != nil {
			return err
		}
	}
	w.rest = joinRest(target, l, w.rest)
	return nil
}

// joinRest is the path that remains after the component l was a link to
// target.
func joinRest(target string, l last, rest string) string {
	if l.slash {
		return target + "/" + rest
	}
	return target
}

func (w *walk) jump(link MagicLink) error {
	if w.resolve&unix.RESOLVE_NO_MAGICLINKS != 0 {
		return unix.ELOOP
	}
	to, err := link.Follow(w.c)
	if err != nil {
		return err
	}
	if w.resolve&(unix.RESOLVE_BENEATH|unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_XDEV) != 0 {
		return unix.EXDEV
	}
	w.pos = to
	return nil
}

// mayFollow is the protected_symlinks rule: in a sticky directory that all
// may write, a link is followed by its owner only, or if the directory's owner
// made it.
func (w *walk) mayFollow(p Path) error {
	dir, err := w.pos.Inode().Attr()
	if err != nil {
		return err
	}
	const open = unix.S_ISVTX | unix.S_IWOTH
	if dir.Mode&open != open {
		return nil
	}
	link, err := p.Inode().Attr()
	if err != nil {
		return err
	}
	if link.UID == w.c.Creds.FSUID || link.UID == dir.UID {
		return nil
	}
	return unix.EACCES
}

// toEnd walks the rest. follow says whether a link at the end is followed;
// one with slashes after it is in any case.
func (w *walk) toEnd(follow bool) (Path, error) {
	for {
		l, err := w.toParent()
		if err != nil {
			return Path{}, err
		}
		if err := w.step(l, follow || l.slash); err != nil {
			return Path{}, err
		}
		if strings.Trim(w.rest, "/") != "" {
			continue
		}
		slash := l.slash || w.rest != ""
		w.rest = ""
		if slash && !isDir(w.pos.Inode()) {
			return Path{}, unix.ENOTDIR
		}
		return w.pos, nil
	}
}

// Resolve walks to an existing file. flags are AT_SYMLINK_NOFOLLOW and
// AT_EMPTY_PATH (others are ignored).
func (c *Caller) Resolve(at Path, path string, flags int) (Path, error) {
	if path == "" && flags&unix.AT_EMPTY_PATH != 0 {
		if at.Ok() {
			return at, nil
		}
		return c.FS.Cwd(), nil
	}
	w, err := c.newWalk(at, path, 0)
	if err != nil {
		return Path{}, err
	}
	return w.toEnd(flags&unix.AT_SYMLINK_NOFOLLOW == 0)
}
