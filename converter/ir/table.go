package ir

// Table has something for each value of a function, by the value's ID: a map
// that costs an index. What was not set is T's zero value.
type Table[T any] []T

// NewTable makes a table that need not grow for the values f has now.
func NewTable[T any](f *Func) Table[T] { return make(Table[T], f.NumValues()) }

// Get returns what t has for v.
func (t Table[T]) Get(v *Value) T {
	if int(v.ID) < len(t) {
		return t[v.ID]
	}
	var zero T
	return zero
}

// Set makes x what t has for v.
func (t *Table[T]) Set(v *Value, x T) {
	if n := int(v.ID) + 1 - len(*t); n > 0 {
		*t = append(*t, make([]T, n)...)
	}
	(*t)[v.ID] = x
}
