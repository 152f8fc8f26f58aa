package keys

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	thread  = unix.KEY_SPEC_THREAD_KEYRING
	process = unix.KEY_SPEC_PROCESS_KEYRING
	session = unix.KEY_SPEC_SESSION_KEYRING
)

func someone(uid uint32) Caller {
	return Caller{Rings: &Rings{}, UID: uid, GID: uid, EUID: uid, FSUID: uid, FSGID: uid}
}

func (t *Table) mustAdd(tb testing.TB, c Caller, typ, desc, payload string, ring int32) int32 {
	tb.Helper()
	id, err := t.Add(c, typ, desc, []byte(payload), ring)
	if err != nil {
		tb.Fatalf("adding %s: %v", desc, err)
	}
	return id
}

// check counts what there is anew. held are the Rings of tasks.
func (t *Table) check(tb testing.TB, held ...*Rings) {
	tb.Helper()
	defer t.enter()()
	refs, users, used := map[*Key]int{}, map[uint32]user{}, 0
	for _, r := range held {
		refs[r.thread]++
		refs[r.process]++
		refs[r.session]++
	}
	for _, own := range t.userRings {
		refs[own.user]++
		refs[own.session]++
	}
	for _, k := range t.persistent {
		refs[k]++
	}
	for _, k := range t.keys {
		used += keyCost + len(k.desc) + k.bytes + len(k.links)*linkCost
		u := users[k.owner.uid]
		u.uid = k.owner.uid
		u.all++
		if k.inQuota {
			u.add(1, k.quota())
		}
		users[u.uid] = u
		if k.typ == keyring && k.bytes != linkBytes*len(k.links) {
			tb.Errorf("%s: %d bytes of %d links", k.desc, k.bytes, len(k.links))
		}
		subs := 0
		for i, in := range k.links {
			refs[in]++
			if i != in.index() {
				tb.Errorf("%s is linked as %s", in.desc, i.desc)
			}
			if in.typ == keyring {
				subs++
			}
		}
		if subs != len(k.subs) {
			tb.Errorf("%s: %d keyrings, listed %d", k.desc, subs, len(k.subs))
		}
	}
	for _, k := range t.keys {
		if k.refs != refs[k] || k.refs == 0 {
			tb.Errorf("%s: %d references, counted %d", k.desc, k.refs, refs[k])
		}
	}
	if used != t.used {
		tb.Errorf("%d bytes used, counted %d", t.used, used)
	}
	for uid, u := range t.users {
		if *u != users[uid] {
			tb.Errorf("user %d: %+v, counted %+v", uid, *u, users[uid])
		}
	}
	if len(t.users) != len(users) {
		tb.Errorf("%d users, counted %d", len(t.users), len(users))
	}
}

// checkPossessions compares the two ways to tell what a caller possesses.
func (t *Table) checkPossessions(tb testing.TB, c Caller) {
	defer t.enter()()
	mine := t.possessions(c)
	for _, k := range t.keys {
		if mine[k] != t.possesses(c, k) {
			tb.Errorf("%s: possessed %v", k.desc, mine[k])
		}
	}
	if len(mine) == 0 {
		tb.Error("nothing is possessed")
	}
}

func TestNothingIsLeft(t *testing.T) {
	var table Table
	c := someone(7)
	ring := table.mustAdd(t, c, "keyring", "ring", "", session)
	table.mustAdd(t, c, "user", "key", "payload", ring)
	table.mustAdd(t, c, "user", "own", "payload", thread)
	if _, err := table.Request(c, "user", "none", true, process); err != unix.ENOENT {
		t.Error(err)
	}
	child := c
	child.Rings = table.Fork(c, true)
	table.check(t, c.Rings, child.Rings)
	table.Exec(child.Rings)
	table.Release(child.Rings)
	table.check(t, c.Rings)
	table.Release(c.Rings)
	table.Release(nil)
	table.check(t)
	if len(table.keys) != 2 { // the user's keyring and the user's session's
		t.Errorf("%d keys are left", len(table.keys))
	}
}

func TestGarbageIsCollected(t *testing.T) {
	now := int64(1000)
	table := Table{clock: func() int64 { return now }}
	c := someone(7)
	table.Join(c, nil)
	late, revoked := table.mustAdd(t, c, "user", "late", "x", session), table.mustAdd(t, c, "user", "revoked", "x", session)
	table.mustAdd(t, c, "user", "stays", "x", session)
	table.SetTimeout(c, late, 10)
	table.Revoke(c, revoked)
	for _, at := range []struct {
		when int64
		keys int
		err  error
	}{{1009, 3, nil}, {1010, 3, unix.EKEYEXPIRED}, {1299, 3, unix.EKEYEXPIRED}, {1300, 2, unix.EKEYEXPIRED}, {1310, 1, unix.ENOKEY}} {
		now = at.when
		b, _ := table.Read(c, session, 0)
		if _, err := table.Describe(c, late); err != at.err || len(b) != 4*at.keys {
			t.Errorf("at %d: %d keys, %v", now, len(b)/4, err)
		}
	}
	table.check(t, c.Rings)
	if table.nextSweep != 0 {
		t.Error("a sweep is still due")
	}
}

func TestPersistentKeyringExpires(t *testing.T) {
	now := int64(1000)
	table := Table{clock: func() int64 { return now }}
	c := someone(7)
	table.Join(c, nil)
	first, err := table.Persistent(c, keepID, session)
	if err != nil {
		t.Fatal(err)
	}
	now += persistentExpiry - 1
	if again, _ := table.Persistent(c, 7, session); again != first {
		t.Error("another one before it expired")
	}
	now += persistentExpiry + gcDelay
	if again, err := table.Persistent(c, 7, session); again == first || err != nil {
		t.Error("the same one after it expired", err)
	}
	table.check(t, c.Rings)
}

func TestChown(t *testing.T) {
	var table Table
	root := someone(0)
	k := table.mustAdd(t, root, "user", "key", "12345", session)
	if err := table.ChownKey(root, k, 7, keepID); err != unix.EACCES {
		t.Error("without the capability:", err)
	}
	root.Caps = 1 << unix.CAP_SYS_ADMIN
	if err := table.ChownKey(root, k, 7, 8); err != nil {
		t.Fatal(err)
	}
	table.check(t, root.Rings)
	if s, _ := table.Describe(root, k); s != "user;7;8;3f010000;key" {
		t.Error(s)
	}
	if u := table.users[7]; u == nil || u.keys != 1 || u.bytes != 4+5 {
		t.Errorf("%+v", u)
	}
	big := table.mustAdd(t, root, "user", "big", strings.Repeat("x", maxBytes), session)
	if err := table.ChownKey(root, big, 7, keepID); err != unix.EDQUOT {
		t.Error("above the quota:", err)
	}
	table.check(t, root.Rings)
}

// TestTotal fills the memory with keys of root, whose quota is more.
func TestTotal(t *testing.T) {
	var table Table
	root := someone(0)
	var err error
	for n := 0; err == nil; n++ {
		// Most of a link and a short key is what they take beside their text.
		_, err = table.Add(root, "user", fmt.Sprint(n), []byte("x"), session)
		if n == 1000 {
			table.used += maxTotal - 2*table.used // as if there were many more
		}
	}
	if err != unix.ENOMEM || table.used > maxTotal {
		t.Errorf("%d bytes, %v", table.used, err)
	}
	if _, err := table.Request(root, "user", "none", true, session); err != unix.ENOMEM {
		t.Error(err)
	}
}

// TestManyWays has keyrings whose ways to each other are too many to go.
func TestManyWays(t *testing.T) {
	var table Table
	c := someone(0)
	table.Join(c, nil)
	const width = 30
	var below [width]int32
	for level := 0; level < maxDepth; level++ {
		var rings [width]int32
		for i := range rings {
			rings[i] = table.mustAdd(t, c, "keyring", fmt.Sprintf("%d-%d", level, i), "", session)
			for _, sub := range below {
				if sub == 0 {
					continue
				}
				if err := table.Link(c, sub, rings[i]); err != nil {
					t.Fatal(err)
				}
			}
		}
		below = rings
	}
	start := time.Now()
	if _, err := table.Request(c, "user", "none", false, 0); err != unix.ENOKEY {
		t.Error(err)
	}
	if err := table.Link(c, session, below[0]); err != unix.EDEADLK && err != unix.ELOOP {
		t.Error(err)
	}
	table.Proc(c)
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("took %v", d)
	}
	table.checkPossessions(t, c)
	table.check(t, c.Rings)
	table.Release(c.Rings)
	table.check(t)
}

// TestLongChain has keyrings in each other whose end must not need as much
// stack.
func TestLongChain(t *testing.T) {
	var table Table
	c := someone(0)
	c.Caps = 1 << unix.CAP_SYS_ADMIN
	at := int32(session)
	for range 20_000 {
		k := table.mustAdd(t, c, "keyring", "ring", "", at)
		table.keys[k].perm |= needAll << owner // far down it is not possessed
		at = k
	}
	table.Release(c.Rings)
	table.check(t)
}

// TestMoveOutOfWhatMakesWay moves a keyring out of one that only the one it
// takes the place of leads to.
func TestMoveOutOfWhatMakesWay(t *testing.T) {
	var table Table
	c := someone(0)
	to := table.mustAdd(t, c, "keyring", "to", "", session)
	old := table.mustAdd(t, c, "keyring", "same", "", to)
	from := table.mustAdd(t, c, "keyring", "from", "", old)
	k := table.mustAdd(t, c, "keyring", "same", "", from)
	if err := table.Move(c, k, from, to, 0); err != nil {
		t.Fatal(err)
	}
	table.check(t, c.Rings)
	if _, err := table.Describe(c, from); err != unix.ENOKEY {
		t.Error("it is still there:", err)
	}
}

// TestHammer has tasks do all there is to keys that they share.
func TestHammer(t *testing.T) {
	var table Table
	root := someone(0)
	table.Join(root, nil)
	common := table.mustAdd(t, root, "keyring", "common", "", session)
	table.SetPerm(root, common, permMask)
	var wg sync.WaitGroup
	rings := []*Rings{root.Rings}
	for n := range 8 {
		c := root
		if n%2 == 1 {
			c = someone(uint32(n))
			c.Rings = root.Rings
		}
		c.Rings = table.Fork(c, n%3 == 0)
		rings = append(rings, c.Rings)
		wg.Add(1)
		go func() {
			defer wg.Done()
			table.hammer(c, root, common, rand.New(rand.NewPCG(1, uint64(n))))
		}()
	}
	wg.Wait()
	table.check(t, rings...)
	table.checkPossessions(t, root)
	for _, r := range rings {
		table.Release(r)
	}
	table.check(t)
}

func (t *Table) hammer(c, parent Caller, common int32, r *rand.Rand) {
	ids := []int32{common, thread, process, session, unix.KEY_SPEC_USER_KEYRING, unix.KEY_SPEC_USER_SESSION_KEYRING, 0, -9}
	id := func() int32 { return ids[r.IntN(len(ids))] }
	name := func() string { return fmt.Sprintf("k%d", r.IntN(6)) }
	keep := func(id int32, err error) {
		if err == nil && id > 0 {
			ids[r.IntN(len(ids))] = id
			ids[0] = common
		}
	}
	calls := []func(){
		func() { keep(t.Add(c, "user", name(), make([]byte, 1+r.IntN(50)), id())) },
		func() { keep(t.Add(c, "keyring", name(), nil, id())) },
		func() { keep(t.Add(c, "logon", name()+":", []byte("x"), id())) },
		func() { keep(t.Request(c, "user", name(), r.IntN(2) == 0, id())) },
		func() { keep(t.Search(c, id(), "keyring", name(), id())) },
		func() { keep(t.ID(c, id(), true)) },
		func() { keep(t.Persistent(c, c.UID, id())) },
		func() { t.Update(c, id(), []byte("update")) },
		func() { t.Link(c, id(), id()) },
		func() { t.Link(c, id(), id()) },
		func() { t.Unlink(c, id(), id()) },
		func() { t.Move(c, id(), id(), id(), uint32(r.IntN(2))) },
		func() { t.SetPerm(c, id(), permMask) },
		func() { t.SetTimeout(c, id(), uint32(r.IntN(2))*100) },
		func() { t.Describe(c, id()) },
		func() { t.Read(c, id(), 0) },
		func() { t.Security(c, id()) },
		func() { t.ChownKey(c, id(), keepID, c.GID) },
		func() { t.SetRequest(c, r.IntN(9)-1) },
		func() { t.Proc(c) },
		func() { t.ProcUsers() },
		func() { t.ToParent(c, &Parent{Rings: parent.Rings, Same: true}) },
		func() { t.Chown(c.Rings, c.FSUID, c.FSGID) },
		func() { r := t.Fork(c, true); t.Exec(r); t.Release(r) },
	}
	rare := []func(){
		func() { t.Revoke(c, id()) },
		func() { t.Invalidate(c, id()) },
		func() { t.Clear(c, id()) },
		func() { t.Restrict(c, id(), nil) },
		func() { t.Join(c, nil) },
		func() { n := name(); t.Join(c, &n) },
		func() { t.Exec(c.Rings) },
	}
	for range 3000 {
		calls[r.IntN(len(calls))]()
		if r.IntN(20) == 0 {
			rare[r.IntN(len(rare))]()
		}
	}
}
