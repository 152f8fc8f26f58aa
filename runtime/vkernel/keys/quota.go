package keys

import "golang.org/x/sys/unix"

// Quotas of a user, of /proc/sys/kernel/keys: keys, and bytes of descriptions,
// payloads and links.
const (
	maxKeys      = 200
	maxBytes     = 20_000
	rootMaxKeys  = 1_000_000
	rootMaxBytes = 25_000_000
)

// What there can be of all users together: root's quota alone would be more
// than all else that a container needs.
const (
	maxTotal  = 128 << 20 // bytes of ours
	keyCost   = 512       // bytes of a key beside its description and payload
	linkCost  = 128       // bytes of a link
	linkBytes = 4         // KEYQUOTA_LINK_BYTES, as the quota counts a link
)

// user is who is counted: struct key_user.
type user struct {
	uid   uint32
	all   int // keys
	keys  int // those in the quota
	bytes int // of those
}

func (t *Table) user(uid uint32) *user {
	u := t.users[uid]
	if u == nil {
		u = &user{uid: uid}
		t.users[uid] = u
	}
	return u
}

// forgetUser drops a user without keys.
func (t *Table) forgetUser(u *user) {
	if u.all == 0 {
		delete(t.users, u.uid)
	}
}

func (u *user) limits() (keys, bytes int) {
	if u.uid == 0 {
		return rootMaxKeys, rootMaxBytes
	}
	return maxKeys, maxBytes
}

func (u *user) fits(keys, bytes int) bool {
	mayKeys, mayBytes := u.limits()
	return u.keys+keys <= mayKeys && u.bytes+bytes <= mayBytes
}

func (u *user) add(keys, bytes int) {
	u.keys += keys
	u.bytes += bytes
}

// quota is how many bytes count for a key.
func (k *Key) quota() int { return len(k.desc) + 1 + k.bytes }

// room tells whether a key's payload can be of n bytes: EDQUOT, ENOMEM.
func (t *Table) room(k *Key, n int) error {
	more := n - k.bytes
	_, limit := k.owner.limits()
	switch {
	case more <= 0:
		return nil
	case k.inQuota && k.owner.bytes+more > limit:
		return unix.EDQUOT
	case t.used+more > maxTotal:
		return unix.ENOMEM
	}
	return nil
}

// reserve is key_payload_reserve.
func (t *Table) reserve(k *Key, n int) error {
	if err := t.room(k, n); err != nil {
		return err
	}
	t.used += n - k.bytes
	if k.inQuota {
		k.owner.add(0, n-k.bytes)
	}
	k.bytes = n
	return nil
}
