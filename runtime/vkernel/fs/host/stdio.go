package host

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/tty"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
	"golang.org/x/sys/unix"
)

// Stdio is one of the runner's own standard streams as an inode: fstat tells
// what the host's is, bytes pass through exactly, and no byte is read before the
// guest asks for it, so that a stream can be shared with other host processes.
type Stdio struct {
	host *os.File // keeps fd open
	fd   int
	mode uint32 // S_IFMT bits
	tty  bool
	// own is a description of the same pipe or terminal that is ours alone,
	// so that it can be O_NONBLOCK; -1 if there is none.
	own int

	watch   watcher
	control *tty.Control // of a terminal, whoever's it is
}

// NewStdio wraps f, which is not closed. flags are the access mode, O_RDONLY,
// O_WRONLY or O_RDWR.
func NewStdio(f *os.File, flags int) (*Stdio, error) {
	s := &Stdio{host: f, fd: int(f.Fd()), own: -1}
	var st unix.Stat_t
	if err := unix.Fstat(s.fd, &st); err != nil {
		return nil, fmt.Errorf("standard stream %s: %w", f.Name(), err)
	}
	s.mode = st.Mode & unix.S_IFMT
	_, err := unix.IoctlGetTermios(s.fd, unix.TCGETS)
	s.tty = err == nil
	if s.mode == unix.S_IFIFO || s.tty {
		s.own = reopen(s.fd, flags)
	}
	s.watch.fd = s.fd
	return s, nil
}

// reopen opens what fd is once more, without blocking; -1 if that can't be.
func reopen(fd, flags int) int {
	name := fmt.Sprintf("/proc/self/fd/%d", fd)
	own, err := unix.Open(name, flags|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return -1
	}
	return own
}

// IsTerminal reports whether the host's stream is a terminal.
func (s *Stdio) IsTerminal() bool { return s.tty }

// Attr implements vfs.Inode.
func (s *Stdio) Attr() (linux.Attr, error) {
	var st unix.Stat_t
	if err := unix.Fstat(s.fd, &st); err != nil {
		return linux.Attr{}, linux.Errno(err)
	}
	return attrOf(&st), nil
}

// Open implements vfs.Opener.
func (s *Stdio) Open(int) (vfs.File, error) {
	switch s.mode {
	case unix.S_IFREG, unix.S_IFBLK:
		return &stdioRegular{stdioFile{s}}, nil
	case unix.S_IFDIR:
		return nil, unix.EISDIR
	}
	if s.control != nil {
		return &terminal{stdioFile{s}}, nil
	}
	return &stdioFile{s}, nil
}

// Name is what /proc/PID/fd shows for it.
func (s *Stdio) Name() string {
	name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", s.fd))
	if err != nil {
		return s.host.Name()
	}
	return name
}

// Describe makes the description for the guest's descriptor.
func (s *Stdio) Describe(sys *vfs.System, flags int) (*vfs.Description, error) {
	f, err := s.Open(flags)
	if err != nil {
		return nil, err
	}
	return sys.NewAnon(f, s, s.Name(), flags), nil
}

// stdioFile is an opened stream.
type stdioFile struct{ *Stdio }

// Release implements vfs.File.
func (f *stdioFile) Release() {}

// Sync implements vfs.Syncer.
func (f *stdioFile) Sync() error { return hostErr(unix.Fsync(f.fd)) }

// Read implements vfs.Reader.
func (f *stdioFile) Read(p []byte) (int, error) {
	return f.transfer(p, unix.POLLIN, unix.Read)
}

// Write implements vfs.Writer.
func (f *stdioFile) Write(p []byte) (int, error) {
	return f.transfer(p, unix.POLLOUT, unix.Write)
}

// transfer reads or writes without blocking: on our own description, or
// after poll said that it won't block (a pipe then takes PIPE_BUF bytes).
func (f *stdioFile) transfer(p []byte, event int16, do func(int, []byte) (int, error)) (int, error) {
	fd := f.fd
	if f.own >= 0 {
		fd = f.own
	} else if f.mode != unix.S_IFREG && f.mode != unix.S_IFBLK {
		if pollNow(fd, event) == 0 {
			return 0, unix.EAGAIN
		}
		if event == unix.POLLOUT {
			p = p[:min(len(p), linux.PageSize)]
		}
	}
	for {
		n, err := do(fd, p)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, hostErr(err)
		}
		return n, nil
	}
}

// Ready implements vfs.Poller.
func (f *stdioFile) Ready() wait.Mask {
	return wait.Mask(pollNow(f.fd, unix.POLLIN|unix.POLLOUT))
}

// Queue implements vfs.Poller.
func (f *stdioFile) Queue() *wait.Queue {
	f.watch.start()
	return &f.watch.queue
}

// pollNow returns the events that hold.
func pollNow(fd int, events int16) int16 {
	fds := []unix.PollFd{{Fd: int32(fd), Events: events}}
	if n, err := unix.Poll(fds, 0); n <= 0 || err != nil {
		return 0
	}
	return fds[0].Revents
}

// stdioRegular is a regular file: the offset is the host's, shared with whoever else
// has the stream.
type stdioRegular struct{ stdioFile }

// Lseek implements vfs.Seeker.
func (f *stdioRegular) Lseek(_, off int64, whence int) (int64, error) {
	n, err := unix.Seek(f.fd, off, whence)
	return n, hostErr(err)
}

// ReadAt implements vfs.ReaderAt.
func (f *stdioRegular) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.host.ReadAt(p, off)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, hostErr(err)
}

// WriteAt implements vfs.WriterAt.
func (f *stdioRegular) WriteAt(p []byte, off int64) (int, error) {
	n, err := unix.Pwrite(f.fd, p, off)
	return max(n, 0), hostErr(err)
}

// Truncate implements vfs.Truncater.
func (f *stdioRegular) Truncate(size int64) error {
	return hostErr(unix.Ftruncate(f.fd, size))
}

// HostFile implements vfs.Mmapper.
func (f *stdioRegular) HostFile(bool) (*os.File, error) { return f.host, nil }

// Queue implements vfs.Poller: always ready.
func (f *stdioRegular) Queue() *wait.Queue { return nil }

// watcher tells a queue when a host descriptor becomes ready, from the first
// time that somebody may wait on.
type watcher struct {
	fd    int
	queue wait.Queue
	once  sync.Once
}

func (w *watcher) start() { w.once.Do(w.listen) }

// listen asks for edges: each time that something becomes ready it is told
// once, read or not. A descriptor that epoll does not take is always ready.
func (w *watcher) listen() {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return
	}
	const events = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff
	ev := unix.EpollEvent{Events: events}
	if err := unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, w.fd, &ev); err != nil {
		unix.Close(epfd)
		return
	}
	go w.tell(epfd)
}

func (w *watcher) tell(epfd int) {
	var got [1]unix.EpollEvent
	for {
		n, err := unix.EpollWait(epfd, got[:], -1)
		if err != nil && err != unix.EINTR {
			return
		}
		if n > 0 {
			w.queue.Notify(wait.Mask(got[0].Events))
		}
	}
}
