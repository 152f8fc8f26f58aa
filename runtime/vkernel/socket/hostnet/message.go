package hostnet

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/socket"
)

// maxControl bounds the control messages of one receive, bytes.
const maxControl = 4096

// msghdr makes the host's header for buffers; keep must live as long.
func msghdr(data [][]byte) (h unix.Msghdr, keep []unix.Iovec) {
	for _, b := range data {
		v := unix.Iovec{Base: unsafe.SliceData(b)}
		v.SetLen(len(b))
		keep = append(keep, v)
	}
	if len(keep) > 0 {
		h.Iov = &keep[0]
		h.SetIovlen(len(keep))
	}
	return h, keep
}

// Send implements socket.Socket.
func (s *sock) Send(_ *socket.Caller, m *socket.Message) (int, error) {
	h, _ := msghdr(m.Data)
	if len(m.Addr) > 0 {
		h.Name, h.Namelen = &m.Addr[0], uint32(len(m.Addr))
	}
	if control := encodeControl(m.Control.Other); len(control) > 0 {
		h.Control = &control[0]
		h.SetControllen(len(control))
	}
	n, _, e := unix.Syscall(unix.SYS_SENDMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&h)), uintptr(m.Flags|unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL))
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// Recv implements socket.Socket.
func (s *sock) Recv(m *socket.Message) (int, error) {
	if m.Begun {
		if at, err := s.AtMark(); at && err == nil {
			return 0, nil
		}
	}
	h, _ := msghdr(m.Data)
	addr, control := make([]byte, socket.MaxAddr), make([]byte, maxControl)
	h.Name, h.Namelen, h.Control = &addr[0], uint32(len(addr)), &control[0]
	h.SetControllen(len(control))
	n, _, e := unix.Syscall(unix.SYS_RECVMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&h)), uintptr(m.Flags&^unix.MSG_WAITALL|unix.MSG_DONTWAIT))
	if e != 0 {
		s.read(0, m.Flags)
		return 0, e
	}
	s.read(int(n), m.Flags)
	m.Addr, m.Flags = addr[:h.Namelen], int(h.Flags)&^unix.MSG_CMSG_CLOEXEC
	m.Control.Other = decodeControl(control[:h.Controllen])
	return int(n), nil
}

func align(n int) int { return (n + 7) &^ 7 }

func encodeControl(list []socket.Cmsg) (b []byte) {
	for _, c := range list {
		size := unix.SizeofCmsghdr + len(c.Data)
		b = binary.NativeEndian.AppendUint64(b, uint64(size))
		b = binary.NativeEndian.AppendUint32(b, uint32(c.Level))
		b = binary.NativeEndian.AppendUint32(b, uint32(c.Type))
		b = append(b, c.Data...)
		b = append(b, make([]byte, align(size)-size)...)
	}
	return b
}

func decodeControl(b []byte) (list []socket.Cmsg) {
	for len(b) >= unix.SizeofCmsghdr {
		size := binary.NativeEndian.Uint64(b)
		if size < unix.SizeofCmsghdr || size > uint64(len(b)) {
			break
		}
		list = append(list, socket.Cmsg{
			Level: int(int32(binary.NativeEndian.Uint32(b[8:]))), Type: int(int32(binary.NativeEndian.Uint32(b[12:]))), Data: b[unix.SizeofCmsghdr:size],
		})
		b = b[min(len(b), align(int(size))):]
	}
	return list
}
