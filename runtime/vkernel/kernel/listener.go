package kernel

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/seccomp"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// Listener is the open file of seccomp_unotify(2): the system calls that
// somebody else is asked about, a supervisor. It is kernel/seccomp.c's struct
// notification.
//
// Lock order: Listener.mu, then its queue's. No file is opened or closed below.
type Listener struct {
	queue    wait.Queue
	killable bool // who waits for an answer to what was received can only be killed

	mu       sync.Mutex
	closed   bool
	orphaned bool
	lastID   uint64
	calls    []*askedCall // that have no answer, in their order
	untold   int          // calls that were made, less those that were received
}

// askedCall is a system call that waits for its answer. What changes is
// guarded by the listener's lock.
type askedCall struct {
	AskedCall
	state  askedState
	answer Answer
	gifts  []*Gift
	wake   chan struct{} // has a token when something has changed
}

// askedState is how far an askedCall has come.
type askedState uint8

const (
	untold askedState = iota
	received
	answered
)

// AskedCall is struct seccomp_notif.
type AskedCall struct {
	ID   uint64
	TID  int
	Call seccomp.Call
}

// Answer is what a system call gives in a supervisor's stead.
type Answer struct {
	Value    int64
	Error    int32 // negative; 0 for none
	Continue bool  // the call is to be made after all
}

// Gift is a descriptor that a supervisor puts into the table of who waits.
type Gift struct {
	File    *vfs.Description
	FD      int // -1: the lowest that is free
	Cloexec bool
	Answer  bool // the descriptor is the call's answer

	done chan struct{} // closed once the rest is set
	fd   int
	err  error
}

// NewListener makes a listener. killable is SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV.
func NewListener(killable bool) *Listener {
	return &Listener{killable: killable, lastID: rand.Uint64()}
}

// Open implements seccomp.Listener.
func (l *Listener) Open() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.closed
}

// Orphaned implements seccomp.Listener.
func (l *Listener) Orphaned() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.orphaned = true
	l.queue.Notify(wait.Hup)
}

// Release implements vfs.File: calls that nobody will answer give ENOSYS.
func (l *Listener) Release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, c := range l.calls {
		if c.state != answered {
			c.reply(Answer{Error: -int32(unix.ENOSYS)})
		}
	}
}

// Ready implements vfs.Poller: In for calls to be received, Out for those to
// be answered.
func (l *Listener) Ready() (m wait.Mask) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.calls {
		m |= [...]wait.Mask{untold: wait.In, received: wait.Out, answered: 0}[c.state]
	}
	if l.orphaned {
		m |= wait.Hup
	}
	return m
}

// Queue implements vfs.Poller.
func (l *Listener) Queue() *wait.Queue { return &l.queue }

// find is the call with an id.
// Preconditions: l.mu is held.
func (l *Listener) find(id uint64) *askedCall {
	if i := slices.IndexFunc(l.calls, func(c *askedCall) bool { return c.ID == id }); i >= 0 {
		return l.calls[i]
	}
	return nil
}

// Receive is the oldest call that was not received yet. EAGAIN if there is
// none, ENOENT if there will be none or it has just been given up.
func (l *Listener) Receive() (AskedCall, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.untold == 0 && !l.orphaned {
		return AskedCall{}, unix.EAGAIN
	}
	l.untold = max(l.untold-1, 0)
	for _, c := range l.calls {
		if c.state == untold {
			c.state = received
			if l.killable {
				c.notify() // so that it waits otherwise
			}
			l.queue.Notify(wait.Out)
			return c.AskedCall, nil
		}
	}
	return AskedCall{}, unix.ENOENT
}

// Return takes back that a call was received.
func (l *Listener) Return(id uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.find(id); c != nil && c.state == received {
		c.state = untold
		c.notify()
		l.tell()
	}
}

// tell counts a call that can be received.
func (l *Listener) tell() {
	l.untold++
	l.queue.Notify(wait.In)
}

// waiting is a call that was received and not answered: ENOENT if there is no such call,
// EINPROGRESS if it is in another state.
// Preconditions: l.mu is held.
func (l *Listener) waiting(id uint64) (*askedCall, error) {
	switch c := l.find(id); {
	case c == nil:
		return nil, unix.ENOENT
	case c.state != received:
		return nil, unix.EINPROGRESS
	default:
		return c, nil
	}
}

// Valid gives ENOENT unless a call still waits for its answer.
func (l *Listener) Valid(id uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.waiting(id); err != nil {
		return unix.ENOENT
	}
	return nil
}

// Answer answers a call, once.
func (l *Listener) Answer(id uint64, a Answer) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, err := l.waiting(id)
	if err == nil {
		c.reply(a)
	}
	return err
}

// reply sets the answer.
// Preconditions: l.mu is held.
func (c *askedCall) reply(a Answer) {
	c.state, c.answer = answered, a
	c.notify()
}

func (c *askedCall) notify() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Give has the task that waits for an answer install a descriptor, and gives
// its number. EBUSY for one that is an answer while others are on their way.
func (t *Task) Give(l *Listener, id uint64, g *Gift) (int, error) {
	g.done = make(chan struct{})
	c, err := l.offer(id, g)
	if err != nil {
		return 0, err
	}
	if err := t.Sleep(g.done, time.Time{}); err != nil && l.withdraw(c, g) {
		return 0, err
	}
	<-g.done
	return g.fd, g.err
}

func (l *Listener) offer(id uint64, g *Gift) (*askedCall, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, err := l.waiting(id)
	switch {
	case err != nil:
		return nil, err
	case g.Answer && len(c.gifts) > 0:
		return nil, unix.EBUSY
	case g.Answer:
		c.state = answered
	}
	c.gifts = append(c.gifts, g)
	c.notify()
	return c, nil
}

// withdraw takes a gift back that was not taken yet.
func (l *Listener) withdraw(c *askedCall, g *Gift) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(c.gifts, g)
	if i >= 0 {
		c.gifts = slices.Delete(c.gifts, i, i+1)
	}
	return i >= 0
}

// Ask waits for a supervisor's answer to a system call: ENOSYS without one, ERESTARTSYS if a
// signal comes before.
func (t *Task) Ask(listener seccomp.Listener, call seccomp.Call) (Answer, error) {
	l, _ := listener.(*Listener)
	if l == nil {
		return Answer{}, unix.ENOSYS
	}
	c := l.add(t.TID, call)
	if c == nil {
		return Answer{}, unix.ENOSYS
	}
	defer l.remove(c)
	for {
		killable := l.onlyKilled(c)
		err := t.awaitAnswer(c, killable)
		for g := l.takeGift(c); g != nil; g = l.takeGift(c) {
			t.accept(g)
			l.accepted(c, g)
		}
		if a, done := l.answerOf(c); done {
			return a, nil
		}
		if err != nil && (killable || !l.onlyKilled(c)) {
			return Answer{}, err
		}
	}
}

// awaitAnswer sleeps until something changes.
func (t *Task) awaitAnswer(c *askedCall, killable bool) error {
	if !killable {
		return t.Sleep(c.wake, time.Time{})
	}
	t.sleepUnlessKilled(c.wake)
	if t.mustEnd() {
		return ERESTARTSYS
	}
	return nil
}

// add adds a call; nil if nobody listens any more.
func (l *Listener) add(tid int, call seccomp.Call) *askedCall {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.lastID++
	c := &askedCall{AskedCall: AskedCall{l.lastID, tid, call}, wake: make(chan struct{}, 1)}
	l.calls = append(l.calls, c)
	l.tell()
	return c
}

// remove forgets a call. Who wanted to give it something learns that it is
// gone.
func (l *Listener) remove(c *askedCall) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range c.gifts {
		g.err = unix.ESRCH
		close(g.done)
	}
	c.gifts = nil
	l.calls = slices.DeleteFunc(l.calls, func(o *askedCall) bool { return o == c })
}

func (l *Listener) onlyKilled(c *askedCall) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.killable && c.state != untold
}

func (l *Listener) answerOf(c *askedCall) (Answer, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return c.answer, c.state == answered
}

func (l *Listener) takeGift(c *askedCall) *Gift {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(c.gifts) == 0 {
		return nil
	}
	g := c.gifts[0]
	c.gifts = c.gifts[1:]
	return g
}

// accept installs a gift.
func (t *Task) accept(g *Gift) {
	g.File.Ref()
	if g.FD < 0 {
		g.fd, g.err = t.FDs.Install(g.File, 0, g.Cloexec)
	} else {
		g.fd, g.err = g.FD, t.FDs.InstallAt(g.File, g.FD, g.Cloexec)
	}
	if g.err != nil {
		g.File.Unref()
	}
}

// accepted tells the giver. A descriptor that is the answer answers, unless it could
// not be installed.
func (l *Listener) accepted(c *askedCall, g *Gift) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !g.Answer:
	case g.err != nil:
		c.state = received
	default:
		c.answer = Answer{Value: int64(g.fd)}
	}
	close(g.done)
}
