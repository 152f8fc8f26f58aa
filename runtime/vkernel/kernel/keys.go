package kernel

import "github.com/megabin/megabin/runtime/vkernel/keys"

// KeyCaller is the task as the keys see it.
func (t *Task) KeyCaller() keys.Caller {
	c := t.Creds()
	return keys.Caller{
		Rings: t.rings, UID: c.UID, GID: c.GID, EUID: c.EUID, FSUID: c.FSUID, FSGID: c.FSGID,
		Groups: c.Groups, Caps: c.Effective,
	}
}

// keysOf is /proc/keys for a task of the vfs.
func (k *Kernel) keysOf(task any) []byte {
	t, ok := task.(*Task)
	if !ok {
		return nil
	}
	return k.Keys.Proc(t.KeyCaller())
}

// SessionToParent gives the task's session keyring to the process that made it,
// unless that is the first one or has threads. It has it at once, not when it
// next returns from the kernel.
func (t *Task) SessionToParent() error {
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	return t.K.Keys.ToParent(t.KeyCaller(), t.keyParent())
}

// keyParent is nil if the parent may not be given a keyring.
// Preconditions: Kernel.mu is held.
func (t *Task) keyParent() *keys.Parent {
	p := t.Group.parent
	if p == nil || p == t.K.init {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.tasks) != 1 {
		return nil
	}
	mine := t.Creds()
	for task := range p.tasks {
		c := task.Creds()
		return &keys.Parent{
			Rings: task.rings,
			Same: c.UID == mine.EUID && c.EUID == mine.EUID && c.SUID == mine.EUID &&
				c.GID == mine.EGID && c.EGID == mine.EGID && c.SGID == mine.EGID,
		}
	}
	return nil
}
