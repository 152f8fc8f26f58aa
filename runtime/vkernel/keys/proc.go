package keys

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Proc is /proc/keys: the keys that the caller may view.
func (t *Table) Proc(c Caller) (b []byte) {
	defer t.enter()()
	mine := t.possessions(c)
	for _, id := range slices.Sorted(maps.Keys(t.keys)) {
		k := t.keys[id]
		if (ref{k, mine[k]}).allows(c, needView) {
			b = t.appendKey(b, k)
		}
	}
	return b
}

func (t *Table) appendKey(b []byte, k *Key) []byte {
	return fmt.Appendf(b, "%08x %s %5d %4s %08x %5d %5d %-9.9s %s\n", k.serial, k.flags(), k.refs, t.left(k), k.perm,
		shownID(k.uid), shownID(k.gid), k.typ.name, k.summary())
}

// flags are the letters of /proc/keys.
func (k *Key) flags() string {
	var s strings.Builder
	for _, f := range []struct {
		set    bool
		letter byte
	}{{true, 'I'}, {k.revoked, 'R'}, {false, 'D'}, {k.inQuota, 'Q'}, {false, 'U'}, {k.rejected, 'N'}, {k.invalid, 'i'}} {
		if !f.set {
			f.letter = '-'
		}
		s.WriteByte(f.letter)
	}
	return s.String()
}

// span is a unit that a time below some limit is shown in, seconds.
type span struct {
	below, unit int64
	letter      byte
}

var spans = [...]span{{60, 1, 's'}, {3600, 60, 'm'}, {86_400, 3600, 'h'}, {604_800, 86_400, 'd'}, {1 << 62, 604_800, 'w'}}

// left is the time that a key has left.
func (t *Table) left(k *Key) string {
	switch {
	case k.expiry == 0:
		return "perm"
	case t.expired(k):
		return "expd"
	}
	n, i := k.expiry-t.now, 0
	for n >= spans[i].below {
		i++
	}
	return fmt.Sprintf("%d%c", n/spans[i].unit, spans[i].letter)
}

// summary is what a type tells of a key.
func (k *Key) summary() string {
	switch {
	case k.rejected:
		return k.desc
	case k.typ != keyring:
		return fmt.Sprintf("%s: %d", k.desc, k.bytes)
	case len(k.links) == 0:
		return k.desc + ": empty"
	}
	return fmt.Sprintf("%s: %d", k.desc, len(k.links))
}

// ProcUsers is /proc/key-users.
func (t *Table) ProcUsers() (b []byte) {
	defer t.enter()()
	for _, uid := range slices.Sorted(maps.Keys(t.users)) {
		u := t.users[uid]
		keys, bytes := u.limits()
		b = fmt.Appendf(b, "%5d: %5d %d/%d %d/%d %d/%d\n", uid, u.all, u.all, u.all, u.keys, keys, u.bytes, bytes)
	}
	return b
}
