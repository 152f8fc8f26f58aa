package keys

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Rings are the keyrings of a task, struct cred's. Each task has its own,
// though some of the keyrings may be others' too.
type Rings struct {
	thread, process, session *Key // each with a reference; nil: there is none yet
	request                  int  // KEYCTL_SET_REQKEY_KEYRING
}

// userRings are the keyrings of a user, which stay.
type userRings struct {
	user, session *Key
}

// Rights to keyrings that the table makes.
const (
	permRing    = needAll<<possessor | needView<<owner
	permSession = needAll<<possessor | (needView|needRead)<<owner
	permNamed   = permSession | needLink<<owner
	permUser    = (needAll&^needSetattr)<<possessor | needAll<<owner
	permKept    = (needAll&^needSetattr)<<possessor | (needView|needRead)<<owner
)

// Fork is what a new task begins with, of those of c: a thread has its process's
// keyring, and a keyring of its own if its maker has one; a process has neither.
func (t *Table) Fork(c Caller, thread bool) *Rings {
	defer t.enter()()
	old := c.Rings
	r := &Rings{session: old.session, request: old.request}
	retain(r.session)
	if !thread {
		return r
	}
	r.process = old.process
	retain(r.process)
	if old.thread != nil {
		// There is no quota that could refuse it, only memory: then it is
		// made when it is first used.
		r.thread, _ = t.newRing(c, "_tid", permRing, true)
	}
	return r
}

func retain(k *Key) {
	if k != nil {
		k.refs++
	}
}

// Exec is what execve does: the thread's and the process's keyring go.
func (t *Table) Exec(r *Rings) {
	defer t.enter()()
	t.set(&r.thread, nil)
	t.set(&r.process, nil)
}

// Release is what a task's end does. r may be nil.
func (t *Table) Release(r *Rings) {
	if r == nil {
		return
	}
	defer t.enter()()
	t.set(&r.thread, nil)
	t.set(&r.process, nil)
	t.set(&r.session, nil)
}

// Chown gives the thread's keyring the user and group for files that the task
// has now.
func (t *Table) Chown(r *Rings, fsuid, fsgid uint32) {
	defer t.enter()()
	if r.thread != nil {
		r.thread.uid, r.thread.gid = fsuid, fsgid
	}
}

// set replaces a keyring of Rings; the caller's reference to k is its.
func (t *Table) set(at **Key, k *Key) {
	old := *at
	*at = k
	if old != nil {
		t.put(old)
	}
}

// newRing makes a keyring of the caller's.
func (t *Table) newRing(c Caller, name string, perm uint32, overrun bool) (*Key, error) {
	return t.alloc(spec{typ: keyring, desc: name, uid: c.UID, gid: c.GID, perm: perm, overrun: overrun})
}

// ensure makes a keyring of the task if it has none.
func (t *Table) ensure(c Caller, at **Key, name string) error {
	if *at != nil {
		return nil
	}
	k, err := t.newRing(c, name, permRing, true)
	*at = k
	return err
}

// ofUser is look_up_user_keyrings. What was revoked or has expired is none.
func (t *Table) ofUser(c Caller) (*userRings, error) {
	own := t.userRings[c.UID]
	if own != nil {
		if t.validate(own.user) != nil || t.validate(own.session) != nil {
			return nil, unix.ENOKEY
		}
		return own, nil
	}
	u, err := t.newUserRing(c, "_uid.%d")
	if err != nil {
		return nil, unix.ENOKEY
	}
	s, err := t.newUserRing(c, "_uid_ses.%d")
	if err == nil {
		if err = t.insert(s, u); err != nil {
			t.put(s)
		}
	}
	if err != nil {
		t.put(u)
		return nil, unix.ENOKEY
	}
	own = &userRings{u, s}
	t.userRings[c.UID] = own
	return own, nil
}

func (t *Table) newUserRing(c Caller, name string) (*Key, error) {
	k, err := t.alloc(spec{typ: keyring, desc: fmt.Sprintf(name, c.UID), uid: c.UID, gid: noGID, perm: permUser})
	if err == nil {
		k.userRing = true
	}
	return k, err
}

func (t *Table) dropUserRings(uid uint32) {
	own := t.userRings[uid]
	delete(t.userRings, uid)
	t.put(own.user)
	t.put(own.session)
}

// specials are the keys that a caller names by what they are: KEY_SPEC_*.
var specials = map[int32]func(t *Table, c Caller, make bool) (*Key, error){
	unix.KEY_SPEC_THREAD_KEYRING: func(t *Table, c Caller, make bool) (*Key, error) {
		return t.taskRing(c, &c.Rings.thread, "_tid", make)
	},
	unix.KEY_SPEC_PROCESS_KEYRING: func(t *Table, c Caller, make bool) (*Key, error) {
		return t.taskRing(c, &c.Rings.process, "_pid", make)
	},
	unix.KEY_SPEC_SESSION_KEYRING: (*Table).sessionRing,
	unix.KEY_SPEC_USER_KEYRING: func(t *Table, c Caller, _ bool) (*Key, error) {
		own, err := t.ofUser(c)
		if err != nil {
			return nil, err
		}
		return own.user, nil
	},
	unix.KEY_SPEC_USER_SESSION_KEYRING: func(t *Table, c Caller, _ bool) (*Key, error) {
		own, err := t.ofUser(c)
		if err != nil {
			return nil, err
		}
		return own.session, nil
	},
	unix.KEY_SPEC_REQKEY_AUTH_KEY:   noAuthority,
	unix.KEY_SPEC_REQUESTOR_KEYRING: noAuthority,
}

func noAuthority(*Table, Caller, bool) (*Key, error) { return nil, unix.ENOKEY }

// taskRing is a keyring of the task, ENOKEY if there is none and none is to be made.
func (t *Table) taskRing(c Caller, at **Key, name string, make bool) (*Key, error) {
	if *at == nil && !make {
		return nil, unix.ENOKEY
	}
	err := t.ensure(c, at, name)
	return *at, err
}

// sessionRing is the session's keyring: without one it is the user's, but where
// something is to be put there is a new one.
func (t *Table) sessionRing(c Caller, make bool) (*Key, error) {
	r := c.Rings
	if r.session == nil {
		own, err := t.ofUser(c)
		if err != nil {
			return nil, err
		}
		if !make {
			own.session.refs++
			r.session = own.session
		}
	}
	if make && (r.session == nil || r.session.userRing) {
		if err := t.newSession(c); err != nil {
			return nil, err
		}
	}
	return r.session, nil
}

// newSession joins a new session keyring without a name.
func (t *Table) newSession(c Caller) error {
	k, err := t.newRing(c, "_ses", permSession, c.Rings.session == nil)
	if err != nil {
		return err
	}
	t.set(&c.Rings.session, k)
	return nil
}

// Join is KEYCTL_JOIN_SESSION_KEYRING; nil is no name. The result is 0 if the
// caller has that session's keyring.
func (t *Table) Join(c Caller, name *string) (int32, error) {
	if name != nil && strings.HasPrefix(*name, ".") {
		return 0, unix.EPERM
	}
	defer t.enter()()
	if name == nil {
		if err := t.newSession(c); err != nil {
			return 0, err
		}
		return c.Rings.session.serial, nil
	}
	k := t.named(c, *name)
	if k != nil && k == c.Rings.session {
		return 0, nil
	}
	if k == nil {
		var err error
		if k, err = t.newRing(c, *name, permNamed, false); err != nil {
			return 0, err
		}
	} else {
		k.refs++
	}
	t.set(&c.Rings.session, k)
	return k.serial, nil
}

// named is find_keyring_by_name: the oldest that the caller may search.
func (t *Table) named(c Caller, name string) (found *Key) {
	for _, k := range t.keys {
		if k.typ == keyring && k.desc == name && !k.revoked && (ref{k, false}).allows(c, needSearch) &&
			(found == nil || k.order < found.order) {
			found = k
		}
	}
	return found
}

// SetRequest is KEYCTL_SET_REQKEY_KEYRING: where keys go that are made on
// request. The result is what it was.
func (t *Table) SetRequest(c Caller, to int) (old int, err error) {
	defer t.enter()()
	old = c.Rings.request
	switch to {
	case unix.KEY_REQKEY_DEFL_NO_CHANGE:
		return old, nil
	case unix.KEY_REQKEY_DEFL_THREAD_KEYRING:
		err = t.ensure(c, &c.Rings.thread, "_tid")
	case unix.KEY_REQKEY_DEFL_PROCESS_KEYRING:
		err = t.ensure(c, &c.Rings.process, "_pid")
	case unix.KEY_REQKEY_DEFL_DEFAULT, unix.KEY_REQKEY_DEFL_SESSION_KEYRING, unix.KEY_REQKEY_DEFL_USER_KEYRING,
		unix.KEY_REQKEY_DEFL_USER_SESSION_KEYRING, unix.KEY_REQKEY_DEFL_REQUESTOR_KEYRING:
	default:
		err = unix.EINVAL
	}
	if err == nil {
		c.Rings.request = to
	}
	return old, err
}

// defaultRing is where a key goes that is made on request:
// construct_get_dest_keyring.
func (t *Table) defaultRing(c Caller) (*Key, error) {
	r, k := c.Rings, (*Key)(nil)
	switch r.request {
	case unix.KEY_REQKEY_DEFL_DEFAULT, unix.KEY_REQKEY_DEFL_REQUESTOR_KEYRING, unix.KEY_REQKEY_DEFL_THREAD_KEYRING:
		k = first(r.thread, r.process, r.session)
	case unix.KEY_REQKEY_DEFL_PROCESS_KEYRING:
		k = first(r.process, r.session)
	case unix.KEY_REQKEY_DEFL_SESSION_KEYRING:
		k = r.session
	}
	if k == nil {
		own, err := t.ofUser(c)
		if err != nil {
			return nil, err
		}
		k = own.session
		if r.request == unix.KEY_REQKEY_DEFL_USER_KEYRING {
			k = own.user
		}
	}
	if !(ref{k, true}).allows(c, needWrite) {
		return nil, unix.EACCES
	}
	return k, nil
}

func first(list ...*Key) *Key {
	for _, k := range list {
		if k != nil {
			return k
		}
	}
	return nil
}

// Parent is the process that may be given a session keyring.
type Parent struct {
	Rings *Rings
	// Same: all user and group ids are the effective ones of its child.
	Same bool
}

// ToParent is KEYCTL_SESSION_TO_PARENT. p is nil if the parent may not be
// given any.
func (t *Table) ToParent(c Caller, p *Parent) error {
	defer t.enter()()
	if _, err := t.lookup(c, unix.KEY_SPEC_SESSION_KEYRING, 0, needLink); err != nil {
		return err
	}
	mine := c.Rings.session
	switch {
	case p == nil:
		return unix.EPERM
	case p.Rings.session == mine:
		return nil
	case !p.Same, mine.uid != c.EUID, p.Rings.session != nil && p.Rings.session.uid != c.EUID:
		return unix.EPERM
	}
	mine.refs++
	t.set(&p.Rings.session, mine)
	return nil
}
