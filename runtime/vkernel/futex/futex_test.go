package futex

import (
	"errors"
	"testing"
)

var errNo = errors.New("no")

func yes() error { return nil }

func enqueue(t *testing.T, table *Table, key Key, bits uint32) *Waiter {
	t.Helper()
	w, err := table.Enqueue(key, bits, yes)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func woken(w *Waiter) bool {
	select {
	case <-w.C:
		return true
	default:
		return false
	}
}

func TestWakeOldestFirst(t *testing.T) {
	var table Table
	k := Key{1, 8}
	a, b := enqueue(t, &table, k, AllBits), enqueue(t, &table, k, AllBits)
	if n := table.Wake(k, 1, AllBits); n != 1 || !woken(a) || woken(b) {
		t.Fatal("first waiter not woken alone", n)
	}
	if !table.Cancel(a) || table.Cancel(b) {
		t.Fatal("Cancel tells the wrong thing")
	}
	if n := table.Wake(k, 9, AllBits); n != 0 {
		t.Fatal("woke a waiter that gave up")
	}
}

func TestBitsets(t *testing.T) {
	var table Table
	k := Key{1, 8}
	a, b := enqueue(t, &table, k, 1), enqueue(t, &table, k, 2)
	if table.Wake(k, 9, 2) != 1 || woken(a) || !woken(b) {
		t.Fatal("bitset ignored")
	}
}

func TestCheckFails(t *testing.T) {
	var table Table
	if _, err := table.Enqueue(Key{}, 1, func() error { return errNo }); err != errNo {
		t.Fatal(err)
	}
}

func TestRequeue(t *testing.T) {
	var table Table
	from, to := Key{1, 8}, Key{1, 16}
	a, b, c := enqueue(t, &table, from, AllBits), enqueue(t, &table, from, AllBits), enqueue(t, &table, from, AllBits)
	w, m, err := table.Requeue(from, to, 1, 1, yes)
	if err != nil || w != 1 || m != 1 || !woken(a) || woken(b) {
		t.Fatal(w, m, err)
	}
	if table.Wake(to, 9, AllBits) != 1 || !woken(b) || woken(c) {
		t.Fatal("waiter was not moved")
	}
	if table.Cancel(c) {
		t.Fatal("the third was woken")
	}
}
