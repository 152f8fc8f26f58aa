// Package pipe is pipes and FIFOs, as pipe(7) describes them. It knows
// nothing of descriptors, paths or tasks.
//
// Lock order: Pipe.mu, then Pipe.queue's.
package pipe

import (
	"sync"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
	"golang.org/x/sys/unix"
)

// Sizes in bytes; fs/pipe.c, limits.h.
const (
	// AtomicSize is the most that a write puts into a pipe in one piece
	// (PIPE_BUF).
	AtomicSize = 4096
	// DefaultSize is the capacity of a new pipe.
	DefaultSize = 65536
	// MaxSize is the largest capacity F_SETPIPE_SZ gives (fs.pipe-max-size).
	MaxSize = 1 << 20
)

// Pipe is the buffer between the ends.
type Pipe struct {
	queue   wait.Queue
	unnamed bool // made by pipe2

	mu       sync.Mutex
	buf      []byte // ring; shorter than capacity until that is needed
	head     int    // index of the first byte held
	held     int    // bytes
	capacity int    // bytes
	readers  int
	writers  int
	// How often an end was opened, for opens that wait for the other one.
	readOpens, writeOpens uint64
}

// New makes a pipe without ends. It is a vfs.Fifo.
func New() *Pipe { return &Pipe{capacity: DefaultSize} }

// NewFifo makes what vfs.System.Fifos wants.
func NewFifo() vfs.Fifo { return New() }

// read takes up to len(p) bytes: EAGAIN if there are none but may be.
func (p *Pipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(b) == 0:
		return 0, nil
	case p.held == 0 && p.writers == 0:
		return 0, nil
	case p.held == 0:
		return 0, unix.EAGAIN
	}
	n := p.take(b)
	if p.room() >= AtomicSize {
		p.queue.Notify(wait.Out)
	}
	return n, nil
}

// peek copies what read would take.
func (p *Pipe) peek(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held == 0 {
		if p.writers == 0 {
			return 0, nil
		}
		return 0, unix.EAGAIN
	}
	n := min(len(b), p.held)
	first := copy(b[:n], p.buf[p.head:])
	copy(b[first:n], p.buf)
	return n, nil
}

// write puts what fits, but all or nothing of up to AtomicSize bytes.
func (p *Pipe) write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch room := p.room(); {
	case len(b) == 0:
		return 0, nil
	case p.readers == 0:
		return 0, unix.EPIPE
	case room == 0, len(b) <= AtomicSize && room < len(b):
		return 0, unix.EAGAIN
	}
	n := p.put(b)
	p.queue.Notify(wait.In)
	return n, nil
}

func (p *Pipe) room() int { return p.capacity - p.held }

func (p *Pipe) take(b []byte) int {
	n := min(len(b), p.held)
	first := copy(b[:n], p.buf[p.head:])
	copy(b[first:n], p.buf)
	p.held -= n
	if p.head = (p.head + n) % len(p.buf); p.held == 0 {
		p.head = 0
	}
	return n
}

func (p *Pipe) put(b []byte) int {
	n := min(len(b), p.room())
	if p.held+n > len(p.buf) {
		p.resize(min(p.capacity, max(2*len(p.buf), p.held+n, AtomicSize)))
	}
	tail := (p.head + p.held) % len(p.buf)
	first := copy(p.buf[tail:], b[:n])
	copy(p.buf, b[first:n])
	p.held += n
	return n
}

// resize changes the ring's size, which is at least what is held.
func (p *Pipe) resize(size int) {
	buf := make([]byte, size)
	held := p.held
	if held > 0 {
		p.take(buf[:held])
	}
	p.buf, p.head, p.held = buf, 0, held
}

// SetSize is F_SETPIPE_SZ: pages, a power of two; EBUSY if more than that is
// held.
func (p *Pipe) SetSize(n int) (int, error) {
	if n < 0 || n > 1<<31-1 {
		return 0, unix.EINVAL
	}
	size := linux.PageSize
	for size < n {
		size *= 2
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case size > MaxSize && size > p.capacity:
		return 0, unix.EPERM
	case size < p.held:
		return 0, unix.EBUSY
	}
	p.capacity = size
	if len(p.buf) > size {
		p.resize(size)
	}
	p.queue.Notify(wait.Out)
	return size, nil
}

// Size is F_GETPIPE_SZ.
func (p *Pipe) Size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.capacity
}

// Held is FIONREAD: the bytes that can be read.
func (p *Pipe) Held() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}
