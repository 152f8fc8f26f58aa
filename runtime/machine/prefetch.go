package machine

import (
	"runtime"
	"sync"
)

// fetcher compiles parts in the background, with at most one goroutine per
// processor, in the order they were asked for.
type fetcher struct {
	mu      sync.Mutex
	queue   []partID
	workers int
	closed  bool
	idle    sync.WaitGroup
}

// prefetch queues the parts of list whose units find knows.
func (e *Engine) prefetch(list []use, find func(id [32]byte) (Unit, bool)) {
	f := &e.fetcher
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	for _, u := range list {
		if unit, ok := find(u.id.unit); ok && !e.known(partID{unit, u.id.n}) {
			f.queue = append(f.queue, partID{unit, u.id.n})
		}
	}
	for f.workers < min(runtime.GOMAXPROCS(0), len(f.queue)) {
		f.workers++
		f.idle.Go(e.fetch)
	}
}

// known tells whether a part is compiled or being compiled.
func (e *Engine) known(id partID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.parts[id] != nil
}

// fetch is a worker: it ends with the queue.
func (e *Engine) fetch() {
	f := &e.fetcher
	for {
		f.mu.Lock()
		if len(f.queue) == 0 || f.closed {
			f.workers--
			f.mu.Unlock()
			return
		}
		id := f.queue[0]
		f.queue = f.queue[1:]
		f.mu.Unlock()
		if !e.known(id) {
			e.part(id.unit, id.n)
		}
	}
}

// close ends the workers.
func (f *fetcher) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.idle.Wait()
}
