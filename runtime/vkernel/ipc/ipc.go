// Package ipc is interprocess communication: System V shared memory segments,
// semaphore sets and message queues, and POSIX message queues, as sysvipc(7), mq_overview(7) and Linux' ipc/*.c have them. It knows
// nothing of tasks or guest memory: who asks is a Caller, no method blocks, and who has to
// wait gets something to sleep on.
//
// Lock order: mm.MM.mu, then a family's mutex. None is held while another's is taken, nor
// while a Backing is released.
package ipc

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Key 0 makes an object that no key leads to, and flags of the get calls,
// uapi/linux/ipc.h.
const (
	Private = 0
	Create  = 0o1000
	Excl    = 0o2000
	NoWait  = 0o4000
)

// Rights that a call needs, for owner, group and others at once.
const (
	mayRead  = 0o444
	mayWrite = 0o222
	permMask = 0o777
)

// Caller is who asks.
type Caller struct {
	PID      int
	UID, GID uint32 // effective
	Groups   []uint32
	Caps     uint64 // effective capabilities, 1<<CAP_*
}

func (c Caller) has(capability int) bool { return c.Caps>>capability&1 != 0 }

func (c Caller) inGroup(gid uint32) bool { return gid == c.GID || slices.Contains(c.Groups, gid) }

// Perm is struct ipc64_perm.
type Perm struct {
	Key        int32
	UID, GID   uint32
	CUID, CGID uint32
	Mode       uint32
	Seq        uint16
}

func newPerm(c Caller, key int32, mode int) Perm {
	return Perm{Key: key, UID: c.UID, GID: c.GID, CUID: c.UID, CGID: c.GID, Mode: uint32(mode) & permMask}
}

// allows is ipcperms: EACCES unless the caller has the rights of mode.
func (p *Perm) allows(c Caller, mode int) error {
	want := uint32(mode>>6 | mode>>3 | mode)
	have := p.Mode
	switch {
	case c.UID == p.CUID || c.UID == p.UID:
		have >>= 6
	case c.inGroup(p.CGID) || c.inGroup(p.GID):
		have >>= 3
	}
	if want&^have&7 != 0 && !c.has(unix.CAP_IPC_OWNER) {
		return unix.EACCES
	}
	return nil
}

// owned is EPERM unless the caller may change or remove the object.
func (p *Perm) owned(c Caller) error {
	if c.UID == p.CUID || c.UID == p.UID || c.has(unix.CAP_SYS_ADMIN) {
		return nil
	}
	return unix.EPERM
}

// set is IPC_SET.
func (p *Perm) set(n Perm) {
	p.UID, p.GID = n.UID, n.GID
	p.Mode = p.Mode&^permMask | n.Mode&permMask
}

// Namespace is what the processes of a container share.
type Namespace struct {
	Shm ShmTable
	Sem SemTable
	Msg MsgTable
	Mq  MqTable
}

// now is a time as the structures have it: seconds since 1970.
func now() int64 { return time.Now().Unix() }
