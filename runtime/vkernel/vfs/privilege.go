package vfs

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Privilege is what a file gives to who executes it: set-id bits and
// capabilities. The zero Privilege is that of most files.
type Privilege struct {
	SetUID, SetGID bool
	UID, GID       uint32 // the file's owner and group, if so
	Caps           *FileCaps
}

// FileCaps are a file's capabilities (struct cpu_vfs_cap_data).
type FileCaps struct {
	Permitted, Inheritable uint64
	Effective              bool // what the file permits is raised at once
}

// Privilege is what executing the file at p gives: nothing where the mount says so.
// EINVAL if its capabilities make no sense.
func (p Path) Privilege() (g Privilege, err error) {
	if p.Mount.Flags()&NoSuid != 0 {
		return Privilege{}, nil
	}
	a, err := p.Inode().Attr()
	if err != nil {
		return Privilege{}, err
	}
	const setGID = unix.S_ISGID | unix.S_IXGRP // without S_IXGRP it once meant mandatory locks
	g.UID, g.GID = a.UID, a.GID
	g.SetUID, g.SetGID = a.Mode&unix.S_ISUID != 0, a.Mode&setGID == setGID
	g.Caps, err = p.fileCaps()
	return g, err
}

// fileCaps are the file's capabilities, nil if it has none.
func (p Path) fileCaps() (*FileCaps, error) {
	x, ok := p.Inode().(Xattrs)
	if !ok {
		return nil, nil
	}
	raw, err := x.Getxattr(capsXattr)
	if err != nil {
		return nil, nil
	}
	return parseCaps(raw)
}

// Of security.capability, uapi/linux/capability.h.
const (
	capsRevision  = 0xff000000 // VFS_CAP_REVISION_MASK
	capsEffective = 1          // VFS_CAP_FLAGS_EFFECTIVE
)

// capsWords is how many pairs of words of permitted and inheritable capabilities a
// revision has; the third has the id of a user namespace's root behind them.
var capsWords = map[uint32]struct{ pairs, size int }{
	0x01000000: {1, 12}, 0x02000000: {2, 20}, 0x03000000: {2, 24},
}

// parseCaps reads security.capability: get_vfs_caps_from_disk. What the root of another
// user namespace set counts for nothing.
func parseCaps(raw []byte) (*FileCaps, error) {
	if len(raw) < 4 {
		return nil, unix.EINVAL
	}
	le := binary.LittleEndian
	magic := le.Uint32(raw)
	form, ok := capsWords[magic&capsRevision]
	if !ok || len(raw) != form.size {
		return nil, unix.EINVAL
	}
	if root := raw[4+8*form.pairs:]; len(root) > 0 && le.Uint32(root) != 0 {
		return nil, nil
	}
	c := &FileCaps{Effective: magic&capsEffective != 0}
	for i := range form.pairs {
		c.Permitted |= uint64(le.Uint32(raw[4+8*i:])) << (32 * i)
		c.Inheritable |= uint64(le.Uint32(raw[8+8*i:])) << (32 * i)
	}
	return c, nil
}
