package kernel

import (
	"maps"
	"slices"

	"github.com/megabin/megabin/runtime/vkernel/fs/proc"
	"github.com/megabin/megabin/runtime/vkernel/ipc"
)

// ipcFiles are those of /proc/sysvipc.
func (k *Kernel) ipcFiles() (list []proc.File) {
	made := k.IPC.Proc()
	for _, name := range slices.Sorted(maps.Keys(made)) {
		list = append(list, proc.File{Name: name, Read: made[name]})
	}
	return list
}

// Undo is what the task's SEM_UNDO operations are noted in. Only the task
// itself calls it.
func (t *Task) Undo() *ipc.Undo {
	if t.undo == nil {
		t.setUndo(ipc.NewUndo())
	}
	return t.undo
}

// ReleaseUndo undoes what was noted, unless other tasks share it.
func (t *Task) ReleaseUndo() {
	t.K.IPC.Sem.Release(t.undo, t.Group.ID)
	t.setUndo(nil)
}

func (t *Task) setUndo(u *ipc.Undo) {
	t.partsMu.Lock()
	defer t.partsMu.Unlock()
	t.undo = u
}

// IPCCaller is the task as System V IPC sees it.
func (t *Task) IPCCaller() ipc.Caller {
	c := t.Creds()
	return ipc.Caller{PID: t.Group.ID, UID: c.EUID, GID: c.EGID, Groups: c.Groups, Caps: c.Effective}
}
