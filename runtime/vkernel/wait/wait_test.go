package wait_test

import (
	"sync"
	"testing"

	"github.com/megabin/megabin/runtime/vkernel/wait"
)

func TestMasks(t *testing.T) {
	var q wait.Queue
	var got []wait.Mask
	entries := []*wait.Entry{}
	for _, m := range []wait.Mask{wait.In, wait.Out, 0} {
		e := wait.NewEntry(m, func(ev wait.Mask) { got = append(got, ev) })
		q.Register(e)
		entries = append(entries, e)
	}
	q.Notify(wait.In)
	if len(got) != 1 || got[0] != wait.In {
		t.Errorf("In told %v", got)
	}
	got = nil
	q.Notify(wait.Hup)
	if len(got) != 3 {
		t.Errorf("Hup told %v, want all three", got)
	}
	for i, e := range entries {
		q.Unregister(e)
		q.Unregister(e) // harmless
		got = nil
		q.Notify(wait.Err)
		if len(got) != len(entries)-1-i {
			t.Errorf("after %d were removed: %v", i+1, got)
		}
	}
	var none *wait.Queue
	none.Register(entries[0])
	none.Unregister(entries[0])
}

// TestNoLostWakeUp passes a token between tasks that register, try, then
// sleep.
func TestNoLostWakeUp(t *testing.T) {
	var q wait.Queue
	var mu sync.Mutex
	tokens := 0
	var done sync.WaitGroup
	for range 4 {
		done.Add(1)
		go func() {
			defer done.Done()
			e, c := wait.NewChannelEntry(wait.In)
			q.Register(e)
			defer q.Unregister(e)
			for taken := 0; taken < 500; {
				mu.Lock()
				if tokens > 0 {
					tokens--
					taken++
					mu.Unlock()
					continue
				}
				mu.Unlock()
				<-c
			}
		}()
	}
	for range 4 * 500 {
		mu.Lock()
		tokens++
		mu.Unlock()
		q.Notify(wait.In)
	}
	done.Wait()
}
