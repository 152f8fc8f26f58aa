package proc

import (
	"fmt"

	"github.com/megabin/megabin/runtime/vkernel/fs/synth"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// namespaces are the links of the directory ns, with the types that their
// names begin with and the inode numbers of a system's first ones
// (linux/proc_ns.h): nobody can make others here.
var namespaces = []struct {
	name, typ string
	ino       uint64
}{
	{"cgroup", "cgroup", 0xeffffffb},
	{"ipc", "ipc", 0xefffffff},
	{"mnt", "mnt", 0xf0000001},
	{"net", "net", 0xf0000000},
	{"pid", "pid", 0xeffffffc},
	{"pid_for_children", "pid", 0xeffffffc},
	{"time", "time", 0xeffffffa},
	{"time_for_children", "time", 0xeffffffa},
	{"user", "user", 0xeffffffd},
	{"uts", "uts", 0xeffffffe},
}

// newNamespaces makes the directory ns.
func (f *fs) newNamespaces(own synth.Owner) owned {
	var names synth.Static
	for _, n := range namespaces {
		text := fmt.Sprintf("%s:[%d]", n.typ, n.ino)
		target := synth.NewFile(0o444, 0, 0, func() ([]byte, error) { return nil, nil }, nil)
		target.SetIno(n.ino)
		read := func(*vfs.Caller) (string, error) { return text, nil }
		follow := func(*vfs.Caller) (vfs.Path, error) { return f.NS.System().AnonPath(target, text), nil }
		link := synth.NewMagic(0o777, 0, 0, read, follow)
		link.SetOwner(own)
		names = append(names, synth.StaticName{Name: n.name, Inode: link})
	}
	return synth.NewDir(0o511, 0, 0, names)
}
