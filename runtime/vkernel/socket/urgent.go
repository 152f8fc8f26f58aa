package socket

import (
	"slices"

	"golang.org/x/sys/unix"
)

// Out-of-band data of a stream is one byte, which has a packet of its own: so
// its place, the mark, is a border between packets. A read ends at the mark, and
// the next one begins behind it, unless SO_OOBINLINE makes the byte ordinary
// data. Only the last byte sent is out of band. What becomes of others is where
// TCP (net/ipv4/tcp_input.c) and AF_UNIX (net/unix/af_unix.c) differ: see Half.TCP.

// urgency is what a packet has to do with out-of-band data.
type urgency uint8

const (
	ordinary urgency = iota
	urgent           // its byte can be read with MSG_OOB
	taken            // its byte was; the packet is still a mark
)

// Marker is a socket that can tell whether what is read next stands at the
// mark of out-of-band data (SIOCATMARK).
type Marker interface {
	AtMark() (bool, error)
}

// inline tells whether the reader has SO_OOBINLINE.
func (h *Half) inline() bool { return h.Reader.Int(unix.SOL_SOCKET, unix.SO_OOBINLINE) != 0 }

// hides tells whether an ordinary read would leave p's byte out.
func (h *Half) hides(p *packet) bool { return p.urgency != ordinary && !h.inline() }

// Urgent tells whether there is a byte for MSG_OOB.
func (h *Half) Urgent() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.oob
}

// AtMark tells whether the mark is what is read next.
func (h *Half) AtMark() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.marks == 0 {
		return false
	}
	switch first := &h.packets[0]; {
	case first.urgency == taken && !h.TCP:
		return !h.oob || len(h.packets) > 1 && h.packets[1].urgency == urgent
	default:
		return first.urgency != ordinary
	}
}

// Unread is FIONREAD of a stream, bytes: TCP tells what there is up to the mark.
func (h *Half) Unread() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.marks == 0 || !h.TCP || h.inline() {
		return h.bytes
	}
	n := 0
	for i := 0; h.packets[i].urgency == ordinary; i++ {
		n += len(h.packets[i].data)
	}
	return n
}

// addUrgent puts a packet with an urgent byte behind all others.
func (h *Half) addUrgent(p packet) {
	if h.marks > 0 {
		h.supersede()
	}
	p.urgency = urgent
	h.add(p)
	h.marks++
	h.oob = true
}

// supersede makes the urgent byte that was not read ordinary data.
func (h *Half) supersede() {
	if h.TCP && h.hides(&h.packets[0]) {
		h.pop() // the reader stands there, and has passed it
	}
	for i := range h.packets {
		if p := &h.packets[i]; h.TCP || p.urgency == urgent {
			h.unmark(p)
		}
	}
}

// unmark makes p an ordinary packet.
func (h *Half) unmark(p *packet) {
	if p.urgency == ordinary {
		return
	}
	h.oob = h.oob && p.urgency != urgent
	p.urgency = ordinary
	h.marks--
}

// pass brings a read from packet i to the next one that it gives data of, and
// stops it at a mark if it has begun, with data of packets before.
func (h *Half) pass(i int, begun, peek bool) (next int, stop bool) {
	for i < len(h.packets) {
		p := &h.packets[i]
		switch {
		case p.urgency == ordinary:
			return i, false
		case begun && (h.TCP || p.urgency == urgent || !h.oob):
			return i, true
		case len(p.data) > 0 && h.inline():
			if !peek {
				h.unmark(p)
			}
			return i, false
		case peek:
			i++
		default:
			h.discard(i)
		}
	}
	return i, false
}

// discard removes packet i with all that came with it.
func (h *Half) discard(i int) {
	p := &h.packets[i]
	h.unmark(p)
	h.held -= p.cost()
	h.bytes -= len(p.data)
	if len(p.control.Rights) > 0 {
		h.waste = append(h.waste, p.control)
	}
	h.packets = slices.Delete(h.packets, i, i+1)
}

// TakeUrgent reads the urgent byte (MSG_OOB). It never waits: EINVAL if there
// is none.
func (h *Half) TakeUrgent(m *Message) (int, error) {
	h.mu.Lock()
	n, err := h.takeUrgent(m)
	waste := h.takeWaste()
	h.mu.Unlock()
	release(waste)
	return n, err
}

func (h *Half) takeUrgent(m *Message) (int, error) {
	if !h.oob || h.inline() {
		return 0, unix.EINVAL
	}
	flags := m.Flags
	m.Flags = unix.MSG_OOB
	i := slices.IndexFunc(h.packets, func(p packet) bool { return p.urgency == urgent })
	p := &h.packets[i]
	n := 1
	if h.TCP && m.Len() == 0 {
		m.Flags |= unix.MSG_TRUNC
		n = 0
	}
	if !h.TCP || flags&unix.MSG_TRUNC == 0 {
		Scatter(m.Data, 0, p.data)
	}
	if flags&unix.MSG_PEEK == 0 {
		h.oob = false
		p.urgency = taken
		h.empty(i)
	}
	return n, nil
}

// empty removes the byte of packet i, of which AF_UNIX keeps only the mark,
// and no other mark right before it.
func (h *Half) empty(i int) {
	if h.TCP {
		return
	}
	p := &h.packets[i]
	p.data = nil
	h.held--
	h.bytes--
	if i > 0 && h.packets[i-1].urgency == taken {
		h.discard(i - 1)
	}
}

// takeWaste gives the control data that nobody will get.
func (h *Half) takeWaste() []Control {
	w := h.waste
	h.waste = nil
	return w
}

// release gives back what is in controls.
// Preconditions: no lock is held.
func release(controls []Control) {
	for i := range controls {
		controls[i].Release()
	}
}
