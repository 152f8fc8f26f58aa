package socket

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// Control is a message's ancillary data.
type Control struct {
	Rights []*vfs.Description // SCM_RIGHTS; whoever holds the Control holds a reference of each
	Stamp  []Cmsg             // when it came, if that was asked for
	Creds  *Ucred             // SCM_CREDENTIALS
	Other  []Cmsg

	flying *atomic.Int64 // counts Rights; nil if they are not counted
}

// Cmsg is a control message that is passed on as it is.
type Cmsg struct {
	Level, Type int
	Data        []byte
}

// Release gives the references of c back.
func (c *Control) Release() {
	if c.flying != nil {
		c.flying.Add(-int64(len(c.Rights)))
	}
	for _, d := range c.Rights {
		d.Unref()
	}
	c.Rights = nil
}

// Add takes a reference of d over as another descriptor to be passed.
// ETOOMANYREFS if there are limit of them on their way already.
func (n *Network) Add(c *Control, d *vfs.Description, limit int) error {
	if n.flying.Load() >= int64(min(limit, maxFlying)) {
		return unix.ETOOMANYREFS
	}
	n.flying.Add(1)
	c.flying = &n.flying
	c.Rights = append(c.Rights, d)
	return nil
}

// maxFlying bounds the descriptors on their way in a container, and so how
// deep sockets can be in each other.
const maxFlying = 1 << 15

// Join takes over what came with a further part of a message.
func (c *Control) Join(more Control) {
	if more.flying != nil {
		c.flying = more.flying
	}
	c.Rights = append(c.Rights, more.Rights...)
}
