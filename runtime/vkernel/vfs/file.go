package vfs

import (
	"os"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// File is what an open file description does its work on. It has no offset:
// the description has it. Access modes, offsets and file size limits are the
// description's work. Methods may be called concurrently.
type File interface {
	// Release is called once, when the last reference is gone.
	Release()
}

// Asyncer is a Poller whose owner gets signals with O_ASYNC.
type Asyncer interface {
	Poller
	Async()
}

// Urger is a Poller whose owner gets SIGURG: of each wait.Urgent that its
// queue is told.
type Urger interface {
	Poller
	Urgent()
}

// Flusher is a file that is told when a descriptor of it is closed.
type Flusher interface {
	// Flush is told of which table.
	Flush(table any)
}

// ReaderAt is a file with positions. At its end it returns 0, nil. Without it and
// without Reader: EINVAL.
type ReaderAt interface {
	ReadAt(p []byte, off int64) (int, error)
}

// WriterAt is a file with positions that can be written.
type WriterAt interface {
	WriteAt(p []byte, off int64) (int, error)
}

// Appender is a WriterAt that can find its end and write there in one step
// (O_APPEND). It returns the offset after the last byte written.
type Appender interface {
	Append(p []byte) (n int, end int64, err error)
}

// Reader is a stream, or a file that has its own offset (then it is a
// ReaderAt and a Seeker too). It returns 0, nil at the end and EAGAIN if there is
// nothing yet.
type Reader interface {
	Read(p []byte) (int, error)
}

// Writer is a stream. It writes what fits, EAGAIN if nothing does, EPIPE if nobody will read it
// (the kernel sends SIGPIPE).
type Writer interface {
	Write(p []byte) (int, error)
}

// Seeker has its own lseek. cur is the description's offset; the result
// becomes it.
type Seeker interface {
	Lseek(cur, off int64, whence int) (int64, error)
}

// DirReader is an open directory.
type DirReader interface {
	// ReadDir calls emit for the entries from cookie on (0 is the first)
	// until it returns false; that entry was not taken. An entry's Off is the
	// cookie after it. "." and ".." come first. emit must not call the vfs.
	ReadDir(cookie int64, emit func(linux.Dirent) bool) error
}

// DotDot is told the inode number for ".." before ReadDir is called.
type DotDot interface {
	SetParent(ino uint64)
}

// Mmapper is a file that can be mapped.
type Mmapper interface {
	// HostFile returns a host file whose bytes are this file's at the same
	// offsets, valid until Release. MAP_PRIVATE and MAP_SHARED of it are
	// those of this file. If shared is true, stores through the mapping must reach this
	// file. A nil file means: map anonymous zeroes (/dev/zero).
	HostFile(shared bool) (*os.File, error)
}

// Freezer is a file whose contents may be kept in storage that nothing
// changes, as those of an image are until they are first written.
type Freezer interface {
	// Freeze opens the contents that the file has now and tells their
	// BLAKE3-256 hash. A nil file means: they can change, so copy them.
	Freeze() (f File, sum [32]byte, err error)
}

// Poller is a file that is not always ready.
type Poller interface {
	// Ready returns the events that hold now.
	Ready() wait.Mask
	// Queue is told of every event that may begin to hold.
	Queue() *wait.Queue
}

// OpenWaiter is a file whose open(2) completes only when something happens
// (the other end of a FIFO comes). While Pending, the kernel waits on Queue
// before it gives the descriptor out.
type OpenWaiter interface {
	Poller
	Pending() bool
}

// Ioctler handles ioctl requests; ENOTTY for those it does not know.
type Ioctler interface {
	Ioctl(c *Caller, cmd uint32, arg uint64, mem Memory) (uint64, error)
}

// Memory is the guest's memory as ioctls need it; errors are EFAULT.
type Memory interface {
	CopyIn(dst []byte, addr uint64) error
	CopyOut(addr uint64, src []byte) error
}

// Truncater is an open file that truncates itself, for inodes that are not
// AttrSetters.
type Truncater interface {
	Truncate(size int64) error
}

// Allocater does fallocate; mode is FALLOC_FL_*. Without it: EOPNOTSUPP.
type Allocater interface {
	Allocate(mode uint32, off, length int64) error
}

// DataSeeker finds data and holes (SEEK_DATA, SEEK_HOLE); ENXIO beyond the
// end. Without it a file is all data.
type DataSeeker interface {
	SeekData(off int64) (int64, error)
	SeekHole(off int64) (int64, error)
}

// Syncer has something to do for fsync.
type Syncer interface {
	Sync() error
}

// PipeSizer is a pipe (F_GETPIPE_SZ, F_SETPIPE_SZ), in bytes.
type PipeSizer interface {
	PipeSize() int
	SetPipeSize(n int) (int, error)
}

// Splicer is an end of a pipe, for splice and tee.
type Splicer interface {
	// Peek is Read that leaves the bytes where they are.
	Peek(p []byte) (int, error)
	// Room is how many bytes a write would take now.
	Room() int
	// Same tells whether other is an end of the same pipe.
	Same(other Splicer) bool
}

// Sealer is a file whose seals (F_SEAL_*) can be asked for and added to. A
// file without it has none: EINVAL.
type Sealer interface {
	Seals() uint32
	// AddSeals adds seals: EPERM once F_SEAL_SEAL is set.
	// EBUSY for F_SEAL_WRITE while MapWriter counts mappings.
	AddSeals(seals uint32) error
	// MapWriter counts n more shared mappings through which the file can be
	// written, or n less.
	MapWriter(n int)
}

// Informer has lines of its own in /proc/PID/fdinfo. It takes no lock of the
// vfs.
type Informer interface {
	Info() string
}

// FlagSetter wants to know of F_SETFL.
type FlagSetter interface {
	SetFlags(flags int)
}
