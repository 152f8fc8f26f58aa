package linux

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"
)

// Timespec is struct timespec: seconds since the epoch and nanoseconds.
type Timespec struct {
	Sec  int64
	Nsec int64 // 0 … 999 999 999, or UTIME_NOW, UTIME_OMIT in utimensat
}

// TimespecSize is sizeof(struct timespec).
const TimespecSize = 16

// Now is the host's CLOCK_REALTIME.
func Now() Timespec { return TimespecOf(time.Now()) }

// TimespecOf converts t.
func TimespecOf(t time.Time) Timespec {
	return Timespec{t.Unix(), int64(t.Nanosecond())}
}

// FromUnix converts the host's struct.
func FromUnix(t unix.Timespec) Timespec {
	sec, nsec := t.Unix()
	return Timespec{sec, nsec}
}

// Time converts t.
func (t Timespec) Time() time.Time { return time.Unix(t.Sec, t.Nsec) }

// Before reports whether t is earlier than u.
func (t Timespec) Before(u Timespec) bool {
	return t.Sec < u.Sec || t.Sec == u.Sec && t.Nsec < u.Nsec
}

// Append appends struct timespec.
func (t Timespec) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(t.Sec))
	return binary.LittleEndian.AppendUint64(b, uint64(t.Nsec))
}

// ParseTimespec reads struct timespec from the first 16 bytes of b.
func ParseTimespec(b []byte) Timespec {
	return Timespec{
		Sec:  int64(binary.LittleEndian.Uint64(b)),
		Nsec: int64(binary.LittleEndian.Uint64(b[8:])),
	}
}
