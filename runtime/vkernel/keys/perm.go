package keys

// Rights to a key, uapi/linux/keyctl.h. Each of four sets has them all.
const (
	needView    = 0x01
	needRead    = 0x02
	needWrite   = 0x04
	needSearch  = 0x08
	needLink    = 0x10
	needSetattr = 0x20
	needAll     = 0x3f
	needNothing = 0
)

// Where the sets are in a key's permissions, bits.
const (
	possessor = 24
	owner     = 16
	group     = 8
	other     = 0

	permMask = needAll<<possessor | needAll<<owner | needAll<<group | needAll<<other
)

// ref is a key and whether the caller possesses it: it is found from the
// caller's keyrings.
type ref struct {
	*Key
	possessed bool
}

// allows is key_task_permission.
func (r ref) allows(c Caller, need uint32) bool {
	set := r.perm
	switch {
	case r.uid == c.FSUID:
		set >>= owner
	case r.gid != noGID && r.perm>>group&needAll != 0 && c.inGroup(r.gid):
		set >>= group
	}
	if r.possessed {
		set |= r.perm >> possessor
	}
	return set&need == need
}
