package netlink

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/socket"
)

// headerSize is sizeof(struct nlmsghdr): length, type, flags, sequence
// number, port.
const headerSize = 16

func align(n int) int { return (n + 3) &^ 3 }

// request is a message to the kernel.
type request struct {
	typ, flags int
	seq        uint32
	raw        []byte // all of it
}

func newRequest(raw []byte) request {
	le := binary.LittleEndian
	return request{typ: int(le.Uint16(raw[4:])), flags: int(le.Uint16(raw[6:])), seq: le.Uint32(raw[8:]), raw: raw}
}

// body is what follows the header.
func (r request) body() []byte { return r.raw[headerSize:] }

// reply puts a message that answers r into the socket's queue.
func (s *sock) reply(r request, typ, flags int, body []byte) {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, uint32(headerSize+len(body)))
	b = le.AppendUint16(b, uint16(typ))
	b = le.AppendUint16(b, uint16(flags))
	b = le.AppendUint32(b, r.seq)
	b = append(le.AppendUint32(b, s.port.Load()), body...)
	s.in.Put(&socket.Message{Data: [][]byte{b}}, address(0), socket.Ucred{})
}

// fail answers with an error and the request.
func (s *sock) fail(r request, e unix.Errno) {
	s.reply(r, unix.NLMSG_ERROR, 0, append(binary.LittleEndian.AppendUint32(nil, uint32(-int32(e))), r.raw...))
}

// acknowledge says that r was done, if it asks for that: an error of 0 and the
// request's header.
func (s *sock) acknowledge(r request) {
	if r.flags&unix.NLM_F_ACK != 0 {
		s.reply(r, unix.NLMSG_ERROR, unix.NLM_F_CAPPED, append(make([]byte, 4), r.raw[:headerSize]...))
	}
}
