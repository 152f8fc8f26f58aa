package ipc

import (
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// Limits of message queues: those of Linux. All messages together take at most
// maxTotal bytes of ours.
const (
	MsgMax   = 8192  // bytes of a message
	MsgMNB   = 16384 // bytes of a queue
	MsgMNI   = 32000 // queues
	maxTotal = 128 << 20
	overhead = 64 // bytes of a message beside its text
)

// Flags of msgrcv, uapi/linux/msg.h.
const (
	MsgNoError = 0o10000
	MsgExcept  = 0o20000
	MsgCopy    = 0o40000
)

// Message is one message.
type Message struct {
	Type int64
	Text []byte
}

// MsgTable is the message queues.
type MsgTable struct {
	mu     sync.Mutex
	queues table[*queue]
	used   int // bytes of ours
}

// MsgStat is struct msqid64_ds.
type MsgStat struct {
	Perm
	Stime, Rtime, Ctime int64 // seconds
	Bytes, Count        int   // of the messages in it
	MaxBytes            int
	LSPID, LRPID        int
}

type queue struct {
	stat      MsgStat
	messages  []Message   // oldest first
	receivers []*Receiver // oldest first
	room      wait.Queue  // wait.Out: there may be room for a message
}

func (q *queue) perm() *Perm { return &q.stat.Perm }

// Want is what a msgrcv asks for.
type Want struct {
	Type  int64 // 0: any; negative: the lowest up to -Type
	Max   int   // bytes
	Flags int
}

// Receiver waits for a message.
type Receiver struct {
	C    <-chan struct{} // closed when it has got one, or an error
	c    chan struct{}
	want Want
	pid  int
	msg  Message
	err  error
}

// Get is msgget.
func (t *MsgTable) Get(c Caller, key int32, flags int) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queues.limit = MsgMNI
	return t.queues.get(c, key, flags, func(*queue) error { return nil }, func(p Perm) (*queue, error) {
		return &queue{stat: MsgStat{Perm: p, Ctime: now(), MaxBytes: MsgMNB}}, nil
	})
}

// Send is msgsnd: EAGAIN if there is no room; the result tells when there may
// be.
func (t *MsgTable) Send(c Caller, id int, m Message) (*wait.Queue, error) {
	if m.Type < 1 || len(m.Text) > MsgMax {
		return nil, unix.EINVAL
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	q, err := t.queues.use(c, id, mayWrite)
	switch {
	case err != nil:
		return nil, err
	case len(m.Text)+q.stat.Bytes > q.stat.MaxBytes || q.stat.Count+1 > q.stat.MaxBytes:
		return &q.room, unix.EAGAIN
	case t.used+len(m.Text)+overhead > maxTotal:
		return nil, unix.ENOMEM
	}
	q.stat.LSPID, q.stat.Stime = c.PID, now()
	if !q.handOver(m) {
		q.messages = append(q.messages, m)
		t.account(q, m, 1)
	}
	return nil, nil
}

// account notes that a message came (1) or went (-1).
func (t *MsgTable) account(q *queue, m Message, sign int) {
	q.stat.Bytes += sign * len(m.Text)
	q.stat.Count += sign
	t.used += sign * (len(m.Text) + overhead)
}

// handOver gives a message to who has waited for it longest.
func (q *queue) handOver(m Message) bool {
	for i := 0; i < len(q.receivers); {
		r := q.receivers[i]
		if !r.want.matches(m) {
			i++
			continue
		}
		q.receivers = slices.Delete(q.receivers, i, i+1)
		if r.want.tooLarge(m) {
			r.finish(Message{}, unix.E2BIG)
			continue
		}
		q.stat.LRPID, q.stat.Rtime = r.pid, now()
		r.finish(m, nil)
		return true
	}
	return false
}

func (r *Receiver) finish(m Message, err error) {
	r.msg, r.err = m, err
	close(r.c)
}

// Result is what a receiver got, once C is closed.
func (r *Receiver) Result() (Message, error) { return r.msg, r.err }

func (w Want) matches(m Message) bool {
	switch {
	case w.Type == 0:
		return true
	case w.Type < 0:
		return m.Type <= -w.Type
	}
	return (m.Type == w.Type) != (w.Flags&MsgExcept != 0)
}

func (w Want) tooLarge(m Message) bool { return len(m.Text) > w.Max && w.Flags&MsgNoError == 0 }

// pick is the index of the message that w is to get, -1 if there is none.
func (q *queue) pick(w Want) int {
	found := -1
	for i, m := range q.messages {
		if !w.matches(m) {
			continue
		}
		if w.Type >= 0 {
			return i
		}
		if found < 0 || m.Type < q.messages[found].Type {
			found = i
		}
	}
	return found
}

// Receive is msgrcv. If there is no message the caller is to sleep on the
// Receiver, and to Cancel it when it does not want to any more.
func (t *MsgTable) Receive(c Caller, id int, w Want) (Message, *Receiver, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q, err := t.queues.use(c, id, mayRead)
	if err != nil {
		return Message{}, nil, err
	}
	if w.Flags&MsgCopy != 0 {
		m, err := q.copyAt(w)
		return m, nil, err
	}
	i := q.pick(w)
	switch {
	case i < 0 && w.Flags&NoWait != 0:
		return Message{}, nil, unix.ENOMSG
	case i < 0:
		r := &Receiver{c: make(chan struct{}), want: w, pid: c.PID}
		r.C = r.c
		q.receivers = append(q.receivers, r)
		return Message{}, r, nil
	case w.tooLarge(q.messages[i]):
		return Message{}, nil, unix.E2BIG
	}
	m := q.messages[i]
	q.messages = slices.Delete(q.messages, i, i+1)
	t.account(q, m, -1)
	q.stat.LRPID, q.stat.Rtime = c.PID, now()
	q.room.Notify(wait.Out)
	return m, nil, nil
}

// copyAt is MSG_COPY: the message at a place, which stays.
func (q *queue) copyAt(w Want) (Message, error) {
	switch {
	case w.Flags&MsgExcept != 0 || w.Flags&NoWait == 0:
		return Message{}, unix.EINVAL
	case w.Type < 0 || w.Type >= int64(len(q.messages)):
		return Message{}, unix.ENOMSG
	case w.tooLarge(q.messages[w.Type]):
		return Message{}, unix.E2BIG
	}
	return q.messages[w.Type], nil
}

// Cancel ends waiting, with what r got if it has.
func (t *MsgTable) Cancel(id int, r *Receiver) (done bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-r.C:
		return true
	default:
	}
	if q, err := t.queues.find(id); err == nil {
		q.receivers = slices.DeleteFunc(q.receivers, func(o *Receiver) bool { return o == r })
	}
	return false
}

// Stat is IPC_STAT.
func (t *MsgTable) Stat(c Caller, id int) (MsgStat, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q, err := t.queues.use(c, id, mayRead)
	if err != nil {
		return MsgStat{}, err
	}
	return q.stat, nil
}

// StatAt is MSG_STAT and MSG_STAT_ANY.
func (t *MsgTable) StatAt(c Caller, index int, any bool) (MsgStat, int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q, id, err := t.queues.at(c, index, any)
	if err != nil {
		return MsgStat{}, 0, err
	}
	return q.stat, id, nil
}

// Set is IPC_SET: owner, mode, and how many bytes the queue may hold.
func (t *MsgTable) Set(c Caller, id int, p Perm, maxBytes uint64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	q, err := t.queues.own(c, id)
	switch {
	case err != nil:
		return err
	case maxBytes > MsgMNB && !c.has(unix.CAP_SYS_RESOURCE):
		return unix.EPERM
	}
	q.stat.set(p)
	q.stat.MaxBytes, q.stat.Ctime = int(min(maxBytes, maxTotal)), now()
	q.room.Notify(wait.Out)
	return nil
}

// Remove is IPC_RMID: who waits gets EIDRM.
func (t *MsgTable) Remove(c Caller, id int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	q, err := t.queues.own(c, id)
	if err != nil {
		return err
	}
	t.queues.remove(id)
	for _, m := range q.messages {
		t.account(q, m, -1)
	}
	for _, r := range q.receivers {
		r.finish(Message{}, unix.EIDRM)
	}
	q.room.Notify(wait.Out)
	return nil
}

// MsgInfo tells how much there is.
type MsgInfo struct {
	Last                    int // highest index in use
	Queues, Messages, Bytes int
}

// Info is IPC_INFO and MSG_INFO.
func (t *MsgTable) Info() MsgInfo {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := MsgInfo{Last: t.queues.last(), Queues: len(t.queues.objects)}
	for _, q := range t.queues.objects {
		i.Messages += q.stat.Count
		i.Bytes += q.stat.Bytes
	}
	return i
}
