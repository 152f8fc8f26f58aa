package wasm

import "github.com/megabin/megabin/converter/ir"

// readList has the slots that the parts of blocks read: part 0 is a block's
// poll, part k+1 its statement k, the last one its end.
type readList struct {
	slots []int32
	ends  []int32 // of each part, in slots
	first []int32 // by block position: its poll, in ends
}

func (r *readList) reset() { r.slots, r.ends, r.first = r.slots[:0], r.ends[:0], r.first[:0] }

func (r *readList) endPart() { r.ends = append(r.ends, int32(len(r.slots))) }

// bounds gives where the slots of parts from … to−1 of block i are.
func (r *readList) bounds(i, from, to int) (begin, end int32) {
	at := int(r.first[i])
	if at+from > 0 {
		begin = r.ends[at+from-1]
	}
	return begin, r.ends[at+to-1]
}

// parts is the number of block i's parts.
func (r *readList) parts(i int) int {
	if i+1 < len(r.first) {
		return int(r.first[i+1] - r.first[i])
	}
	return len(r.ends) - int(r.first[i])
}

// all gives what block i reads, in order.
func (r *readList) all(i int) []int32 {
	begin, end := r.bounds(i, 0, r.parts(i))
	return r.slots[begin:end]
}

// findReads goes through all blocks.
func (c *compiler) findReads() {
	r := &c.reads
	for i, b := range c.cfg.Order {
		r.first = append(r.first, int32(len(r.ends)))
		for _, p := range b.Poll {
			if !p.Kept {
				c.read(p.Value)
			}
		}
		r.endPart()
		for _, v := range c.stmts[i] {
			c.readAll(evaluated(v))
			if v.Op == ir.Call && c.linAt >= 0 {
				r.slots = append(r.slots, c.linAt)
			}
			r.endPart()
		}
		c.readEnd(b)
		r.endPart()
	}
}

func (c *compiler) readEnd(b *ir.Block) {
	if b.Term.Cond != nil {
		c.read(b.Term.Cond)
	}
	c.readAll(b.Term.Args)
	for i := range b.Term.Succs {
		e := &b.Term.Succs[i]
		for k, p := range e.To.Params {
			if c.isUsed(p) {
				c.read(e.Args[k])
			}
		}
	}
}

// read notes the slots that making v reads.
func (c *compiler) read(v *ir.Value) {
	v = c.canon(v)
	if s := c.slotOf(v); s >= 0 {
		c.reads.slots = append(c.reads.slots, s)
		return
	}
	c.readAll(evaluated(v))
}

func (c *compiler) readAll(vs []*ir.Value) {
	for _, v := range vs {
		c.read(v)
	}
}
