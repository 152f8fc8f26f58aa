package socket

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// Common is what a socket has whatever its family; families embed it.
type Common struct {
	Kind
	queue  wait.Queue
	tables []Table
	ino    atomic.Uint64 // of the inode, for /proc/net
	stamp  atomic.Int32  // which of stampOptions is set, or 0

	mu        sync.Mutex
	values    map[OptionName]int // those that were set
	linger    Linger
	timeouts  [2]time.Duration // SO_RCVTIMEO, SO_SNDTIMEO
	pending   error            // SO_ERROR
	listening bool
}

// Init sets up a new socket. tables are options besides those that every
// socket has, or in their place.
func (c *Common) Init(k Kind, tables ...Table) {
	c.Kind = k
	c.tables = append(tables, solSocket)
	c.values = map[OptionName]int{}
}

// Base implements Socket.
func (c *Common) Base() *Common { return c }

// Ino is the socket's inode number, 0 before it has a File.
func (c *Common) Ino() uint64 { return c.ino.Load() }

// Queue implements vfs.Poller.
func (c *Common) Queue() *wait.Queue { return &c.queue }

// Notify tells who waits that something of mask may hold now.
func (c *Common) Notify(mask wait.Mask) { c.queue.Notify(mask) }

// Fail leaves an error for the next call (sk_err) and wakes who waits.
func (c *Common) Fail(err error) {
	c.mu.Lock()
	c.pending = err
	c.mu.Unlock()
	c.Notify(Gone)
}

// TakeError gives the pending error once.
func (c *Common) TakeError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.pending
	c.pending = nil
	return err
}

// Failed tells whether an error is pending.
func (c *Common) Failed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pending != nil
}

// SetListening makes SO_ACCEPTCONN 1.
func (c *Common) SetListening() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listening = true
}

// Timeout is SO_RCVTIMEO, or SO_SNDTIMEO if send; 0 for none.
func (c *Common) Timeout(send bool) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if send {
		return c.timeouts[1]
	}
	return c.timeouts[0]
}

// Inherit takes the options of the listening socket that c was accepted by.
func (c *Common) Inherit(from *Common) {
	from.mu.Lock()
	defer from.mu.Unlock()
	for name, v := range from.values {
		c.values[name] = v
	}
	c.linger, c.timeouts = from.linger, from.timeouts
	c.stamp.Store(from.stamp.Load())
}

// Unsupported is methods for what a socket does not do; families embed it
// beside Common.
type Unsupported struct{}

// Listen implements Socket.
func (Unsupported) Listen(*Caller, int) error { return unix.EOPNOTSUPP }

// Accept implements Socket.
func (Unsupported) Accept() (Socket, error) { return nil, unix.EOPNOTSUPP }

// Connected implements Socket.
func (Unsupported) Connected() error { return nil }

// Shutdown implements Socket.
func (Unsupported) Shutdown(int) error { return unix.EOPNOTSUPP }

// Unsent implements Socket.
func (Unsupported) Unsent() (int, error) { return 0, nil }

// maxBacklog is net.core.somaxconn.
const maxBacklog = 4096

// Backlog is how many connections a listening socket keeps, by listen's
// argument.
func Backlog(n int) int {
	if n < 0 || n > maxBacklog {
		return maxBacklog
	}
	return n
}
