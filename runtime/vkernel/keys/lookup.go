package keys

import "golang.org/x/sys/unix"

// lookupFlags say what lookup is to find besides usable keys.
type lookupFlags uint8

const (
	create   lookupFlags = 1 << iota // make the task's keyring that is named
	partial                          // a negative key will do
	anyState                         // so will one that was revoked or has expired
)

// lookup is lookup_user_key: the key with a serial number or a special id, to
// which the caller has the rights need.
func (t *Table) lookup(c Caller, id int32, flags lookupFlags, need uint32) (ref, error) {
	r, err := t.byID(c, id, flags&create != 0)
	if err != nil {
		return ref{}, err
	}
	if flags&anyState == 0 {
		if r.rejected && flags&partial == 0 {
			return ref{}, unix.ENOKEY
		}
		if err := t.validate(r.Key); err != nil {
			return ref{}, err
		}
	}
	if !r.allows(c, need) {
		return ref{}, unix.EACCES
	}
	return r, nil
}

// byID is the key with an id, usable or not.
func (t *Table) byID(c Caller, id int32, make bool) (ref, error) {
	if special := specials[id]; special != nil {
		k, err := special(t, c, make)
		return ref{k, true}, err
	}
	if id < 1 {
		return ref{}, unix.EINVAL
	}
	k := t.keys[id]
	if k == nil {
		return ref{}, unix.ENOKEY
	}
	return ref{k, t.possesses(c, k)}, nil
}

// possesses tells whether a key is found from the caller's keyrings.
func (t *Table) possesses(c Caller, k *Key) bool {
	_, err := t.searchMine(c, search{want: k.index(), is: k})
	return err == nil
}

// searchMine is search_cred_keyrings_rcu. An error is a negative key's before
// that nothing was found, and that before any other.
func (t *Table) searchMine(c Caller, s search) (ref, error) {
	var none, failed error
	for _, ring := range t.searched(c) {
		if ring == nil {
			continue
		}
		k, err := t.search(c, ref{ring, true}, s)
		switch {
		case err == nil:
			return k, nil
		case err == unix.ENOKEY, err == unix.EAGAIN && none == nil:
			none = err
		case err != unix.EAGAIN:
			failed = err
		}
	}
	switch {
	case none != nil:
		return ref{}, none
	case failed != nil:
		return ref{}, failed
	}
	return ref{}, unix.EAGAIN
}

// searched are the keyrings from which keys are the caller's, or nil.
func (t *Table) searched(c Caller) [3]*Key {
	r := c.Rings
	session := r.session
	if session == nil {
		if own := t.userRings[c.UID]; own != nil {
			session = own.session
		}
	}
	return [...]*Key{r.thread, r.process, session}
}

// possessions is all that the caller possesses: for which possesses would look
// for one key after the other.
type possessions struct {
	c    Caller
	keys map[*Key]bool
	seen map[*Key]int // at how little depth a keyring was
}

func (t *Table) possessions(c Caller) map[*Key]bool {
	p := possessions{c, map[*Key]bool{}, map[*Key]int{}}
	for _, ring := range t.searched(c) {
		if ring != nil && p.takes(ring) {
			p.collect(ring, 0)
		}
	}
	return p.keys
}

// takes adds what may be found.
func (p *possessions) takes(k *Key) bool {
	found := ref{k, true}.allows(p.c, needSearch)
	if found {
		p.keys[k] = true
	}
	return found
}

func (p *possessions) collect(ring *Key, depth int) {
	if at, seen := p.seen[ring]; seen && at <= depth || ring.ended() {
		return
	}
	p.seen[ring] = depth
	for _, k := range ring.links {
		if p.takes(k) && k.typ == keyring && depth < maxDepth {
			p.collect(k, depth+1)
		}
	}
}
