package socket

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/linux"
)

// OptionName is what setsockopt calls level and optname.
type OptionName struct{ Level, Name int }

// Table is options whose value is an int.
type Table map[OptionName]Option

// Option is an option whose value is an int that is kept.
type Option struct {
	Initial int
	// Fit gives what is kept of a value. nil: the option cannot be set.
	Fit func(v int) (int, error)
}

// Bool keeps 0 or 1.
func Bool(v int) (int, error) {
	return toInt(v != 0), nil
}

func toInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Any keeps the value.
func Any(v int) (int, error) { return v, nil }

// Within keeps values of a range; others are EINVAL.
func Within(low, high int) func(int) (int, error) {
	return func(v int) (int, error) {
		if v < low || v > high {
			return 0, unix.EINVAL
		}
		return v, nil
	}
}

// Privileged is an option that an ordinary process may not set.
func Privileged(int) (int, error) { return 0, unix.EPERM }

// Buffer sizes in bytes, net/core/sock.c.
const (
	DefaultBuffer = 212992  // net.core.wmem_default, rmem_default
	maxBuffer     = 4194304 // net.core.wmem_max, rmem_max
	minSendBuffer = 4608
	minRecvBuffer = 2304
)

// bufferSize keeps twice the value, as the kernel does.
func bufferSize(least int) func(int) (int, error) {
	return func(v int) (int, error) { return max(2*min(max(v, 0), maxBuffer), least), nil }
}

// solSocket are the options that every socket has.
var solSocket = Table{
	{unix.SOL_SOCKET, unix.SO_DEBUG}:           {0, Bool},
	{unix.SOL_SOCKET, unix.SO_REUSEADDR}:       {0, Bool},
	{unix.SOL_SOCKET, unix.SO_REUSEPORT}:       {0, Bool},
	{unix.SOL_SOCKET, unix.SO_DONTROUTE}:       {0, Bool},
	{unix.SOL_SOCKET, unix.SO_BROADCAST}:       {0, Bool},
	{unix.SOL_SOCKET, unix.SO_KEEPALIVE}:       {0, Bool},
	{unix.SOL_SOCKET, unix.SO_OOBINLINE}:       {0, Bool},
	{unix.SOL_SOCKET, unix.SO_NO_CHECK}:        {0, Bool},
	{unix.SOL_SOCKET, unix.SO_PASSCRED}:        {0, Bool},
	{unix.SOL_SOCKET, unix.SO_PASSSEC}:         {0, Bool},
	{unix.SOL_SOCKET, unix.SO_RXQ_OVFL}:        {0, Bool},
	{unix.SOL_SOCKET, unix.SO_LOCK_FILTER}:     {0, Bool},
	{unix.SOL_SOCKET, unix.SO_ZEROCOPY}:        {0, Bool},
	{unix.SOL_SOCKET, unix.SO_PRIORITY}:        {0, Within(0, 6)},
	{unix.SOL_SOCKET, unix.SO_MARK}:            {0, Privileged},
	{unix.SOL_SOCKET, unix.SO_BUSY_POLL}:       {0, Within(0, 0)},
	{unix.SOL_SOCKET, unix.SO_INCOMING_CPU}:    {-1, Any},
	{unix.SOL_SOCKET, unix.SO_MAX_PACING_RATE}: {-1, Any},
	{unix.SOL_SOCKET, unix.SO_RCVLOWAT}:        {1, atLeastOne},
	{unix.SOL_SOCKET, unix.SO_SNDLOWAT}:        {1, nil},
	{unix.SOL_SOCKET, unix.SO_SNDBUF}:          {DefaultBuffer, bufferSize(minSendBuffer)},
	{unix.SOL_SOCKET, unix.SO_RCVBUF}:          {DefaultBuffer, bufferSize(minRecvBuffer)},
	{unix.SOL_SOCKET, unix.SO_SNDBUFFORCE}:     {0, Privileged},
	{unix.SOL_SOCKET, unix.SO_RCVBUFFORCE}:     {0, Privileged},
}

func atLeastOne(v int) (int, error) {
	if v < 0 {
		v = 1<<31 - 1
	}
	return max(v, 1), nil
}

// computed are options of SOL_SOCKET that can only be asked for.
var computed = map[int]func(c *Common) int{
	unix.SO_TYPE:     func(c *Common) int { return c.Type },
	unix.SO_DOMAIN:   func(c *Common) int { return c.Domain },
	unix.SO_PROTOCOL: func(c *Common) int { return c.Protocol },
	unix.SO_ERROR:    func(c *Common) int { return int(linux.Errno(c.TakeError())) },
	unix.SO_ACCEPTCONN: func(c *Common) int {
		c.mu.Lock()
		defer c.mu.Unlock()
		return toInt(c.listening)
	},
}

// Linger is struct linger.
type Linger struct {
	On      bool
	Seconds int
}

// Linger is the value of SO_LINGER.
func (c *Common) Linger() Linger {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.linger
}

// Int is the value of an option of a table.
func (c *Common) Int(level, name int) int {
	key := OptionName{level, name}
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, set := c.values[key]; set {
		return v
	}
	o, _ := c.option(key)
	return o.Initial
}

// Keep sets the value of an option, past the checks of its table.
func (c *Common) Keep(level, name, v int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.values[OptionName{level, name}] = v
}

// IsSet tells whether the option was set.
func (c *Common) IsSet(level, name int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, set := c.values[OptionName{level, name}]
	return set
}

func (c *Common) option(key OptionName) (Option, bool) {
	for _, t := range c.tables {
		if o, ok := t[key]; ok {
			return o, true
		}
	}
	return Option{}, false
}

// hasLevel tells whether there is any option of a level.
func (c *Common) hasLevel(level int) bool {
	for _, t := range c.tables {
		for name := range t {
			if name.Level == level {
				return true
			}
		}
	}
	return false
}

// Names of the time-outs whose 64-bit form has a name of its own,
// asm-generic/socket.h.
const (
	soRcvtimeoNew = 66
	soSndtimeoNew = 67
)

// timeoutIndex is where in Common.timeouts an option is.
var timeoutIndex = map[int]int{unix.SO_RCVTIMEO: 0, soRcvtimeoNew: 0, unix.SO_SNDTIMEO: 1, soSndtimeoNew: 1}

// SetOption implements Socket.
func (c *Common) SetOption(level, name int, value []byte) error {
	if level == unix.SOL_SOCKET {
		if i, isTimeout := timeoutIndex[name]; isTimeout {
			return c.setTimeout(i, value)
		}
		if name == unix.SO_LINGER {
			return c.setLinger(value)
		}
		if _, is := stampOptions[name]; is {
			return c.setStamp(name, value)
		}
	}
	o, known := c.option(OptionName{level, name})
	switch {
	case !c.hasLevel(level) && len(c.tables) == 1:
		return unix.EOPNOTSUPP
	case !known, o.Fit == nil:
		return unix.ENOPROTOOPT
	}
	v, err := intValue(level, value)
	if err != nil {
		return err
	}
	if v, err = o.Fit(v); err != nil {
		return err
	}
	c.Keep(level, name, v)
	return nil
}

// intValue reads an int; the options of IP may be single bytes.
func intValue(level int, value []byte) (int, error) {
	switch {
	case len(value) >= 4:
		return int(int32(binary.LittleEndian.Uint32(value))), nil
	case len(value) > 0 && level == unix.IPPROTO_IP:
		return int(value[0]), nil
	}
	return 0, unix.EINVAL
}

func (c *Common) setLinger(value []byte) error {
	if len(value) < 8 {
		return unix.EINVAL
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.linger = Linger{binary.LittleEndian.Uint32(value) != 0, int(binary.LittleEndian.Uint32(value[4:]))}
	return nil
}

// setTimeout reads a struct timeval; zero and what is negative is no time-out.
func (c *Common) setTimeout(i int, value []byte) error {
	if len(value) < 16 {
		return unix.EINVAL
	}
	sec, usec := int64(binary.LittleEndian.Uint64(value)), int64(binary.LittleEndian.Uint64(value[8:]))
	if usec < 0 || usec >= 1e6 {
		return unix.EDOM
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timeouts[i] = 0
	switch {
	case sec < 0: // the kernel takes it as "do not wait"
		c.timeouts[i] = time.Nanosecond
	case sec < 1<<31:
		c.timeouts[i] = time.Duration(sec)*time.Second + time.Duration(usec)*time.Microsecond
	}
	return nil
}

// Option implements Socket.
func (c *Common) Option(level, name, _ int) ([]byte, error) {
	if level == unix.SOL_SOCKET {
		if get := computed[name]; get != nil {
			return EncodeInt(get(c)), nil
		}
		if i, isTimeout := timeoutIndex[name]; isTimeout {
			return c.timeval(i), nil
		}
		if _, is := stampOptions[name]; is {
			return EncodeInt(toInt(int(c.stamp.Load()) == name)), nil
		}
		if name == unix.SO_LINGER {
			l := c.Linger()
			return append(EncodeInt(toInt(l.On)), EncodeInt(l.Seconds)...), nil
		}
	}
	if !c.hasLevel(level) && c.Domain != unix.AF_INET6 {
		return nil, unix.EOPNOTSUPP
	}
	if _, known := c.option(OptionName{level, name}); !known {
		return nil, unix.ENOPROTOOPT
	}
	return EncodeInt(c.Int(level, name)), nil
}

func (c *Common) timeval(i int) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.timeouts[i]
	b := binary.LittleEndian.AppendUint64(nil, uint64(d/time.Second))
	return binary.LittleEndian.AppendUint64(b, uint64(d%time.Second/time.Microsecond))
}

// EncodeInt is v as an option's value.
func EncodeInt(v int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(v)) }
