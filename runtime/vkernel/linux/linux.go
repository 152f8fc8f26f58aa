// Package linux holds the constants and binary structures of the Linux
// x86-64 system call ABI that the file side of the vkernel needs. Where a
// value is the same on every architecture, golang.org/x/sys/unix is used
// instead of a copy here; where it differs (open flags, struct stat), the
// x86-64 value is written out, because the host may be another machine.
// It knows nothing of guests, processes or file systems.
package linux

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// Open flags of x86-64, asm-generic/fcntl.h.
const (
	O_ACCMODE   = 0o3
	O_RDONLY    = 0o0
	O_WRONLY    = 0o1
	O_RDWR      = 0o2
	O_CREAT     = 0o100
	O_EXCL      = 0o200
	O_NOCTTY    = 0o400
	O_TRUNC     = 0o1000
	O_APPEND    = 0o2000
	O_NONBLOCK  = 0o4000
	O_DSYNC     = 0o10000
	O_ASYNC     = 0o20000
	O_DIRECT    = 0o40000
	O_LARGEFILE = 0o100000
	O_DIRECTORY = 0o200000
	O_NOFOLLOW  = 0o400000
	O_NOATIME   = 0o1000000
	O_CLOEXEC   = 0o2000000
	O_SYNC      = 0o4010000
	O_PATH      = 0o10000000
	O_TMPFILE   = 0o20000000 | O_DIRECTORY
)

// SettableFlags are the status flags that F_SETFL may change.
const SettableFlags = O_APPEND | O_NONBLOCK | O_DIRECT | O_ASYNC | O_NOATIME

// Limits of linux/limits.h.
const (
	NameMax    = 255       // bytes in one path component, without NUL
	PathMax    = 4096      // bytes in a path, with NUL
	SymlinkMax = 40        // links followed in one walk, MAXSYMLINKS
	XattrNames = 255       // bytes in an attribute's name
	XattrSize  = 65536     // bytes in an attribute's value
	PageSize   = 4096      // bytes
	LinkMax    = 65000     // hard links to one inode
	MaxFile    = 1<<63 - 1 // bytes, the largest file offset
)

// Errno returns the error number a guest sees for err: 0 for nil, EIO for an
// error that carries none.
func Errno(err error) unix.Errno {
	if err == nil {
		return 0
	}
	var e syscall.Errno
	if errors.As(err, &e) {
		return e
	}
	return unix.EIO
}
