package ipc

import (
	"golang.org/x/sys/unix"
)

// An id is an index in a table, and a number that tells its users one after
// the other apart (IPCMNI_SHIFT).
const (
	indexBits = 15
	indexMask = 1<<indexBits - 1
	maxSeq    = 1<<16 - 1
)

// object is what a table holds.
type object interface {
	perm() *Perm
}

// table finds objects by id and by key. The family's mutex guards it.
type table[T object] struct {
	objects map[int]T // by index
	limit   int
	seq     uint16
}

// get is what shmget, semget and msgget have in common: the object with the
// key, which check may refuse, or a new one.
func (t *table[T]) get(c Caller, key int32, flags int, check func(T) error, create func(Perm) (T, error)) (id int, err error) {
	if key != Private {
		for i, o := range t.objects {
			if o.perm().Key == key {
				return t.found(c, i, o, flags, check)
			}
		}
		if flags&Create == 0 {
			return 0, unix.ENOENT
		}
	}
	if len(t.objects) >= t.limit {
		return 0, unix.ENOSPC
	}
	o, err := create(newPerm(c, key, flags))
	if err != nil {
		return 0, err
	}
	return t.add(o), nil
}

func (t *table[T]) found(c Caller, index int, o T, flags int, check func(T) error) (int, error) {
	if flags&(Create|Excl) == Create|Excl {
		return 0, unix.EEXIST
	}
	if err := check(o); err != nil {
		return 0, err
	}
	return idOf(index, o.perm()), o.perm().allows(c, flags&permMask)
}

// add gives o the lowest free index.
func (t *table[T]) add(o T) (id int) {
	if t.objects == nil {
		t.objects = map[int]T{}
	}
	index := 0
	for _, taken := t.objects[index]; taken; _, taken = t.objects[index] {
		index++
	}
	o.perm().Seq = t.seq
	t.seq = (t.seq + 1) % (maxSeq >> 1) // ids stay positive
	t.objects[index] = o
	return idOf(index, o.perm())
}

func idOf(index int, p *Perm) int { return int(p.Seq)<<indexBits | index }

// find is the object with an id, or EINVAL.
func (t *table[T]) find(id int) (o T, err error) {
	o, ok := t.objects[id&indexMask]
	if !ok || id < 0 || int(o.perm().Seq) != id>>indexBits {
		return o, unix.EINVAL
	}
	return o, nil
}

// use is find of an object that the caller has rights to.
func (t *table[T]) use(c Caller, id, mode int) (T, error) {
	o, err := t.find(id)
	if err == nil {
		err = o.perm().allows(c, mode)
	}
	return o, err
}

// own is find of an object that the caller may change.
func (t *table[T]) own(c Caller, id int) (T, error) {
	o, err := t.find(id)
	if err == nil {
		err = o.perm().owned(c)
	}
	return o, err
}

// at is the object with an index, for the STAT commands, and its id.
func (t *table[T]) at(c Caller, index int, any bool) (o T, id int, err error) {
	o, ok := t.objects[index]
	if !ok {
		return o, 0, unix.EINVAL
	}
	if !any {
		err = o.perm().allows(c, mayRead)
	}
	return o, idOf(index, o.perm()), err
}

func (t *table[T]) remove(id int) { delete(t.objects, id&indexMask) }

// last is the highest index in use, or 0.
func (t *table[T]) last() int {
	last := 0
	for i := range t.objects {
		last = max(last, i)
	}
	return last
}

// ascending lists the objects with their ids by index.
func (t *table[T]) ascending(f func(id int, o T)) {
	for i := 0; i <= t.last(); i++ {
		if o, ok := t.objects[i]; ok {
			f(idOf(i, o.perm()), o)
		}
	}
}
