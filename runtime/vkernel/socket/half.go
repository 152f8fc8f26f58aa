package socket

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// Costs of a queue, bytes.
const (
	packetCost = 512   // what a packet counts besides its data, about an sk_buff
	chunk      = 32768 // the most that a stream puts into one packet
	mergeMax   = 16384 // a stream appends to its last packet up to this size
)

// packet is what one send put into a queue.
type packet struct {
	data    []byte // what was not read yet
	from    []byte // sender's address
	control Control
	creds   Ucred
	urgency urgency
	came    time.Time // zero if the reader wants no times
}

// cost is what p counts against the queue's limit.
func (p *packet) cost() int { return len(p.data) + packetCost }

// Half is one direction of a connection, or the queue of a socket that gets
// datagrams: packets on their way from who writes to who reads.
type Half struct {
	// Reader and Writer are told when the other side did something. Writer is
	// nil if there is no one writer.
	Reader, Writer *Common
	// Stream says that packets have no borders.
	Stream bool
	// TCP says that a stream keeps to TCP's rules: an urgent byte that was read
	// out of band stays in its place, and is ordinary data again if another one comes
	// before that is reached; MSG_TRUNC throws data away. AF_UNIX forgets the byte.
	TCP bool
	// Spare says when there is room enough for poll to report it: when at
	// least Spare/12 of the limit is free.
	Spare int

	mu      sync.Mutex
	packets []packet
	held    int  // their cost
	bytes   int  // their data
	limit   int  // what held may grow to
	ended   bool // nothing more will be written: the end after what is there
	broken  bool // nobody will read: EPIPE
	oob     bool // one of the packets is urgent
	marks   int  // how many are not ordinary
	waste   []Control
}

// SetLimit says how much the queue takes, bytes.
func (h *Half) SetLimit(n int) {
	h.mu.Lock()
	h.limit = n
	h.mu.Unlock()
	h.tellWriter(wait.Out)
}

func (h *Half) tellWriter(mask wait.Mask) {
	if h.Writer != nil {
		h.Writer.Notify(mask)
	}
}

// Bytes is the data that can be read.
func (h *Half) Bytes() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bytes
}

// First is the size of the first packet.
func (h *Half) First() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.packets) == 0 {
		return 0
	}
	return len(h.packets[0].data)
}

// Packets is how many packets are queued.
func (h *Half) Packets() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.packets)
}

// State tells what a reader and a writer find.
func (h *Half) State() (readable, ended, writable, broken bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.readable() || h.ended, h.ended, h.writable(), h.broken
}

// readable tells whether there is something to read. Of TCP, a byte at the mark is nothing.
func (h *Half) readable() bool {
	n := len(h.packets)
	return n > 1 || n == 1 && !(h.TCP && h.hides(&h.packets[0]))
}

func (h *Half) writable() bool { return h.held*12 <= h.limit*(12-h.Spare) }

// End says that nothing more will be written.
func (h *Half) End() {
	h.mu.Lock()
	h.ended = true
	h.mu.Unlock()
	h.Reader.Notify(Gone)
}

// Break says that nobody will read: what is written is EPIPE from now on.
func (h *Half) Break() {
	h.mu.Lock()
	h.broken = true
	h.mu.Unlock()
	h.tellWriter(Gone)
}

// Drop breaks the queue and throws away what it holds. It tells whether data
// was lost.
func (h *Half) Drop() (lost bool) {
	h.mu.Lock()
	gone := h.packets
	h.packets, h.held, h.bytes, h.broken, h.marks, h.oob = nil, 0, 0, true, 0, false
	h.mu.Unlock()
	for i := range gone {
		gone[i].control.Release()
	}
	h.tellWriter(Gone)
	if len(gone) > 0 && gone[0].urgency == taken && !h.TCP {
		gone = gone[1:] // a mark is no data
	}
	return len(gone) > 0
}

// Put writes m, of which a stream may take a part. It takes over the
// references of m's rights if it takes anything. EPIPE if nobody reads,
// EMSGSIZE for a packet that can never fit.
func (h *Half) Put(m *Message, from []byte, creds Ucred) (int, error) {
	h.mu.Lock()
	n, err := h.put(m, from, creds)
	urgent := h.Stream && m.Flags&unix.MSG_OOB != 0 && n > 0 && n == m.Len()
	h.mu.Unlock()
	switch {
	case err != nil:
	case urgent:
		h.Reader.Notify(wait.Urgent) // the signal first, so that no read passes the mark before it
		h.Reader.Notify(wait.In | wait.Pri)
	default:
		h.Reader.Notify(wait.In)
	}
	return n, err
}

func (h *Half) put(m *Message, from []byte, creds Ucred) (int, error) {
	size := m.Len()
	switch {
	case h.broken, h.ended:
		return 0, unix.EPIPE
	case !h.Stream && size > h.limit-32:
		return 0, unix.EMSGSIZE
	case h.Stream && size == 0:
		return 0, nil
	case h.held >= h.limit:
		return 0, unix.EAGAIN
	}
	if !h.Stream {
		p := packet{data: Gather(m.Data, 0, size), from: from, control: m.Control, creds: creds}
		if h.Reader.stamp.Load() != 0 {
			p.came = time.Now()
		}
		h.add(p)
		m.Control = Control{}
		return size, nil
	}
	return h.putStream(m, size, creds), nil
}

// putStream writes what there is room for. With MSG_OOB the last byte is urgent.
func (h *Half) putStream(m *Message, size int, creds Ucred) (done int) {
	plain := size
	if m.Flags&unix.MSG_OOB != 0 {
		plain--
	}
	part := func(n int) packet {
		p := packet{data: Gather(m.Data, done, n), control: m.Control, creds: creds}
		m.Control = Control{}
		done += n
		return p
	}
	for done < plain && h.held < h.limit {
		h.append(part(min(plain-done, chunk)))
	}
	if done < size && done == plain && h.held < h.limit {
		h.addUrgent(part(1))
	}
	return done
}

func (h *Half) add(p packet) {
	h.packets = append(h.packets, p)
	h.held += p.cost()
	h.bytes += len(p.data)
}

// append adds a part of a stream, to the last packet if that makes no
// difference.
func (h *Half) append(p packet) {
	if len(h.packets) > 0 && len(p.control.Rights) == 0 {
		last := &h.packets[len(h.packets)-1]
		if last.creds == p.creds && last.urgency == ordinary && len(last.control.Rights) == 0 && len(last.data)+len(p.data) <= mergeMax {
			last.data = append(last.data, p.data...)
			h.held += len(p.data)
			h.bytes += len(p.data)
			return
		}
	}
	h.add(p)
}

// Gather copies n bytes from offset off of the buffers.
func Gather(bufs [][]byte, off, n int) []byte {
	out := make([]byte, 0, n)
	for _, b := range bufs {
		if off >= len(b) {
			off -= len(b)
			continue
		}
		b = b[off:]
		off = 0
		out = append(out, b[:min(len(b), n-len(out))]...)
	}
	return out
}

// Take reads into m what is there; nothing at the end. borders says that one
// read of a stream must not mix what different senders wrote.
func (h *Half) Take(m *Message, borders bool) (int, error) {
	h.mu.Lock()
	before := h.writable()
	n, err := h.take(m, borders)
	room := !before && h.writable()
	waste := h.takeWaste()
	h.mu.Unlock()
	release(waste)
	if room {
		h.tellWriter(wait.Out)
	}
	return n, err
}

func (h *Half) take(m *Message, borders bool) (int, error) {
	flags := m.Flags
	m.Flags = 0
	switch {
	case h.Stream && m.Len() == 0 && len(h.packets) > 0:
		return 0, nil
	case len(h.packets) == 0 && h.ended:
		return 0, nil
	case len(h.packets) == 0:
		m.Flags = flags
		return 0, unix.EAGAIN
	case !h.Stream:
		return h.takePacket(m, flags), nil
	}
	n, stopped := h.takeStream(m, flags, borders)
	if n == 0 && !stopped && !h.ended {
		m.Flags = flags
		return 0, unix.EAGAIN // there was no more than a mark
	}
	return n, nil
}

// takePacket reads one packet; what has no room is lost.
func (h *Half) takePacket(m *Message, flags int) int {
	p := &h.packets[0]
	n := Scatter(m.Data, 0, p.data)
	size := len(p.data)
	m.Addr = p.from
	m.Control.Stamp = h.Reader.stamped(p)
	peek := flags&unix.MSG_PEEK != 0
	p.give(m, peek)
	if n < size {
		m.Flags |= unix.MSG_TRUNC
	}
	if !peek {
		h.pop()
	}
	if flags&unix.MSG_TRUNC != 0 {
		return size
	}
	return n
}

// takeStream reads over borders of packets, but stops behind one that carried
// descriptors, and at a mark.
func (h *Half) takeStream(m *Message, flags int, borders bool) (done int, stopped bool) {
	room, peek, discard := m.Len(), flags&unix.MSG_PEEK != 0, h.TCP && flags&unix.MSG_TRUNC != 0
	creds := h.packets[0].creds
	for i := 0; done < room && i < len(h.packets); {
		if i, stopped = h.pass(i, done > 0 || m.Begun, peek); stopped || i == len(h.packets) {
			break
		}
		p := &h.packets[i]
		if borders && p.creds != creds {
			break
		}
		n := min(room-done, len(p.data))
		if !discard {
			Scatter(m.Data, done, p.data)
		}
		done += n
		carried := len(p.control.Rights) > 0
		p.give(m, peek)
		switch {
		case peek:
			i++
		case n == len(p.data):
			h.pop()
		default:
			p.data = p.data[n:]
			h.held -= n
			h.bytes -= n
		}
		if carried {
			break
		}
	}
	return done, stopped
}

// give passes the control data on, or a copy of it.
func (p *packet) give(m *Message, peek bool) {
	creds := p.creds
	m.Control.Creds = &creds
	if len(p.control.Rights) == 0 && len(p.control.Other) == 0 {
		return
	}
	m.Control.Rights, m.Control.Other = p.control.Rights, p.control.Other
	if !peek {
		m.Control.flying = p.control.flying
		p.control = Control{}
		return
	}
	for _, d := range m.Control.Rights {
		d.Ref()
	}
}

// pop removes the first packet.
func (h *Half) pop() {
	h.unmark(&h.packets[0])
	h.held -= h.packets[0].cost()
	h.bytes -= len(h.packets[0].data)
	h.packets[0] = packet{}
	h.packets = h.packets[1:]
	if len(h.packets) == 0 {
		h.packets = nil
	}
}

// Scatter copies data to offset off of the buffers, as much as they have room for, and
// returns how much that was, bytes.
func Scatter(bufs [][]byte, off int, data []byte) (n int) {
	for _, b := range bufs {
		if off >= len(b) {
			off -= len(b)
			continue
		}
		n += copy(b[off:], data[n:])
		off = 0
	}
	return n
}
