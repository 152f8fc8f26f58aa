package host

import (
	"errors"
	"io"
	"os"
	"runtime"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"golang.org/x/sys/unix"
)

// Open implements vfs.Opener.
func (f *file) Open(flags int) (vfs.File, error) {
	defer runtime.KeepAlive(f.inode)
	mode := flags & linux.O_ACCMODE
	if mode == linux.O_ACCMODE {
		mode = linux.O_RDWR
	}
	fd, err := unix.Open(f.proc(), mode|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, linux.Errno(err)
	}
	return &openFile{fd: fd, host: os.NewFile(uintptr(fd), "host file")}, nil
}

// rwfAppend is RWF_APPEND, uapi/linux/fs.h.
const rwfAppend = 0x10

// openFile is an open file of the host.
type openFile struct {
	fd   int
	host *os.File // owns fd
}

// Release implements vfs.File.
func (o *openFile) Release() { o.host.Close() }

// Sync implements vfs.Syncer.
func (o *openFile) Sync() error { return hostErr(unix.Fsync(o.fd)) }

// HostFile implements vfs.Mmapper.
func (o *openFile) HostFile(bool) (*os.File, error) { return o.host, nil }

// ReadAt implements vfs.ReaderAt.
func (o *openFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := o.host.ReadAt(p, off)
	if n > 0 || errors.Is(err, io.EOF) {
		err = nil
	}
	return n, hostErr(err)
}

// WriteAt implements vfs.WriterAt.
func (o *openFile) WriteAt(p []byte, off int64) (int, error) {
	n, err := unix.Pwrite(o.fd, p, off)
	return max(n, 0), hostErr(err)
}

// Append implements vfs.Appender.
func (o *openFile) Append(p []byte) (n int, end int64, err error) {
	n, err = unix.Pwritev2(o.fd, [][]byte{p}, 0, rwfAppend)
	if err != nil {
		return 0, 0, linux.Errno(err)
	}
	end, err = unix.Seek(o.fd, 0, unix.SEEK_END)
	return n, end, hostErr(err)
}

// Allocate implements vfs.Allocater.
func (o *openFile) Allocate(mode uint32, off, length int64) error {
	return hostErr(unix.Fallocate(o.fd, mode, off, length))
}

// SeekData implements vfs.DataSeeker.
func (o *openFile) SeekData(off int64) (int64, error) {
	n, err := unix.Seek(o.fd, off, unix.SEEK_DATA)
	return n, hostErr(err)
}

// SeekHole implements vfs.DataSeeker.
func (o *openFile) SeekHole(off int64) (int64, error) {
	n, err := unix.Seek(o.fd, off, unix.SEEK_HOLE)
	return n, hostErr(err)
}
