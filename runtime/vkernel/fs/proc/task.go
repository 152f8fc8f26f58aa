package proc

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/megabin/megabin/runtime/vkernel/fs/synth"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"golang.org/x/sys/unix"
)

// taskFiles are the plain files of a task's directory.
var taskFiles = []struct {
	name  string
	mode  uint32
	read  func(f *fs, t Task) []byte
	write func(t Task, p []byte) error
}{
	{name: "autogroup", mode: 0o644, read: text("")},
	{name: "auxv", mode: 0o400, read: empty},
	{name: "cgroup", mode: 0o444, read: text("0::/\n")},
	{name: "cmdline", mode: 0o444, read: func(_ *fs, t Task) []byte { return t.Cmdline() }},
	{name: "comm", mode: 0o644, read: readComm, write: writeComm},
	{name: "coredump_filter", mode: 0o644, read: text("00000033\n"), write: ignored},
	{name: "cpuset", mode: 0o444, read: text("/\n")},
	{name: "environ", mode: 0o400, read: func(_ *fs, t Task) []byte { return t.Environ() }},
	{name: "gid_map", mode: 0o644, read: text(idMap)},
	{name: "io", mode: 0o400, read: text("rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n")},
	{name: "limits", mode: 0o444, read: readLimits},
	{name: "loginuid", mode: 0o644, read: readLogin, write: writeLogin},
	{name: "maps", mode: 0o444, read: readMaps},
	{name: "mountinfo", mode: 0o444, read: readMountinfo},
	{name: "mounts", mode: 0o444, read: readMounts},
	{name: "oom_adj", mode: 0o644, read: readOOMAdj, write: writeOOMAdj},
	{name: "oom_score", mode: 0o444, read: text("0\n")},
	{name: "oom_score_adj", mode: 0o644, read: readOOMScoreAdj, write: writeOOMScoreAdj},
	{name: "personality", mode: 0o400, read: text("00000000\n")},
	{name: "schedstat", mode: 0o444, read: readSchedstat},
	{name: "sessionid", mode: 0o444, read: readSession},
	{name: "setgroups", mode: 0o644, read: text("allow\n")},
	{name: "smaps", mode: 0o444, read: readSmaps},
	{name: "smaps_rollup", mode: 0o444, read: readSmapsRollup},
	{name: "stat", mode: 0o444, read: readStat},
	{name: "statm", mode: 0o444, read: readStatm},
	{name: "status", mode: 0o444, read: readStatus},
	{name: "timerslack_ns", mode: 0o666, read: text("50000\n")},
	{name: "uid_map", mode: 0o644, read: text(idMap)},
	{name: "wchan", mode: 0o444, read: text("0")},
}

const idMap = "         0          0 4294967295\n"

func text(s string) func(*fs, Task) []byte {
	return func(*fs, Task) []byte { return []byte(s) }
}

func empty(*fs, Task) []byte { return nil }

func ignored(Task, []byte) error { return nil }

// newTaskDir makes the directory of a task; process says that it is not one
// below task/.
func (f *fs) newTaskDir(tid int, process bool) *synth.Dir {
	var names synth.Static
	owner, user := f.ownerOf(tid), f.userOf(tid)
	add := func(name string, own synth.Owner, i owned) {
		i.SetOwner(own)
		names = append(names, synth.StaticName{Name: name, Inode: i})
	}
	for _, row := range taskFiles {
		var write func([]byte) error
		if row.write != nil {
			write = func(p []byte) error {
				var err error
				if gone := f.with(tid, func(t Task) { err = row.write(t, p) }); gone != nil {
					return gone
				}
				return err
			}
		}
		add(row.name, owner, synth.NewFile(row.mode, 0, 0, func() (b []byte, err error) {
			err = f.with(tid, func(t Task) { b = row.read(f, t) })
			return b, err
		}, write))
	}
	for _, row := range taskLinks {
		add(row.name, owner, f.newLink(tid, row.place))
	}
	d := fds{f, tid, owner}
	add("ns", owner, f.newNamespaces(owner))
	add("fd", owner, &ownDir{synth.NewDir(0o500, 0, 0, &d), d})
	add("fdinfo", user, &ownDir{synth.NewDir(0o555, 0, 0, &fdinfos{d}), d})
	add("attr", user, attributes(owner))
	names = append(names, synth.StaticName{Name: "net", Inode: files(f.Net)})
	if process {
		add("task", user, synth.NewDir(0o555, 0, 0, &threads{fs: f, pid: tid, dirs: map[int]*synth.Dir{}}))
	}
	dir := synth.NewDir(0o555, 0, 0, names)
	dir.SetOwner(user)
	return dir
}

// owned is an inode whose owner can be told.
type owned interface {
	vfs.Inode
	SetOwner(synth.Owner)
}

// userOf tells whose a task is, nobody but root of one that has ended.
func (f *fs) userOf(tid int) synth.Owner {
	return func() (uid, gid uint32) {
		f.with(tid, func(t Task) { uid, gid, _ = t.Owner() })
		return uid, gid
	}
}

// ownerOf tells whose the files of a task are, those but the directories that all may
// read: root's if others of the same user may not look into it (task_dump_owner).
func (f *fs) ownerOf(tid int) synth.Owner {
	return func() (uid, gid uint32) {
		f.with(tid, func(t Task) {
			if u, g, dumpable := t.Owner(); dumpable {
				uid, gid = u, g
			}
		})
		return uid, gid
	}
}

// ownDir is a directory that the process that it is about may always read, and others
// if they may open its owner's files, whatever its mode says (proc_fd_permission,
// proc_fdinfo_permission).
type ownDir struct {
	*synth.Dir
	fds fds
}

// Access implements vfs.Accesser.
func (d *ownDir) Access(c *vfs.Caller, want vfs.Perm) error {
	a, err := d.Attr()
	if err != nil {
		return err
	}
	a.Mode &^= 0o077
	a.UID, a.GID = d.fds.owner()
	err = c.Creds.Permits(&a, want)
	me, _ := d.fds.fs.Tasks.Self(c.Task)
	d.fds.fs.with(d.fds.tid, func(t Task) {
		if slices.Contains(t.Threads(), me) {
			err = nil
		}
	})
	return err
}

// attributes makes the directory attr, in which security modules would tell
// what they know: without any, each file is EINVAL.
func attributes(own synth.Owner) owned {
	var names synth.Static
	for _, name := range []string{"current", "exec", "fscreate", "keycreate", "prev", "sockcreate"} {
		mode := uint32(0o666)
		if name == "prev" {
			mode = 0o444
		}
		i := synth.NewFile(mode, 0, 0, func() ([]byte, error) { return nil, unix.EINVAL }, func([]byte) error { return unix.EINVAL })
		i.SetOwner(own)
		names = append(names, synth.StaticName{Name: name, Inode: i})
	}
	return synth.NewDir(0o555, 0, 0, names)
}

// with calls fn with a task that lives, or gives ESRCH.
func (f *fs) with(tid int, fn func(Task)) error {
	t := f.Tasks.Task(tid)
	if t == nil {
		return unix.ESRCH
	}
	fn(t)
	return nil
}

// taskLinks are the links of a task's directory to places.
var taskLinks = []struct {
	name  string
	place func(Task) vfs.Path
}{
	{"cwd", func(t Task) vfs.Path { return placeOf(t, (*vfs.FSContext).Cwd) }},
	{"exe", Task.Exe},
	{"root", func(t Task) vfs.Path { return placeOf(t, (*vfs.FSContext).Root) }},
}

func placeOf(t Task, which func(*vfs.FSContext) vfs.Path) vfs.Path {
	if c := t.FSContext(); c != nil {
		return which(c)
	}
	return vfs.Path{}
}

func (f *fs) newLink(tid int, place func(Task) vfs.Path) *synth.Magic {
	follow := func(*vfs.Caller) (p vfs.Path, err error) {
		err = f.with(tid, func(t Task) { p = place(t) })
		if err == nil && !p.Ok() {
			err = unix.ENOENT
		}
		return p, err
	}
	return newMagic(0o777, f.NS, follow)
}

func newMagic(mode uint32, ns *vfs.Namespace, follow func(*vfs.Caller) (vfs.Path, error)) *synth.Magic {
	read := func(c *vfs.Caller) (string, error) {
		p, err := follow(c)
		if err != nil {
			return "", err
		}
		return ns.PathName(p, c.FS.Root()), nil
	}
	return synth.NewMagic(mode, 0, 0, read, follow)
}

// fds is the directory fd.
type fds struct {
	fs    *fs
	tid   int
	owner synth.Owner
}

func (d *fds) table() *vfs.FDTable {
	t := d.fs.Tasks.Task(d.tid)
	if t == nil {
		return nil
	}
	return t.FDTable()
}

// get returns the description of the descriptor called name, with a
// reference.
func (d *fds) get(name string) (*vfs.Description, int, error) {
	fd, ok := number(name)
	table := d.table()
	if !ok || table == nil {
		return nil, 0, unix.ENOENT
	}
	desc, err := table.Get(fd)
	if err != nil {
		return nil, 0, unix.ENOENT
	}
	return desc, fd, nil
}

// Lookup implements synth.Names.
func (d *fds) Lookup(name string) (vfs.Inode, error) {
	desc, fd, err := d.get(name)
	if err != nil {
		return nil, err
	}
	defer desc.Unref()
	mode := uint32(0o100)
	if desc.Readable() {
		mode |= 0o400
	}
	if desc.Writable() {
		mode |= 0o200
	}
	m := newMagic(mode, d.fs.NS, func(*vfs.Caller) (vfs.Path, error) {
		desc, _, err := d.get(name)
		if err != nil {
			return vfs.Path{}, err
		}
		defer desc.Unref()
		return desc.Path(), nil
	})
	m.SetOwner(d.owner)
	m.SetIno(synth.FirstOwnIno + uint64(d.tid)<<24 + uint64(fd)<<1)
	return m, nil
}

// Names implements synth.Names.
func (d *fds) Names() ([]synth.Name, error) { return d.list(unix.DT_LNK) }

func (d *fds) list(typ uint8) ([]synth.Name, error) {
	table := d.table()
	if table == nil {
		return nil, unix.ENOENT
	}
	var names []synth.Name
	for _, fd := range table.FDs() {
		names = append(names, synth.Name{Name: strconv.Itoa(fd), Type: typ})
	}
	return names, nil
}

// fdinfos is the directory fdinfo.
type fdinfos struct{ fds }

// Lookup implements synth.Names.
func (d *fdinfos) Lookup(name string) (vfs.Inode, error) {
	desc, fd, err := d.get(name)
	if err != nil {
		return nil, err
	}
	desc.Unref()
	i := synth.NewFile(0o444, 0, 0, func() ([]byte, error) { return d.info(name) }, nil)
	i.SetOwner(d.owner)
	i.SetIno(synth.FirstOwnIno + uint64(d.tid)<<24 + uint64(fd)<<1 + 1)
	return i, nil
}

func (d *fdinfos) info(name string) ([]byte, error) {
	desc, fd, err := d.get(name)
	if err != nil {
		return nil, err
	}
	defer desc.Unref()
	flags := desc.Flags()
	if cloexec, err := d.table().Cloexec(fd); err == nil && cloexec {
		flags |= linux.O_CLOEXEC
	}
	a, err := desc.Stat()
	if err != nil {
		return nil, err
	}
	out := fmt.Appendf(nil, "pos:\t%d\nflags:\t0%o\nmnt_id:\t%d\nino:\t%d\n",
		desc.Offset(), flags, desc.Path().Mount.ID(), a.Ino)
	if f, more := desc.File().(vfs.Informer); more {
		out = append(out, f.Info()...)
	}
	return out, nil
}

// Names implements synth.Names.
func (d *fdinfos) Names() ([]synth.Name, error) { return d.list(unix.DT_REG) }

// files is a directory of files that something else makes.
func files(list []File) vfs.Inode {
	var names synth.Static
	for _, f := range list {
		names = append(names, synth.StaticName{Name: f.Name, Inode: file(f.Read)})
	}
	return dir(names)
}
