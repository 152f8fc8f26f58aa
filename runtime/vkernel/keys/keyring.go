package keys

import (
	"slices"

	"golang.org/x/sys/unix"
)

// index is what a keyring finds a key by: it has one at most of each.
type index struct {
	typ  *keyType
	desc string
}

func (k *Key) index() index { return index{k.typ, k.desc} }

// keyringed is what a keyring has.
type keyringed struct {
	links      map[index]*Key // each with a reference
	subs       []*Key         // the keyrings among them, oldest link first
	restricted bool           // KEYCTL_RESTRICT_KEYRING: nothing more may be linked
}

// maxDepth is KEYRING_SEARCH_MAX_DEPTH: how deep below a keyring is searched.
const maxDepth = 6

// link is key_link.
func (t *Table) link(ring, k *Key) error {
	if err := t.mayInsert(ring, k.index()); err != nil {
		return err
	}
	return t.linkChecked(ring, k)
}

func (t *Table) linkChecked(ring, k *Key) error {
	if ring.restricted {
		return unix.EPERM
	}
	if err := cycle(ring, k); err != nil {
		return err
	}
	return t.insert(ring, k)
}

// mayInsert is __key_link_begin.
func (t *Table) mayInsert(ring *Key, i index) error {
	switch {
	case ring.typ != keyring:
		return unix.ENOTDIR
	case ring.revoked:
		return unix.EKEYREVOKED
	case ring.links[i] != nil:
		return nil
	case t.used+linkCost+linkBytes > maxTotal:
		return unix.ENOMEM
	}
	return t.room(ring, ring.bytes+linkBytes)
}

// insert links a key that makes no cycle, in place of one that is found by the
// same.
func (t *Table) insert(ring, k *Key) error {
	i := k.index()
	if err := t.mayInsert(ring, i); err != nil {
		return err
	}
	k.refs++
	old := ring.links[i]
	if ring.links == nil {
		ring.links = map[index]*Key{}
	}
	ring.links[i] = k
	if k.typ == keyring {
		ring.subs = append(ring.subs, k)
	}
	if old != nil {
		ring.dropSub(old)
		t.put(old)
		return nil
	}
	t.used += linkCost
	return t.reserve(ring, ring.bytes+linkBytes)
}

// dropSub forgets the oldest link to a keyring.
func (ring *Key) dropSub(k *Key) {
	if k.typ == keyring {
		n := slices.Index(ring.subs, k)
		ring.subs = slices.Delete(ring.subs, n, n+1)
	}
}

// unlink is key_unlink: it is by type and description that a key is found.
func (t *Table) unlink(ring *Key, i index) error {
	if ring.typ != keyring {
		return unix.ENOTDIR
	}
	k := ring.links[i]
	if k == nil {
		return unix.ENOENT
	}
	delete(ring.links, i)
	ring.dropSub(k)
	t.used -= linkCost
	t.reserve(ring, ring.bytes-linkBytes) // less is never refused
	t.put(k)
	return nil
}

// clear is keyring_clear.
func (t *Table) clear(ring *Key) {
	old := ring.links
	ring.links, ring.subs = nil, nil
	t.used -= len(old) * linkCost
	t.reserve(ring, 0)
	for _, k := range old {
		t.put(k)
	}
}

// cycle tells whether ring would be in itself with k in it (EDEADLK), and
// whether k has too many keyrings in each other to tell (ELOOP).
func cycle(ring, k *Key) error {
	if k.typ != keyring {
		return nil
	}
	if k == ring {
		return unix.EDEADLK
	}
	return lookFor(ring, k, 0, map[*Key]int{})
}

// lookFor is cycle for what is in k. deepest is how deep a keyring was seen: it
// is looked at again only where it is deeper, for there may be many ways to it.
func lookFor(ring, k *Key, depth int, deepest map[*Key]int) error {
	if d, seen := deepest[k]; seen && d >= depth || k.ended() {
		return nil
	}
	deepest[k] = depth
	switch {
	case k.links[ring.index()] == ring:
		return unix.EDEADLK
	case depth >= maxDepth && len(k.subs) > 0:
		return unix.ELOOP
	}
	for _, sub := range k.subs {
		if err := lookFor(ring, sub, depth+1, deepest); err != nil {
			return err
		}
	}
	return nil
}

// search is what is looked for in keyrings.
type search struct {
	want        index
	is          *Key // this key only; nil: any
	state       bool // not one that was revoked, has expired or is negative
	skipExpired bool // an expired one is no error

	c         Caller
	possessed bool
	seen      map[*Key]int // at how little depth a keyring was searched
	err       error        // of the last key that was not to be
}

// search is keyring_search_rcu: EAGAIN if nothing is found.
func (t *Table) search(c Caller, root ref, s search) (ref, error) {
	if root.typ != keyring {
		return ref{}, unix.ENOTDIR
	}
	if !root.allows(c, needSearch) {
		return ref{}, unix.EACCES
	}
	s.c, s.possessed, s.err = c, root.possessed, unix.EAGAIN
	if root.index() == s.want && s.matches(root.Key) {
		if t.take(&s, root.Key) {
			return root, nil
		}
		return ref{}, s.err
	}
	if k := t.searchIn(&s, root.Key, 0); k != nil {
		return ref{k, root.possessed}, nil
	}
	return ref{}, s.err
}

func (s *search) matches(k *Key) bool { return s.is == nil || s.is == k }

// searchIn is search_nested_keyrings. A keyring is not searched again where as
// much of it was searched before: there may be many ways to it.
func (t *Table) searchIn(s *search, ring *Key, depth int) *Key {
	if ring.ended() {
		return nil
	}
	if k := ring.links[s.want]; k != nil && s.matches(k) && t.take(s, k) {
		return k
	}
	if depth >= maxDepth {
		return nil
	}
	for _, sub := range ring.subs {
		if at, seen := s.seen[sub]; seen && at <= depth || !(ref{sub, s.possessed}).allows(s.c, needSearch) {
			continue
		}
		if s.seen == nil {
			s.seen = map[*Key]int{}
		}
		s.seen[sub] = depth
		if k := t.searchIn(s, sub, depth+1); k != nil {
			return k
		}
	}
	return nil
}

// take is keyring_search_iterator: whether what was found will do.
func (t *Table) take(s *search, k *Key) bool {
	switch {
	case s.state && k.ended():
		s.err = unix.EKEYREVOKED
	case s.state && t.expired(k):
		if !s.skipExpired {
			s.err = unix.EKEYEXPIRED
		}
	case !(ref{k, s.possessed}).allows(s.c, needSearch):
		s.err = unix.EACCES
	case s.state && k.rejected:
		s.err = unix.ENOKEY
	default:
		return true
	}
	return false
}

// gcDelay is /proc/sys/kernel/keys/gc_delay: for how long a key stays in keyrings
// that has expired or was revoked, seconds.
const gcDelay = 300

// sweepBy sees that sweep runs at a time.
func (t *Table) sweepBy(when int64) {
	if t.nextSweep == 0 || when < t.nextSweep {
		t.nextSweep = when
	}
}

// dead tells whether a key is to go from where it is linked.
func (t *Table) dead(k *Key) bool {
	return k.invalid || k.expiry != 0 && t.now >= k.expiry+gcDelay
}

// sweep unlinks what is dead.
func (t *Table) sweep() {
	t.nextSweep = 0
	for _, ring := range t.keys {
		for _, k := range ring.links {
			if t.dead(k) {
				t.unlink(ring, k.index())
			}
		}
	}
	for uid, own := range t.userRings {
		if t.dead(own.user) || t.dead(own.session) {
			t.dropUserRings(uid)
		}
	}
	for uid, k := range t.persistent {
		if t.dead(k) {
			delete(t.persistent, uid)
			t.put(k)
		}
	}
	for _, k := range t.keys {
		if k.expiry != 0 && !t.dead(k) {
			t.sweepBy(k.expiry + gcDelay)
		}
	}
}
