package vfs

import (
	"maps"
	"slices"
	"sync"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"golang.org/x/sys/unix"
)

// Access is a set of landlock(7)'s rights, uapi/linux/landlock.h.
type Access uint64

// Rights of the third version.
const (
	AccessExecute Access = 1 << iota
	AccessWriteFile
	AccessReadFile
	AccessReadDir
	AccessRemoveDir
	AccessRemoveFile
	AccessMakeChar
	AccessMakeDir
	AccessMakeReg
	AccessMakeSock
	AccessMakeFifo
	AccessMakeBlock
	AccessMakeSym
	AccessRefer
	AccessTruncate

	AccessAll = AccessTruncate<<1 - 1
	// AccessFile are those that files can have.
	AccessFile = AccessExecute | AccessWriteFile | AccessReadFile | AccessTruncate
)

// maxLayers is LANDLOCK_MAX_NUM_LAYERS.
const maxLayers = 16

// layer is what one restriction denies but for its rules. It is not changed
// once a domain has it.
type layer struct {
	handled Access
	rules   map[Inode]rule
}

// rule allows access at an inode and below.
type rule struct {
	access Access
	at     Path // keeps the inode
}

// Ruleset is a layer in the making: the open file of landlock_create_ruleset.
type Ruleset struct {
	mu    sync.Mutex
	layer layer
}

// NewRuleset makes a set that denies what it handles.
func NewRuleset(handled Access) *Ruleset {
	return &Ruleset{layer: layer{handled, map[Inode]rule{}}}
}

// Release implements File.
func (r *Ruleset) Release() {}

// Handles tells whether the set handles all of access.
func (r *Ruleset) Handles(access Access) bool { return access&^r.layer.handled == 0 }

// Allow adds access at p and below: EINVAL for what a file can't have, EBADFD
// where no path leads to.
func (r *Ruleset) Allow(p Path, access Access) error {
	switch {
	case p.isAnon():
		return unix.EBADFD
	case !isDir(p.Inode()) && access&^AccessFile != 0:
		return unix.EINVAL
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	access |= r.layer.rules[p.Inode()].access
	r.layer.rules[p.Inode()] = rule{access, p}
	return nil
}

// Domain is what a task has restricted itself to; nil is nothing. It is not
// changed once made.
type Domain struct{ layers []*layer }

// Restrict is d with another layer. E2BIG if there are too many.
func (d *Domain) Restrict(r *Ruleset) (*Domain, error) {
	var before []*layer
	if d != nil {
		before = d.layers
	}
	if len(before) == maxLayers {
		return nil, unix.E2BIG
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l := &layer{r.layer.handled | AccessRefer, maps.Clone(r.layer.rules)}
	return &Domain{append(slices.Clone(before), l)}, nil
}

// Contains tells whether o is d or more restricted than d.
func (d *Domain) Contains(o *Domain) bool {
	if d == nil {
		return true
	}
	return o != nil && len(o.layers) >= len(d.layers) && slices.Equal(o.layers[:len(d.layers)], d.layers)
}

// denials are the rights that each layer denies at a place.
type denials [maxLayers]Access

// at is what the layers deny at an inode if nothing above it allows more.
func (d *Domain) at(i Inode) (n denials) {
	for at, l := range d.layers {
		n[at] = l.handled
	}
	d.allow(&n, i)
	return n
}

// allow takes off what rules at an inode allow.
func (d *Domain) allow(n *denials, i Inode) {
	for at, l := range d.layers {
		n[at] &^= l.rules[i].access
	}
}

// denied is what is denied at p. held is the file system whose tree lock the
// caller holds, or nil.
func (d *Domain) denied(p Path, held *Super) denials {
	if p.isAnon() {
		return denials{}
	}
	n := d.at(p.Inode())
	for {
		for p.Dentry == p.Mount.root && p.Mount.at.Ok() {
			p = p.Mount.at
		}
		if p = p.above(held); !p.Ok() {
			return n
		}
		d.allow(&n, p.Inode())
	}
}

// above is the directory of p in its file system, the zero Path at the top.
func (p Path) above(held *Super) Path {
	s := p.Dentry.super
	if s != held {
		s.tree.RLock()
		defer s.tree.RUnlock()
	}
	if p.Dentry.parent == nil {
		return Path{}
	}
	return Path{p.Mount, p.Dentry.parent}
}

func (p Path) isAnon() bool { return p.Dentry.super == p.Dentry.super.sys.anon }

// has tells whether a layer denies some of want.
func (n *denials) has(want Access) bool {
	for _, denied := range n {
		if denied&want != 0 {
			return true
		}
	}
	return false
}

// within tells whether o denies at least what n denies, in each layer.
func (n *denials) within(o *denials, of Access) bool {
	for i := range n {
		if n[i]&of&^o[i] != 0 {
			return false
		}
	}
	return true
}

// both is what two denials have in common.
func (n denials) both(o denials) denials {
	for i := range n {
		n[i] &= o[i]
	}
	return n
}

// allowed is EACCES if the caller has restricted itself from want at p. held is
// as for Domain.denied.
func (c *Caller) allowed(p Path, want Access, held *Super) error {
	d := c.Creds.Landlock
	if d == nil || want == 0 {
		return nil
	}
	if n := d.denied(p, held); n.has(want) {
		return unix.EACCES
	}
	return nil
}

// makes are the rights to make the types of files.
var makes = map[uint32]Access{
	unix.S_IFLNK: AccessMakeSym, unix.S_IFDIR: AccessMakeDir, unix.S_IFCHR: AccessMakeChar, unix.S_IFBLK: AccessMakeBlock,
	unix.S_IFIFO: AccessMakeFifo, unix.S_IFSOCK: AccessMakeSock, unix.S_IFREG: AccessMakeReg, 0: AccessMakeReg,
}

// makeAccess is the right to make a file of a mode.
func makeAccess(mode uint32) Access { return makes[mode&unix.S_IFMT] }

// removeAccess is the right to remove a name of i.
func removeAccess(i Inode) Access {
	if isDir(i) {
		return AccessRemoveDir
	}
	return AccessRemoveFile
}

// openAccess is the right that open(2)'s flags need.
func openAccess(i Inode, flags int) Access {
	read := AccessReadFile
	if isDir(i) {
		read = AccessReadDir
	}
	return [4]Access{read, AccessWriteFile, read | AccessWriteFile, 0}[flags&linux.O_ACCMODE]
}

// referral is a file that gets a name in another place: current_check_refer_path
// of security/landlock/fs.c.
type referral struct {
	from, to Path // the directories, whose tree is locked
	child    Inode
	target   Inode // what has the name; nil if nothing has it
	moves    bool  // it is not only linked
	exchange bool
}

// needs are the rights at the old and the new place. Unless there is an
// exchange nothing is made at the old one.
func (r *referral) needs() (from, to Access, err error) {
	a, err := r.child.Attr()
	if err != nil {
		return 0, 0, err
	}
	to = makeAccess(a.Mode)
	if r.exchange {
		if a, err = r.target.Attr(); err != nil {
			return 0, 0, err
		}
		from = makeAccess(a.Mode)
	}
	if r.moves {
		from |= removeAccess(r.child)
		if r.target != nil {
			to |= removeAccess(r.target)
		}
	}
	return from, to, nil
}

// mayRefer is EACCES where a right is missing, else EXDEV where the file would
// get rights by its new place.
func (c *Caller) mayRefer(r referral) error {
	d := c.Creds.Landlock
	if d == nil {
		return nil
	}
	from, to, err := r.needs()
	if err != nil {
		return err
	}
	held := r.to.Dentry.super
	if r.from.Dentry == r.to.Dentry {
		return c.allowed(r.to, from|to, held)
	}
	old, now := d.denied(r.from, held), d.denied(r.to, held)
	switch {
	case old.has(from), now.has(to):
		return unix.EACCES
	case old.has(AccessRefer), now.has(AccessRefer), !d.noGain(r.child, &old, &now), r.exchange && !d.noGain(r.target, &now, &old):
		return unix.EXDEV
	}
	return nil
}

// noGain tells whether all that is denied to i at its old place is at its new one.
func (d *Domain) noGain(i Inode, old, now *denials) bool {
	of := AccessAll
	if !isDir(i) {
		of = AccessFile
	}
	own := old.both(d.at(i))
	return own.within(now, of)
}
