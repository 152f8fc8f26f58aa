// Package keys is the kernel's key retention service: keys, the keyrings they
// are in, who may do what with them and how many a user may have, as
// keyrings(7), keyctl(2) and Linux' security/keys/*.c have them. It knows
// nothing of tasks or guest memory: who asks is a Caller, what a task has of
// its own are Rings, and nothing here blocks.
//
// A key lives while something leads to it: a keyring, a task's Rings, or the
// table's keyrings of users. There is nobody to make keys on request
// (/sbin/request-key), so that no key is ever under construction and no
// authority to construct one exists.
//
// Lock order: Table.mu is a leaf and guards all that there is, Rings too.
package keys

import (
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Caller is who asks.
type Caller struct {
	Rings        *Rings
	UID, GID     uint32 // real
	EUID         uint32
	FSUID, FSGID uint32
	Groups       []uint32
	Caps         uint64 // effective capabilities, 1<<CAP_*
}

func (c Caller) has(capability int) bool { return c.Caps>>capability&1 != 0 }

func (c Caller) inGroup(gid uint32) bool { return gid == c.FSGID || slices.Contains(c.Groups, gid) }

// Table is the keys of a container. Its zero value has none.
type Table struct {
	mu         sync.Mutex
	keys       map[int32]*Key
	users      map[uint32]*user
	userRings  map[uint32]*userRings
	persistent map[uint32]*Key // keyrings, each with a reference
	used       int             // bytes of ours
	made       uint64          // keys so far
	now        int64           // seconds since 1970, of the call that has the lock
	nextSweep  int64           // when sweep may find something; 0: never
	clock      func() int64    // nil: the host's
}

// enter begins a call: it locks the table. What it returns ends the call.
func (t *Table) enter() (leave func()) {
	t.mu.Lock()
	if t.keys == nil {
		t.keys, t.users = map[int32]*Key{}, map[uint32]*user{}
		t.userRings, t.persistent = map[uint32]*userRings{}, map[uint32]*Key{}
	}
	if t.clock != nil {
		t.now = t.clock()
	} else {
		t.now = time.Now().Unix()
	}
	if t.nextSweep != 0 && t.now >= t.nextSweep {
		t.sweep()
	}
	return t.mu.Unlock
}

// Add is add_key: a new key in a keyring, or a new payload of the one that is
// there.
func (t *Table) Add(c Caller, typ, desc string, payload []byte, ring int32) (int32, error) {
	if typ == keyring.name && strings.HasPrefix(desc, ".") {
		return 0, unix.EPERM
	}
	defer t.enter()()
	r, err := t.lookup(c, ring, create, needWrite)
	if err != nil {
		return 0, err
	}
	kt := types[typ]
	switch {
	case kt == nil:
		return 0, unix.ENODEV
	case r.typ != keyring:
		return 0, unix.ENOTDIR
	}
	if err := kt.check(payload); err != nil {
		return 0, err
	}
	if r.restricted {
		return 0, unix.EPERM
	}
	if old := r.links[index{kt, desc}]; old != nil && kt.update && !old.ended() {
		return old.serial, t.update(c, ref{old, r.possessed}, payload)
	}
	k, err := t.instantiate(c, kt, desc, payload)
	if err != nil {
		return 0, err
	}
	defer t.put(k)
	return k.serial, t.insert(r.Key, k)
}

// instantiate makes a key for the caller, who gets the reference.
func (t *Table) instantiate(c Caller, kt *keyType, desc string, payload []byte) (*Key, error) {
	k, err := t.alloc(spec{typ: kt, desc: desc, uid: c.FSUID, gid: c.FSGID, perm: kt.perm()})
	if err != nil {
		return nil, err
	}
	if err := t.reserve(k, len(payload)); err != nil {
		t.put(k)
		return nil, err
	}
	k.payload = slices.Clone(payload)
	return k, nil
}

// Request is request_key. With a callout somebody is to be asked for what is
// not found: nobody is there, which is remembered for a minute.
func (t *Table) Request(c Caller, typ, desc string, callout bool, dest int32) (int32, error) {
	defer t.enter()()
	var to *Key
	if dest != 0 {
		r, err := t.lookup(c, dest, create, needWrite)
		if err != nil {
			return 0, err
		}
		to = r.Key
	}
	kt := types[typ]
	if kt == nil {
		return 0, unix.ENOKEY
	}
	k, err := t.searchMine(c, search{want: index{kt, desc}, state: true, skipExpired: true})
	switch {
	case err == nil:
		return k.serial, t.linkFound(c, to, k)
	case err != unix.EAGAIN:
		return 0, err
	case !callout:
		return 0, unix.ENOKEY
	}
	return 0, t.reject(c, kt, desc, to)
}

// negativeTimeout is key_negative_timeout, seconds.
const negativeTimeout = 60

// reject is the construction of a key that nobody can construct:
// construct_key_and_link without /sbin/request-key.
func (t *Table) reject(c Caller, kt *keyType, desc string, to *Key) error {
	if kt == keyring {
		return unix.EPERM
	}
	if to == nil {
		var err error
		if to, err = t.defaultRing(c); err != nil {
			return err
		}
	}
	k, err := t.instantiate(c, kt, desc, nil)
	if err != nil {
		return err
	}
	defer t.put(k)
	k.rejected = true
	t.expire(k, negativeTimeout)
	if err := t.insert(to, k); err != nil {
		return err
	}
	return unix.ENOENT
}

// Search is KEYCTL_SEARCH.
func (t *Table) Search(c Caller, ring int32, typ, desc string, dest int32) (int32, error) {
	defer t.enter()()
	r, err := t.lookup(c, ring, 0, needSearch)
	if err != nil {
		return 0, err
	}
	var to *Key
	if dest != 0 {
		d, err := t.lookup(c, dest, create, needWrite)
		if err != nil {
			return 0, err
		}
		to = d.Key
	}
	kt := types[typ]
	if kt == nil {
		return 0, unix.ENOKEY
	}
	k, err := t.search(c, r, search{want: index{kt, desc}, state: true})
	if err == unix.EAGAIN {
		err = unix.ENOKEY
	}
	if err != nil {
		return 0, err
	}
	return k.serial, t.linkFound(c, to, k)
}

// linkFound puts what was found in a keyring, if one is wanted.
func (t *Table) linkFound(c Caller, to *Key, k ref) error {
	switch {
	case to == nil:
		return nil
	case !k.allows(c, needLink):
		return unix.EACCES
	}
	return t.link(to, k.Key)
}
