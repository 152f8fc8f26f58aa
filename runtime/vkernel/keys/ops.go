package keys

import (
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// ID is KEYCTL_GET_KEYRING_ID: the serial number of a special keyring.
func (t *Table) ID(c Caller, id int32, make bool) (int32, error) {
	defer t.enter()()
	flags := lookupFlags(0)
	if make {
		flags = create
	}
	k, err := t.lookup(c, id, flags, needSearch)
	if err != nil {
		return 0, err
	}
	return k.serial, nil
}

// Update is KEYCTL_UPDATE.
func (t *Table) Update(c Caller, id int32, payload []byte) error {
	defer t.enter()()
	k, err := t.lookup(c, id, 0, needWrite)
	if err != nil {
		return err
	}
	return t.update(c, k, payload)
}

// Revoke is KEYCTL_REVOKE.
func (t *Table) Revoke(c Caller, id int32) error {
	defer t.enter()()
	k, err := t.lookup(c, id, 0, needWrite)
	if err == unix.EACCES {
		k, err = t.lookup(c, id, 0, needSetattr)
	}
	if err != nil {
		return err
	}
	k.revoked = true
	if k.expiry == 0 || k.expiry > t.now {
		t.expireAt(k.Key, t.now)
	}
	if k.typ == keyring {
		t.clear(k.Key)
		return nil
	}
	k.payload = nil
	return t.reserve(k.Key, 0)
}

// Invalidate is KEYCTL_INVALIDATE.
func (t *Table) Invalidate(c Caller, id int32) error {
	defer t.enter()()
	k, err := t.lookup(c, id, 0, needSearch)
	if err != nil {
		return err
	}
	k.invalid = true
	t.sweep()
	return nil
}

// keepID is the user or group id that KEYCTL_CHOWN does not change.
const keepID = ^uint32(0)

// ChownKey is KEYCTL_CHOWN.
func (t *Table) ChownKey(c Caller, id int32, uid, gid uint32) error {
	if uid == keepID && gid == keepID {
		return nil
	}
	defer t.enter()()
	k, err := t.lookup(c, id, create|partial, needSetattr)
	if err != nil {
		return err
	}
	newUser := uid != keepID && uid != k.uid
	newGroup := gid != keepID && gid != k.gid && !c.inGroup(gid)
	if (newUser || newGroup) && !c.has(unix.CAP_SYS_ADMIN) {
		return unix.EACCES
	}
	if newUser {
		if err := t.handOver(k.Key, uid); err != nil {
			return err
		}
	}
	if gid != keepID {
		k.gid = gid
	}
	return nil
}

// handOver makes a key another user's, whose quota it counts for.
func (t *Table) handOver(k *Key, uid uint32) error {
	old, u := k.owner, t.user(uid)
	if k.inQuota && !u.fits(1, k.quota()) {
		t.forgetUser(u)
		return unix.EDQUOT
	}
	if k.inQuota {
		old.add(-1, -k.quota())
		u.add(1, k.quota())
	}
	old.all--
	u.all++
	k.owner, k.uid = u, uid
	t.forgetUser(old)
	return nil
}

// SetPerm is KEYCTL_SETPERM.
func (t *Table) SetPerm(c Caller, id int32, perm uint32) error {
	if perm&^permMask != 0 {
		return unix.EINVAL
	}
	defer t.enter()()
	k, err := t.lookup(c, id, create|partial, needSetattr)
	switch {
	case err != nil:
		return err
	case k.uid != c.FSUID && !c.has(unix.CAP_SYS_ADMIN):
		return unix.EACCES
	}
	k.perm = perm
	return nil
}

// SetTimeout is KEYCTL_SET_TIMEOUT; 0: never.
func (t *Table) SetTimeout(c Caller, id int32, seconds uint32) error {
	defer t.enter()()
	k, err := t.lookup(c, id, create|partial, needSetattr)
	if err != nil {
		return err
	}
	t.expire(k.Key, int64(seconds))
	return nil
}

// Describe is KEYCTL_DESCRIBE, without the NUL.
func (t *Table) Describe(c Caller, id int32) (string, error) {
	defer t.enter()()
	k, err := t.lookup(c, id, partial, needView)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s;%d;%d;%08x;%s", k.typ.name, shownID(k.uid), shownID(k.gid), k.perm, k.desc), nil
}

// Security is KEYCTL_GET_SECURITY: keys have no labels, so it tells only
// whether one would be told. ENOKEY is Linux' for no right to look.
func (t *Table) Security(c Caller, id int32) error {
	defer t.enter()()
	_, err := t.lookup(c, id, partial, needView)
	if err == unix.EACCES {
		err = unix.ENOKEY
	}
	return err
}

// Read is KEYCTL_READ into a buffer of size bytes; 0 is none. A key that is
// possessed can be read without the right to.
func (t *Table) Read(c Caller, id int32, size uint64) ([]byte, error) {
	defer t.enter()()
	k, err := t.lookup(c, id, anyState, needNothing)
	switch {
	case err != nil, k.rejected:
		return nil, unix.ENOKEY
	case !k.allows(c, needRead) && !k.possessed:
		return nil, unix.EACCES
	case !k.typ.read:
		return nil, unix.EOPNOTSUPP
	}
	if err := t.validate(k.Key); err != nil {
		return nil, err
	}
	if k.typ != keyring {
		return slices.Clone(k.payload), nil
	}
	if size%4 != 0 {
		return nil, unix.EINVAL
	}
	return k.serials(), nil
}

// serials is what a keyring shows of itself.
func (ring *Key) serials() (b []byte) {
	list := make([]int32, 0, len(ring.links))
	for _, k := range ring.links {
		list = append(list, k.serial)
	}
	slices.Sort(list)
	for _, n := range list {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	return b
}

// Clear is KEYCTL_CLEAR.
func (t *Table) Clear(c Caller, id int32) error {
	defer t.enter()()
	k, err := t.lookup(c, id, create, needWrite)
	switch {
	case err != nil:
		return err
	case k.typ != keyring:
		return unix.ENOTDIR
	}
	t.clear(k.Key)
	return nil
}

// Link is KEYCTL_LINK.
func (t *Table) Link(c Caller, id, ring int32) error {
	defer t.enter()()
	r, err := t.lookup(c, ring, create, needWrite)
	if err != nil {
		return err
	}
	k, err := t.lookup(c, id, create, needLink)
	if err != nil {
		return err
	}
	return t.link(r.Key, k.Key)
}

// Unlink is KEYCTL_UNLINK. No right to the key is needed.
func (t *Table) Unlink(c Caller, id, ring int32) error {
	defer t.enter()()
	r, err := t.lookup(c, ring, 0, needWrite)
	if err != nil {
		return err
	}
	k, err := t.lookup(c, id, anyState, needNothing)
	if err != nil {
		return err
	}
	return t.unlink(r.Key, k.index())
}

// Move is KEYCTL_MOVE.
func (t *Table) Move(c Caller, id, from, to int32, flags uint32) error {
	if flags&^unix.KEYCTL_MOVE_EXCL != 0 {
		return unix.EINVAL
	}
	defer t.enter()()
	k, err := t.lookup(c, id, create, needLink)
	if err != nil {
		return err
	}
	source, err := t.lookup(c, from, 0, needWrite)
	if err != nil {
		return err
	}
	target, err := t.lookup(c, to, create, needWrite)
	if err != nil {
		return err
	}
	return t.move(k.Key, source.Key, target.Key, flags&unix.KEYCTL_MOVE_EXCL != 0)
}

// move is key_move.
func (t *Table) move(k, from, to *Key, exclusive bool) error {
	switch {
	case from == to:
		return nil
	case from.typ != keyring, to.typ != keyring:
		return unix.ENOTDIR
	case from.links[k.index()] == nil:
		return unix.ENOENT
	}
	if err := t.mayInsert(to, k.index()); err != nil {
		return err
	}
	if exclusive && to.links[k.index()] != nil {
		return unix.EEXIST
	}
	from.refs++ // what makes way may be all that leads to it
	defer t.put(from)
	if err := t.linkChecked(to, k); err != nil {
		return err
	}
	return t.unlink(from, k.index())
}

// Restrict is KEYCTL_RESTRICT_KEYRING. No type here has restrictions of its
// own: only that of nil, which refuses all links, works.
func (t *Table) Restrict(c Caller, id int32, typ *string) error {
	defer t.enter()()
	k, err := t.lookup(c, id, 0, needSetattr)
	switch {
	case err != nil:
		return err
	case k.typ != keyring:
		return unix.ENOTDIR
	case typ != nil && types[*typ] == nil:
		return unix.ENOKEY
	case typ != nil:
		return unix.ENOENT
	case k.restricted:
		return unix.EEXIST
	}
	k.restricted = true
	return nil
}

// MayRestrict is what KEYCTL_RESTRICT_KEYRING checks before its other arguments.
func (t *Table) MayRestrict(c Caller, id int32) error {
	defer t.enter()()
	_, err := t.lookup(c, id, 0, needSetattr)
	return err
}

// persistentExpiry is /proc/sys/kernel/keys/persistent_keyring_expiry, seconds.
const persistentExpiry = 259_200

// Persistent is KEYCTL_GET_PERSISTENT: the keyring that a user has for some
// days after it was last asked for, linked in another. keepID is the caller.
func (t *Table) Persistent(c Caller, uid uint32, dest int32) (int32, error) {
	if uid == keepID {
		uid = c.UID
	} else if uid != c.UID && uid != c.EUID && !c.has(unix.CAP_SETUID) {
		return 0, unix.EPERM
	}
	defer t.enter()()
	to, err := t.lookup(c, dest, create, needWrite)
	switch {
	case err != nil:
		return 0, err
	case to.typ != keyring:
		return 0, unix.ENOTDIR
	}
	k, err := t.persistentRing(uid)
	if err != nil {
		return 0, err
	}
	if !(ref{k, true}).allows(c, needLink) {
		return 0, unix.EACCES
	}
	if err := t.link(to.Key, k); err != nil {
		return 0, err
	}
	t.expire(k, persistentExpiry)
	return k.serial, nil
}

func (t *Table) persistentRing(uid uint32) (*Key, error) {
	k := t.persistent[uid]
	if k != nil && !k.ended() {
		return k, nil
	}
	made, err := t.alloc(spec{typ: keyring, desc: fmt.Sprintf("_persistent.%d", uid), uid: uid, gid: noGID, perm: permKept, free: true})
	if err != nil {
		return nil, err
	}
	t.persistent[uid] = made
	if k != nil {
		t.put(k)
	}
	return made, nil
}
