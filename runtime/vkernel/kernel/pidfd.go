package kernel

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/fs/proc"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// pidfdEvents is what a pidfd is ready for when its process has ended.
const pidfdEvents = wait.In

// PIDFile is the open file of pidfd_open and CLONE_PIDFD: a process, whatever
// becomes of its id.
type PIDFile struct {
	Process *ThreadGroup
}

// OpenPID is pidfd_open: EINVAL for a thread that is no process's leader.
func (k *Kernel) OpenPID(pid int) (*PIDFile, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch g := k.groups[pid]; {
	case g != nil:
		return &PIDFile{g}, nil
	case k.tasks[pid] != nil:
		return nil, unix.EINVAL
	}
	return nil, unix.ESRCH
}

// ProcessOf is the process that an open file means: a pidfd's, or that of a
// directory in /proc, which pidfd_send_signal takes too. EBADF for other files, ESRCH if the
// directory's process is gone.
func (k *Kernel) ProcessOf(d *vfs.Description) (*ThreadGroup, error) {
	if p, isPID := d.File().(*PIDFile); isPID {
		return p.Process, nil
	}
	dir, isProcess := d.Inode().(*proc.Process)
	if !isProcess {
		return nil, unix.EBADF
	}
	if g := k.Process(dir.PID); g != nil {
		return g, nil
	}
	return nil, unix.ESRCH
}

// Release implements vfs.File.
func (p *PIDFile) Release() {}

// Ready implements vfs.Poller.
func (p *PIDFile) Ready() wait.Mask {
	select {
	case <-p.Process.done:
		return pidfdEvents
	default:
		return 0
	}
}

// Info implements vfs.Informer: what is gone has no number.
func (p *PIDFile) Info() string {
	pid := p.Process.ID
	if p.Process.k.Process(pid) != p.Process {
		pid = -1
	}
	return fmt.Sprintf("Pid:\t%d\nNSpid:\t%d\n", pid, pid)
}

// Queue implements vfs.Poller.
func (p *PIDFile) Queue() *wait.Queue { return &p.Process.ended }
