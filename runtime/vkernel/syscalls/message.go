package syscalls

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/socket"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// skip is the buffers without their first n bytes.
func skip(bufs [][]byte, n int) [][]byte {
	for i, b := range bufs {
		if n < len(b) {
			rest := append([][]byte{b[n:]}, bufs[i+1:]...)
			return rest
		}
		n -= len(b)
	}
	return nil
}

// send sends all of m: a stream waits until the whole of it has been taken.
// What was sent before an error counts.
func send(t *kernel.Task, d *vfs.Description, s *socket.File, m *socket.Message) (uint64, error) {
	c, size, flags, done := caller(t), m.Len(), m.Flags, 0
	err := waitFor(t, d, s, wait.Out, flags, func() error {
		for {
			n, err := s.Send(c, m)
			done += n
			if err != nil || done >= size || s.Base().Type != unix.SOCK_STREAM {
				return err
			}
			if m.Data = skip(m.Data, n); n == 0 {
				return unix.EAGAIN
			}
		}
	})
	m.Control.Release()
	if done > 0 {
		return uint64(done), nil
	}
	if err == unix.EPIPE && flags&unix.MSG_NOSIGNAL == 0 && s.Base().Type == unix.SOCK_STREAM {
		t.Send(kernel.SigInfo{Signo: unix.SIGPIPE, Code: kernel.SiUser, PID: int32(t.PID())})
	}
	return 0, err
}

// recv receives into m. MSG_WAITALL makes it wait until a stream has filled
// it.
func recv(t *kernel.Task, d *vfs.Description, s *socket.File, m *socket.Message) (uint64, error) {
	flags, room, done := m.Flags, m.Len(), 0
	all := flags&unix.MSG_WAITALL != 0 && flags&(unix.MSG_PEEK|unix.MSG_OOB) == 0 && s.Base().Type == unix.SOCK_STREAM
	if flags&unix.MSG_ERRQUEUE != 0 {
		flags |= unix.MSG_DONTWAIT
	}
	var got socket.Message
	err := waitFor(t, d, s, wait.In, flags, func() error {
		for {
			if t.Interrupted() && atMark(s) {
				return kernel.ERESTARTSYS
			}
			part := socket.Message{Data: skip(m.Data, done), Flags: flags, Begun: done > 0}
			n, err := s.Recv(&part)
			if err != nil {
				return err
			}
			if done == 0 {
				got = part
			} else {
				got.Control.Join(part.Control)
			}
			if done += n; n == 0 || !all || done >= room || len(part.Control.Rights) > 0 {
				return nil
			}
		}
	})
	if done == 0 && err != nil {
		return 0, err
	}
	m.Addr, m.Flags, m.Control = got.Addr, got.Flags, got.Control
	return uint64(done), nil
}

// atMark tells whether what is read next is out-of-band data: SIGURG comes
// before it is passed.
func atMark(s *socket.File) bool {
	m, able := s.Socket.(socket.Marker)
	if !able {
		return false
	}
	at, err := m.AtMark()
	return at && err == nil
}

// readSocket and writeSocket are read and write.
func readSocket(t *kernel.Task, d *vfs.Description, s *socket.File, bufs [][]byte) (uint64, error) {
	m := &socket.Message{Data: bufs}
	if m.Len() == 0 {
		return 0, nil
	}
	n, err := recv(t, d, s, m)
	m.Control.Release()
	return n, err
}

func writeSocket(t *kernel.Task, d *vfs.Description, s *socket.File, bufs [][]byte) (uint64, error) {
	return send(t, d, s, &socket.Message{Data: bufs})
}

func sysSendto(t *kernel.Task, a Args) (uint64, error) {
	return withSocket(t, a.Int(0), func(d *vfs.Description, s *socket.File) (uint64, error) {
		p, err := buffer(t, a[1], a[2], false)
		if err != nil {
			return 0, err
		}
		m := &socket.Message{Data: [][]byte{p}, Flags: a.Int(3)}
		if a[4] != 0 {
			if m.Addr, err = addrArg(t, a[4], a.Int(5)); err != nil {
				return 0, err
			}
		}
		return send(t, d, s, m)
	})
}

func sysRecvfrom(t *kernel.Task, a Args) (uint64, error) {
	return withSocket(t, a.Int(0), func(d *vfs.Description, s *socket.File) (uint64, error) {
		p, err := buffer(t, a[1], a[2], true)
		if err != nil {
			return 0, err
		}
		m := &socket.Message{Data: [][]byte{p}, Flags: a.Int(3)}
		n, err := recv(t, d, s, m)
		m.Control.Release()
		if err == nil && a[4] != 0 {
			err = storeAddr(t, a[4], a[5], m.Addr)
		}
		return n, err
	})
}

// header is struct msghdr.
type header struct {
	at                  uint64 // where it stands
	name, iov, control  uint64
	nameLen, controlLen uint64
	iovLen              int
}

// Sizes and offsets of struct msghdr and struct mmsghdr, bytes.
const (
	msghdrSize      = 56
	mmsghdrSize     = 64
	msgNameLen      = 8
	msgControlLen   = 40
	msgFlags        = 48
	maxControlSpace = 20480 // net.core.optmem_max
)

func headerArg(t *kernel.Task, addr uint64) (*header, error) {
	var raw [msghdrSize]byte
	if err := mem(t).CopyIn(addr, raw[:]); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	h := &header{
		at: addr, name: le.Uint64(raw[:]), nameLen: uint64(le.Uint32(raw[msgNameLen:])), iov: le.Uint64(raw[16:]),
		control: le.Uint64(raw[32:]), controlLen: le.Uint64(raw[msgControlLen:]),
	}
	n := le.Uint64(raw[24:])
	switch {
	case int32(h.nameLen) < 0:
		return nil, unix.EINVAL
	case n > maxIovecs:
		return nil, unix.EMSGSIZE
	}
	h.nameLen, h.iovLen = min(h.nameLen, socket.MaxAddr), int(n)
	return h, nil
}

func sendmsg(t *kernel.Task, fd int, addr uint64, flags int) (uint64, error) {
	return withSocket(t, fd, func(d *vfs.Description, s *socket.File) (uint64, error) {
		h, err := headerArg(t, addr)
		if err != nil {
			return 0, err
		}
		m := &socket.Message{Flags: flags}
		if m.Data, err = iovecs(t, h.iov, h.iovLen, false); err != nil {
			return 0, err
		}
		if h.name != 0 && h.nameLen > 0 {
			if m.Addr, err = addrArg(t, h.name, int(h.nameLen)); err != nil {
				return 0, err
			}
		}
		if h.control != 0 {
			if m.Control, err = controlArg(t, h, s.Base().Domain == unix.AF_UNIX); err != nil {
				return 0, err
			}
		}
		return send(t, d, s, m)
	})
}

func sysSendmsg(t *kernel.Task, a Args) (uint64, error) {
	return sendmsg(t, a.Int(0), a[1], a.Int(2))
}

func recvmsg(t *kernel.Task, fd int, addr uint64, flags int) (uint64, error) {
	return withSocket(t, fd, func(d *vfs.Description, s *socket.File) (uint64, error) {
		h, err := headerArg(t, addr)
		if err != nil {
			return 0, err
		}
		m := &socket.Message{Flags: flags}
		if m.Data, err = iovecs(t, h.iov, h.iovLen, true); err != nil {
			return 0, err
		}
		n, err := recv(t, d, s, m)
		if err != nil {
			return 0, err
		}
		return n, h.store(t, m, flags)
	})
}

func sysRecvmsg(t *kernel.Task, a Args) (uint64, error) {
	return recvmsg(t, a.Int(0), a[1], a.Int(2))
}

// store writes what came with a message: address, control messages, flags.
func (h *header) store(t *kernel.Task, m *socket.Message, flags int) error {
	if h.name != 0 {
		b := m.Addr[:min(len(m.Addr), int(h.nameLen))]
		if err := mem(t).CopyOut(h.name, b); err != nil {
			m.Control.Release()
			return err
		}
		if err := mem(t).Store32(h.at+msgNameLen, uint32(len(m.Addr))); err != nil {
			m.Control.Release()
			return err
		}
	}
	used, err := h.storeControl(t, m, flags&unix.MSG_CMSG_CLOEXEC != 0)
	if err != nil {
		return err
	}
	out := uint32(m.Flags | flags&unix.MSG_CMSG_CLOEXEC)
	return firstError(mem(t).Store32(h.at+msgFlags, out), mem(t).Store64(h.at+msgControlLen, used))
}

// maxMessages is UIO_MAXIOV, what sendmmsg and recvmmsg take.
const maxMessages = 1024

// messages does one call after the other on the elements of a struct mmsghdr
// array until one fails.
func messages(t *kernel.Task, a Args, one func(addr uint64, i int) (uint64, error)) (uint64, error) {
	n := min(a.Uint(2), maxMessages)
	for i := range n {
		addr := a[1] + uint64(i)*mmsghdrSize
		size, err := one(addr, int(i))
		if err == nil {
			err = mem(t).Store32(addr+msghdrSize, uint32(size))
		}
		if err != nil {
			return uint64(i), keep(uint64(i), err)
		}
	}
	return uint64(n), nil
}

func sysSendmmsg(t *kernel.Task, a Args) (uint64, error) {
	return messages(t, a, func(addr uint64, _ int) (uint64, error) {
		return sendmsg(t, a.Int(0), addr, a.Int(3))
	})
}

func sysRecvmmsg(t *kernel.Task, a Args) (uint64, error) {
	deadline, err := timeout(t, a[4])
	if err != nil {
		return 0, err
	}
	return messages(t, a, func(addr uint64, i int) (uint64, error) {
		flags := a.Int(3) &^ unix.MSG_WAITFORONE
		if i > 0 && a.Int(3)&unix.MSG_WAITFORONE != 0 {
			flags |= unix.MSG_DONTWAIT
		}
		if i > 0 && !deadline.IsZero() && !time.Now().Before(deadline) {
			return 0, unix.EAGAIN
		}
		return recvmsg(t, a.Int(0), addr, flags)
	})
}

// cmsgHeader is sizeof(struct cmsghdr), bytes.
const cmsgHeader = 16

// cmsgAlign is CMSG_ALIGN.
func cmsgAlign(n int) int { return (n + 7) &^ 7 }

// controlArg reads control messages. Descriptors and credentials mean
// something to AF_UNIX only.
func controlArg(t *kernel.Task, h *header, local bool) (c socket.Control, err error) {
	if h.controlLen > maxControlSpace {
		return c, unix.ENOBUFS
	}
	raw := make([]byte, h.controlLen)
	if err := mem(t).CopyIn(h.control, raw); err != nil {
		return c, err
	}
	for len(raw) >= cmsgHeader {
		size := binary.LittleEndian.Uint64(raw)
		if size < cmsgHeader || size > uint64(len(raw)) {
			c.Release()
			return c, unix.EINVAL
		}
		m := socket.Cmsg{Level: int(int32(binary.LittleEndian.Uint32(raw[8:]))), Type: int(int32(binary.LittleEndian.Uint32(raw[12:]))), Data: raw[cmsgHeader:size]}
		if err := addControl(t, &c, m, local); err != nil {
			c.Release()
			return c, err
		}
		raw = raw[min(len(raw), cmsgAlign(int(size))):]
	}
	return c, nil
}

func addControl(t *kernel.Task, c *socket.Control, m socket.Cmsg, local bool) error {
	switch {
	case m.Level != unix.SOL_SOCKET:
		c.Other = append(c.Other, m)
		return nil
	case !local:
		return nil
	case m.Type == unix.SCM_RIGHTS:
		return addRights(t, c, m.Data)
	case m.Type == unix.SCM_CREDENTIALS:
		return addCreds(t, c, m.Data)
	}
	return unix.EINVAL
}

// maxRights is SCM_MAX_FD.
const maxRights = 253

func addRights(t *kernel.Task, c *socket.Control, fds []byte) error {
	if len(c.Rights)+len(fds)/4 > maxRights {
		return unix.EINVAL
	}
	for ; len(fds) >= 4; fds = fds[4:] {
		d, err := t.FDs.Get(int(int32(binary.LittleEndian.Uint32(fds))))
		if err != nil {
			return err
		}
		if err := t.K.Net.Add(c, d, t.Group.Limits.Files()); err != nil {
			d.Unref()
			return err
		}
	}
	return nil
}

// ucredSize is sizeof(struct ucred).
const ucredSize = 12

// addCreds takes the credentials that the sender may claim to have.
func addCreds(t *kernel.Task, c *socket.Control, b []byte) error {
	if len(b) != ucredSize {
		return unix.EINVAL
	}
	le, me := binary.LittleEndian, t.Creds()
	u := &socket.Ucred{PID: int32(le.Uint32(b)), UID: le.Uint32(b[4:]), GID: le.Uint32(b[8:])}
	switch {
	case int(u.PID) != t.PID() && !me.Has(unix.CAP_SYS_ADMIN),
		u.UID != me.UID && u.UID != me.EUID && u.UID != me.SUID && !me.Has(unix.CAP_SETUID),
		u.GID != me.GID && u.GID != me.EGID && u.GID != me.SGID && !me.Has(unix.CAP_SETGID):
		return unix.EPERM
	}
	c.Creds = u
	return nil
}

// storeControl writes the control messages that have room and tells how much
// of the buffer was used. It gives descriptors to the task and releases those that
// have no room.
func (h *header) storeControl(t *kernel.Task, m *socket.Message, cloexec bool) (uint64, error) {
	w := controlWriter{room: int(min(h.controlLen, 1<<20)), m: m}
	if h.control == 0 {
		w.room = 0
	}
	for _, s := range m.Control.Stamp {
		w.put(s.Level, s.Type, s.Data)
	}
	if c := m.Control.Creds; c != nil {
		b := binary.LittleEndian.AppendUint32(nil, uint32(c.PID))
		b = binary.LittleEndian.AppendUint32(b, c.UID)
		w.put(unix.SOL_SOCKET, unix.SCM_CREDENTIALS, binary.LittleEndian.AppendUint32(b, c.GID))
	}
	for _, o := range m.Control.Other {
		w.put(o.Level, o.Type, o.Data)
	}
	if len(m.Control.Rights) > 0 {
		w.putRights(t, cloexec)
	}
	m.Control.Release()
	return uint64(len(w.out)), mem(t).CopyOut(h.control, w.out)
}

// controlWriter fills a buffer with control messages; what does not fit sets
// MSG_CTRUNC.
type controlWriter struct {
	m    *socket.Message
	room int // bytes that are left
	out  []byte
}

func (w *controlWriter) put(level, typ int, data []byte) {
	if w.room < cmsgHeader {
		w.m.Flags |= unix.MSG_CTRUNC
		return
	}
	if w.room < cmsgHeader+len(data) {
		w.m.Flags |= unix.MSG_CTRUNC
		data = data[:w.room-cmsgHeader]
	}
	size := cmsgHeader + len(data)
	b := binary.LittleEndian.AppendUint64(w.out, uint64(size))
	b = binary.LittleEndian.AppendUint32(b, uint32(level))
	b = append(binary.LittleEndian.AppendUint32(b, uint32(typ)), data...)
	space := min(cmsgAlign(size), w.room)
	w.out = append(b, make([]byte, space-size)...)
	w.room -= space
}

// putRights installs descriptors, as many as there is room for.
func (w *controlWriter) putRights(t *kernel.Task, cloexec bool) {
	var fds []byte
	n := min(max(0, w.room-cmsgHeader)/4, len(w.m.Control.Rights))
	for _, d := range w.m.Control.Rights[:n] {
		d.Ref()
		fd, err := install(t, d, cloexec)
		if err != nil {
			break
		}
		fds = binary.LittleEndian.AppendUint32(fds, uint32(fd))
	}
	if len(fds)/4 < len(w.m.Control.Rights) {
		w.m.Flags |= unix.MSG_CTRUNC
	}
	if len(fds) > 0 {
		w.put(unix.SOL_SOCKET, unix.SCM_RIGHTS, fds)
	}
}

// asSocket is the socket that d is, if it is one: reads and writes of sockets
// go through send and recv, which know who calls.
func asSocket(d *vfs.Description) (*socket.File, bool) {
	s, isSocket := d.File().(*socket.File)
	return s, isSocket && d.Flags()&linux.O_PATH == 0
}
