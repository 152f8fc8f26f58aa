package hostnet

import (
	"sync"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// poller tells sockets when something may have become possible with their
// host descriptors: one goroutine waits for all of them.
type poller struct {
	fd int

	mu    sync.Mutex
	socks map[int32]*sock
}

// watched are the events that a socket's queue is told of; poll's and
// epoll's values are the same.
const watched = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLPRI | unix.EPOLLET

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	p := &poller{fd: fd, socks: map[int32]*sock{}}
	go p.run()
	return p, nil
}

func (p *poller) add(s *sock) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	ev := unix.EpollEvent{Events: watched & 0xffffffff, Fd: int32(s.fd)}
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, s.fd, &ev); err != nil {
		return err
	}
	p.socks[int32(s.fd)] = s
	return nil
}

// remove is called before the descriptor is closed.
func (p *poller) remove(s *sock) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.socks, int32(s.fd))
	unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, s.fd, nil)
}

// run lives as long as the process: a container's network does.
func (p *poller) run() {
	events := make([]unix.EpollEvent, 128)
	for {
		n, err := unix.EpollWait(p.fd, events, -1)
		if err != nil && err != unix.EINTR {
			return
		}
		for _, ev := range events[:max(n, 0)] {
			p.mu.Lock()
			s := p.socks[ev.Fd]
			p.mu.Unlock()
			if s != nil {
				s.tell(wait.Mask(ev.Events))
			}
		}
	}
}
