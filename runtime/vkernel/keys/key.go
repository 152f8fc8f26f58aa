package keys

import (
	"crypto/rand"
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"
)

// Key is one key, or a keyring.
type Key struct {
	serial    int32
	typ       *keyType
	desc      string
	uid, gid  uint32
	perm      uint32
	order     uint64 // of its making
	refs      int
	expiry    int64 // seconds since 1970; 0: never
	revoked   bool
	invalid   bool
	rejected  bool // negative: it is known that there is no such key
	userRing  bool // made as a user's keyring or user session keyring
	owner     *user
	inQuota   bool
	bytes     int // of payload, as the quota counts them
	payload   []byte
	keyringed // what a keyring has
}

// noGID is the group of a key that has none.
const noGID = ^uint32(0)

// overflowID is shown for an id that is none.
const overflowID = 65534

func shownID(id uint32) uint32 {
	if id == noGID {
		return overflowID
	}
	return id
}

// ended tells whether the key was revoked or invalidated.
func (k *Key) ended() bool { return k.revoked || k.invalid }

// validate is key_validate: the error of a key that is not usable any more.
func (t *Table) validate(k *Key) error {
	switch {
	case k.invalid:
		return unix.ENOKEY
	case k.revoked:
		return unix.EKEYREVOKED
	case t.expired(k):
		return unix.EKEYEXPIRED
	}
	return nil
}

func (t *Table) expired(k *Key) bool { return k.expiry != 0 && t.now >= k.expiry }

// expire ends the key in so many seconds; 0: never.
func (t *Table) expire(k *Key, seconds int64) {
	k.expiry = 0
	if seconds == 0 {
		return
	}
	t.expireAt(k, t.now+seconds)
}

func (t *Table) expireAt(k *Key, when int64) {
	k.expiry = when
	t.sweepBy(when + gcDelay)
}

// spec is a key that is to be made.
type spec struct {
	typ            *keyType
	desc           string
	uid, gid, perm uint32
	overrun        bool // it counts, but is not refused
	free           bool // it does not count
}

// alloc makes a key without a payload. The caller has its one reference.
func (t *Table) alloc(s spec) (*Key, error) {
	if s.desc == "" {
		return nil, unix.EINVAL
	}
	if s.typ.vet != nil && !s.typ.vet(s.desc) {
		return nil, unix.EINVAL
	}
	if t.used+keyCost+len(s.desc) > maxTotal {
		return nil, unix.ENOMEM
	}
	u := t.user(s.uid)
	n := len(s.desc) + 1
	if !s.free && !s.overrun && !u.fits(1, n) {
		t.forgetUser(u)
		return nil, unix.EDQUOT
	}
	k := &Key{typ: s.typ, desc: s.desc, uid: s.uid, gid: s.gid, perm: s.perm, refs: 1, owner: u, inQuota: !s.free}
	u.all++
	if k.inQuota {
		u.add(1, n)
	}
	t.used += keyCost + len(s.desc)
	t.made++
	k.order, k.serial = t.made, t.serial()
	t.keys[k.serial] = k
	return k, nil
}

// serial is a number that no key has: random, as Linux' are.
func (t *Table) serial() int32 {
	for {
		var b [4]byte
		rand.Read(b[:])
		n := int32(binary.LittleEndian.Uint32(b[:]) >> 1)
		if n >= 3 && t.keys[n] == nil {
			return n
		}
	}
}

// put gives a reference back. With the last one the key goes, and what it led
// to.
func (t *Table) put(k *Key) {
	for list := []*Key{k}; len(list) > 0; {
		k := list[len(list)-1]
		list = list[:len(list)-1]
		if k.refs--; k.refs > 0 {
			continue
		}
		for _, in := range k.links {
			list = append(list, in)
		}
		t.free(k)
	}
}

func (t *Table) free(k *Key) {
	delete(t.keys, k.serial)
	t.used -= keyCost + len(k.desc) + k.bytes + len(k.links)*linkCost
	k.owner.all--
	if k.inQuota {
		k.owner.add(-1, -k.quota())
	}
	t.forgetUser(k.owner)
}

// update gives a key another payload: one that was known not to be is, and it
// does not expire.
func (t *Table) update(c Caller, k ref, payload []byte) error {
	switch {
	case !k.allows(c, needWrite):
		return unix.EACCES
	case !k.typ.update:
		return unix.EOPNOTSUPP
	}
	if err := k.typ.check(payload); err != nil {
		return err
	}
	if err := t.reserve(k.Key, len(payload)); err != nil {
		return err
	}
	k.payload, k.rejected, k.expiry = slices.Clone(payload), false, 0
	return nil
}
