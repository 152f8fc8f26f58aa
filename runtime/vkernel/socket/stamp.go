package socket

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"
)

// stampOptions are the options by which a socket gets the times at which
// datagrams came; the control message has the option's number. The last one set counts,
// and any of them ends it. The
// value tells whether the time is in nanoseconds.
var stampOptions = map[int]bool{unix.SO_TIMESTAMP: false, unix.SO_TIMESTAMPNS: true, unix.SO_TIMESTAMP_NEW: false, unix.SO_TIMESTAMPNS_NEW: true}

// setStamp sets one of stampOptions.
func (c *Common) setStamp(name int, value []byte) error {
	v, err := intValue(unix.SOL_SOCKET, value)
	switch {
	case err != nil:
		return err
	case v == 0:
		c.stamp.Store(0)
	default:
		c.stamp.Store(int32(name))
	}
	return nil
}

// stamped is the control message with the time at which p came; none if the
// reader wants none. Packets from before it wanted any come now.
func (c *Common) stamped(p *packet) []Cmsg {
	name := int(c.stamp.Load())
	if name == 0 {
		return nil
	}
	at := p.came
	if at.IsZero() {
		at = time.Now()
	}
	fine := int64(at.Nanosecond())
	if !stampOptions[name] {
		fine /= 1000
	}
	b := binary.LittleEndian.AppendUint64(nil, uint64(at.Unix()))
	return []Cmsg{{unix.SOL_SOCKET, name, binary.LittleEndian.AppendUint64(b, uint64(fine))}}
}
