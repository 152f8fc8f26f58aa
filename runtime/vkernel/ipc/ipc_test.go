package ipc

import (
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// op waits until operations are done.
func op(t *testing.T, s *SemTable, pid int, u *Undo, id int, ops ...SemOp) error {
	t.Helper()
	w, err := s.Op(Caller{PID: pid}, u, id, ops)
	if w != nil {
		<-w.C
		err = w.Err()
	}
	return err
}

// TestHammerSemaphores has many who take and give two semaphores at once, and
// end with some taken: nothing is lost, as what they did is undone.
func TestHammerSemaphores(t *testing.T) {
	var s SemTable
	id, err := s.Get(Caller{}, Private, 2, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for num := range 2 {
		if err := s.SetValue(Caller{}, id, num, 3); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for pid := range 16 {
		all.Go(func() {
			u := NewUndo()
			defer s.Release(u, pid)
			for range 200 {
				take := []SemOp{{0, -1, SemUndo}, {1, -2, SemUndo}}
				give := []SemOp{{1, 2, SemUndo}, {0, 1, SemUndo}}
				if err := op(t, &s, pid, u, id, take...); err != nil {
					t.Error(err)
				}
				if err := op(t, &s, pid, u, id, give...); err != nil {
					t.Error(err)
				}
			}
			op(t, &s, pid, u, id, SemOp{0, -1, SemUndo})
		})
	}
	all.Wait()
	if v, err := s.Values(Caller{}, id); err != nil || v[0] != 3 || v[1] != 3 {
		t.Errorf("values %v, %v", v, err)
	}
	if err := s.Remove(Caller{}, id); err != nil || s.total != 0 {
		t.Errorf("%v, %d semaphores left", err, s.total)
	}
}

// TestHammerMessages moves messages between many senders and receivers, and
// removes the queue while some wait.
func TestHammerMessages(t *testing.T) {
	var m MsgTable
	id, err := m.Get(Caller{}, Private, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	const receivers, each = 8, 500
	var all sync.WaitGroup
	for r := range receivers {
		all.Go(func() {
			for n := range each + 1 {
				msg, waiting, err := m.Receive(Caller{}, id, Want{Type: int64(r + 1), Max: 8})
				if waiting != nil {
					<-waiting.C
					msg, err = waiting.Result()
				}
				if n == each {
					if err != unix.EIDRM && err != unix.EINVAL {
						t.Errorf("after the last: %v, %v", msg, err)
					}
				} else if err != nil || msg.Text[0] != byte(n) {
					t.Errorf("message %d: %v, %v", n, msg, err)
				}
			}
		})
	}
	var senders sync.WaitGroup
	for r := range receivers {
		senders.Go(func() {
			for n := range each {
				for {
					_, err := m.Send(Caller{}, id, Message{int64(r + 1), []byte{byte(n)}})
					if err == nil {
						break
					}
					if err != unix.EAGAIN {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	senders.Wait()
	for m.Info().Messages > 0 {
	}
	if err := m.Remove(Caller{}, id); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	if m.used != 0 {
		t.Errorf("%d bytes left", m.used)
	}
}

// TestBounds has what keeps a guest from taking memory without end.
func TestBounds(t *testing.T) {
	var n Namespace
	for range SemMNS / SemMSL {
		if _, err := n.Sem.Get(Caller{}, Private, SemMSL, 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.Sem.Get(Caller{}, Private, 1, 0); err != unix.ENOSPC {
		t.Errorf("one semaphore too many: %v", err)
	}
	sent := 0
	for range MsgMNI {
		id, err := n.Msg.Get(Caller{}, Private, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = n.Msg.Send(Caller{}, id, Message{1, make([]byte, MsgMax)})
			sent++
		}
		if err == unix.ENOMEM {
			break
		}
	}
	if most := maxTotal / MsgMax; sent > most+MsgMNI || n.Msg.used > maxTotal {
		t.Errorf("%d messages, %d bytes", sent, n.Msg.used)
	}
}
