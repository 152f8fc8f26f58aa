package opt

import "github.com/megabin/megabin/converter/ir"

// key identifies a computation.
type key struct {
	aux, aux2 int64
	args      [3]int32 // see number
	op        ir.Op
	typ       ir.Type
}

// number identifies an operand of a function; 0 is none.
func number(v *ir.Value) int32 { return v.ID + 1 }

func keyOf(v *ir.Value) key {
	k := key{op: v.Op, typ: v.Type, aux: v.Aux, aux2: v.Aux2}
	for i, a := range v.Args[:min(len(v.Args), len(k.args))] {
		k.args[i] = number(a)
	}
	return k
}

func (k *key) hash() uint64 {
	const odd = 0x9e3779b97f4a7c15 // 2⁶⁴ divided by the golden ratio
	h := uint64(k.op)<<32 ^ uint64(uint32(k.args[0]))
	h = h*odd ^ uint64(k.aux)
	h = h*odd ^ uint64(k.aux2)
	h = h*odd ^ uint64(uint32(k.args[1]))<<32 ^ uint64(uint32(k.args[2]))
	h *= odd
	return h ^ h>>32
}

// computed is what is known to be computed on the way from a function's
// beginning to where cse is. It can go back along that way.
type computed struct {
	entries []entry // in the order in which they were learnt
	newest  []int32 // hash table: the last entry with that hash, or -1
	since   int32   // entries before this one are forgotten
	gone    []gone  // those forgotten one by one, in order
	load    int32   // the last load that is not gone, or -1
}

type entry struct {
	key
	gone         bool
	before       int32 // the last entry in front of it with the same place in the table, or -1
	newer, older int32 // the next loads that are not gone, or -1
	value        *ir.Value
}

// gone is an entry that was forgotten when so many were learnt.
type gone struct {
	entry  int32
	learnt int
}

func newComputed() *computed {
	c := &computed{load: -1}
	c.grow()
	return c
}

// mark is a place on the way.
type mark struct {
	entries, gone int
	since         int32
}

func (c *computed) mark() mark { return mark{len(c.entries), len(c.gone), c.since} }

// backTo makes known what was at m, and nothing else.
func (c *computed) backTo(m mark) {
	c.since = m.since
	for i := len(c.gone) - 1; i >= m.gone; i-- {
		g := c.gone[i]
		c.unlearn(g.learnt)
		c.entries[g.entry].gone = false
		c.link(g.entry)
	}
	c.gone = c.gone[:m.gone]
	c.unlearn(m.entries)
}

// unlearn drops all entries but the first n.
func (c *computed) unlearn(n int) {
	for i := len(c.entries) - 1; i >= n; i-- {
		e := &c.entries[i]
		*c.place(&e.key) = e.before
		c.unlink(int32(i))
		e.value = nil
	}
	c.entries = c.entries[:n]
}

// find returns the value that is known for k, or nil.
func (c *computed) find(k key) *ir.Value {
	if i := c.index(&k); i >= 0 {
		return c.entries[i].value
	}
	return nil
}

// index looks from the newest entry on: what is forgotten, most of it equal to what
// was learnt again since, is not gone through.
func (c *computed) index(k *key) int32 {
	for i := *c.place(k); i >= c.since; i = c.entries[i].before {
		if e := &c.entries[i]; !e.gone && e.key == *k {
			return i
		}
	}
	return -1
}

// learn notes that v is the value for k. Precondition: none is known.
func (c *computed) learn(k key, v *ir.Value) {
	if len(c.entries) == len(c.newest) {
		c.grow()
	}
	i, at := int32(len(c.entries)), c.place(&k)
	c.entries = append(c.entries, entry{key: k, value: v, before: *at, newer: -1, older: c.load})
	*at = i
	c.link(i)
}

// place is k's in the hash table.
func (c *computed) place(k *key) *int32 { return &c.newest[k.hash()&uint64(len(c.newest)-1)] }

func (c *computed) grow() {
	c.newest = make([]int32, max(1024, 2*len(c.newest)))
	for i := range c.newest {
		c.newest[i] = -1
	}
	for i := range c.entries {
		e := &c.entries[i]
		at := c.place(&e.key)
		e.before, *at = *at, int32(i)
	}
}

// link puts load i back between the loads that were its neighbours.
func (c *computed) link(i int32) {
	e := &c.entries[i]
	if !isLoad(e.op) {
		return
	}
	if e.older >= 0 {
		c.entries[e.older].newer = i
	}
	if e.newer >= 0 {
		c.entries[e.newer].older = i
	} else {
		c.load = i
	}
}

// unlink is the inverse of link.
func (c *computed) unlink(i int32) {
	e := &c.entries[i]
	if !isLoad(e.op) {
		return
	}
	if e.older >= 0 {
		c.entries[e.older].newer = e.newer
	}
	if e.newer >= 0 {
		c.entries[e.newer].older = e.older
	} else {
		c.load = e.older
	}
}

func (c *computed) forgetAll() { c.since = int32(len(c.entries)) }

func (c *computed) forget(k key) {
	if i := c.index(&k); i >= 0 {
		c.drop(i)
	}
}

// forgetLoads forgets the loads for which changed is true.
func (c *computed) forgetLoads(changed func(*key) bool) {
	for i := c.load; i >= c.since; i = c.entries[i].older {
		if changed(&c.entries[i].key) {
			c.drop(i)
		}
	}
}

func (c *computed) drop(i int32) {
	c.entries[i].gone = true
	c.unlink(i)
	c.gone = append(c.gone, gone{i, len(c.entries)})
}
