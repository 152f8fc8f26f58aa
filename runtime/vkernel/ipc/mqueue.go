package ipc

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// Limits of POSIX message queues, mq_overview(7). The default and the highest
// are the same for who has no privilege.
const (
	MqMessages     = 10       // messages of a queue
	MqSize         = 8192     // bytes of a message
	MqPrioMax      = 32768    // priorities are below
	mqMessagesHard = 65536    // with CAP_SYS_RESOURCE
	mqSizeHard     = 16 << 20 // with CAP_SYS_RESOURCE, bytes
	mqQueues       = 256
)

// MqTable is the POSIX message queues of a container.
type MqTable struct {
	mu     sync.Mutex
	queues map[string]*MqQueue
	used   uint64 // bytes that all queues may hold, unlinked ones too
}

// MqLimits are those of a queue.
type MqLimits struct {
	Messages int
	Size     int // bytes of a message
}

// MqMessage is one message.
type MqMessage struct {
	Prio uint32
	Text []byte
}

// MqQueue is one queue. It is its own inode.
type MqQueue struct {
	MqLimits
	perm  Perm
	table *MqTable
	ready wait.Queue // In: there is a message; Out: there is room

	mu        sync.Mutex
	messages  []MqMessage // the next to be received first
	bytes     int
	receivers int // that wait
	notify    *MqNotify
	files     int // open descriptions, and the name
}

// MqNotify is a registration of mq_notify.
type MqNotify struct {
	PID   int
	Owner any // the descriptor table whose closing the queue ends it
	Signo int
	// Tell is called once, when a message has come; nil: SIGEV_NONE.
	Tell func(from Caller)
}

// Open is mq_open without the open description: the result is to be Released. flags are of
// open(2), limits those of O_CREAT, nil for the default, room is how many
// bytes the caller may have queues for (RLIMIT_MSGQUEUE).
func (t *MqTable) Open(c Caller, name string, flags, mode int, limits *MqLimits, room uint64) (*MqQueue, error) {
	switch {
	case name == "":
		return nil, unix.ENOENT
	case len(name) > linux.NameMax:
		return nil, unix.ENAMETOOLONG
	case strings.Contains(name, "/"), name == ".", name == "..":
		return nil, unix.EACCES
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.queues[name]
	switch {
	case q != nil && flags&(linux.O_CREAT|linux.O_EXCL) == linux.O_CREAT|linux.O_EXCL:
		return nil, unix.EEXIST
	case q != nil:
		if err := q.perm.allows(c, mqAccess[flags&linux.O_ACCMODE]); err != nil {
			return nil, err
		}
	case flags&linux.O_CREAT == 0:
		return nil, unix.ENOENT
	default:
		var err error
		if q, err = t.create(c, name, mode, limits, room); err != nil {
			return nil, err
		}
	}
	q.ref()
	return q, nil
}

// mqAccess is what access modes need.
var mqAccess = map[int]int{linux.O_RDONLY: mayRead, linux.O_WRONLY: mayWrite, linux.O_RDWR: mayRead | mayWrite}

func (t *MqTable) create(c Caller, name string, mode int, limits *MqLimits, room uint64) (*MqQueue, error) {
	if limits == nil {
		limits = &MqLimits{MqMessages, MqSize}
	}
	if err := limits.check(c); err != nil {
		return nil, err
	}
	switch {
	case len(t.queues) >= mqQueues && !c.has(unix.CAP_SYS_RESOURCE):
		return nil, unix.ENOSPC
	case t.used+limits.cost() > room:
		return nil, unix.EMFILE
	}
	q := &MqQueue{MqLimits: *limits, perm: newPerm(c, 0, mode), table: t, files: 1}
	t.used += limits.cost()
	if t.queues == nil {
		t.queues = map[string]*MqQueue{}
	}
	t.queues[name] = q
	return q, nil
}

func (l MqLimits) check(c Caller) error {
	messages, size := MqMessages, MqSize
	if c.has(unix.CAP_SYS_RESOURCE) {
		messages, size = mqMessagesHard, mqSizeHard
	}
	if l.Messages < 1 || l.Size < 1 || l.Messages > messages || l.Size > size {
		return unix.EINVAL
	}
	return nil
}

// cost is what a queue counts for, bytes: its messages, and what Linux needs to
// keep them, getrlimit(2).
func (l MqLimits) cost() uint64 {
	const message, node = 48, 48 // sizeof(struct msg_msg), of a leaf of the tree of priorities
	return uint64(l.Messages)*(message+uint64(l.Size)) + uint64(min(l.Messages, MqPrioMax))*node
}

// Unlink is mq_unlink.
func (t *MqTable) Unlink(c Caller, name string) error {
	t.mu.Lock()
	q := t.queues[name]
	switch {
	case q == nil:
		t.mu.Unlock()
		return unix.ENOENT
	case c.UID != q.perm.UID && !c.has(unix.CAP_FOWNER):
		t.mu.Unlock()
		return unix.EPERM
	}
	delete(t.queues, name)
	t.mu.Unlock()
	q.Release()
	return nil
}

func (q *MqQueue) ref() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.files++
}

// Release ends one Open.
func (q *MqQueue) Release() {
	q.mu.Lock()
	q.files--
	last := q.files == 0
	q.mu.Unlock()
	if last {
		q.table.mu.Lock()
		defer q.table.mu.Unlock()
		q.table.used -= q.cost()
	}
}

// Send is mq_send without waiting: EAGAIN if the queue is full.
func (q *MqQueue) Send(c Caller, m MqMessage) error {
	if len(m.Text) > q.Size {
		return unix.EMSGSIZE
	}
	tell, err := q.add(m)
	if err == nil {
		q.ready.Notify(wait.In)
	}
	if tell != nil {
		tell(c)
	}
	return err
}

// add gives the notification that the message sets off, if it does.
func (q *MqQueue) add(m MqMessage) (tell func(Caller), err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.messages) == q.Messages {
		return nil, unix.EAGAIN
	}
	i, _ := slices.BinarySearchFunc(q.messages, m, func(have, m MqMessage) int {
		if have.Prio >= m.Prio {
			return -1
		}
		return 1
	})
	q.messages = slices.Insert(q.messages, i, m)
	q.bytes += len(m.Text)
	if n := q.notify; n != nil && len(q.messages) == 1 && q.receivers == 0 {
		q.notify = nil
		return n.Tell, nil
	}
	return nil, nil
}

// Receive is mq_receive without waiting, into max bytes: EAGAIN if there is no
// message.
func (q *MqQueue) Receive(max uint64) (MqMessage, error) {
	if max < uint64(q.Size) {
		return MqMessage{}, unix.EMSGSIZE
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.messages) == 0 {
		return MqMessage{}, unix.EAGAIN
	}
	m := q.messages[0]
	q.messages = slices.Delete(q.messages, 0, 1)
	q.bytes -= len(m.Text)
	q.ready.Notify(wait.Out)
	return m, nil
}

// Waiting notes that a receiver begins to wait (1) or ends it (-1): while one
// does nobody is notified.
func (q *MqQueue) Waiting(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.receivers += n
}

// Notify is mq_notify: EBUSY if somebody is registered. nil takes back the
// registration of process pid.
func (q *MqQueue) Notify(n *MqNotify, pid int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case n == nil:
		if q.notify != nil && q.notify.PID == pid {
			q.notify = nil
		}
		return nil
	case q.notify != nil:
		return unix.EBUSY
	}
	q.notify = n
	return nil
}

// Flush implements vfs.Flusher: a descriptor of the table owner was closed.
func (q *MqQueue) Flush(owner any) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.notify != nil && q.notify.Owner == owner {
		q.notify = nil
	}
}

// Count is how many messages there are.
func (q *MqQueue) Count() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.messages)
}

// Queue implements vfs.Poller.
func (q *MqQueue) Queue() *wait.Queue { return &q.ready }

// Ready implements vfs.Poller.
func (q *MqQueue) Ready() (m wait.Mask) {
	n := q.Count()
	if n > 0 {
		m |= wait.In
	}
	if n < q.Messages {
		m |= wait.Out
	}
	return m
}

// mqFileSize is FILENT_SIZE.
const mqFileSize = 80

// ReadAt implements vfs.ReaderAt: the state as text.
func (q *MqQueue) ReadAt(p []byte, off int64) (int, error) {
	q.mu.Lock()
	n := MqNotify{}
	if q.notify != nil {
		n = *q.notify
	}
	how := 0
	if n.PID != 0 && n.Tell == nil {
		how = 1 // SIGEV_NONE
	}
	text := fmt.Sprintf("QSIZE:%-10d NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n", q.bytes, how, n.Signo, n.PID)
	q.mu.Unlock()
	return copy(p, text[min(off, int64(len(text))):]), nil
}

// Attr implements vfs.Inode.
func (q *MqQueue) Attr() (linux.Attr, error) {
	return linux.Attr{
		Mode: unix.S_IFREG | q.perm.Mode, Nlink: 1, UID: q.perm.UID, GID: q.perm.GID, Size: mqFileSize, Blksize: linux.PageSize,
	}, nil
}
