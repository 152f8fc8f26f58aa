package kernel

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// What execve makes of credentials: security/commoncap.c, cap_bprm_creds_from_file, and
// fs/exec.c, bprm_fill_uid. capabilities(7) has it in words.

// raised says how a program is above who executed it.
type raised struct {
	secure bool // AT_SECURE
	gained bool // it has an id or capabilities that its caller had not
	hidden bool // it is not to be looked into: PR_GET_DUMPABLE
	plain  bool // it does not take over the caller's personality
}

// clearedByRaise are the personalities that are not taken over then, of those
// that there are (PER_CLEAR_ON_SETID).
const clearedByRaise = 0x0040000 // ADDR_NO_RANDOMIZE

// attributes changes those of the task.
func (r raised) attributes(a *Attributes) {
	a.Dumpable = !r.hidden
	if r.plain {
		a.Personality &^= clearedByRaise
	}
}

// executing are the credentials of the program at p when t executes it.
func (t *Task) executing(p vfs.Path) (*Creds, raised, error) {
	var file vfs.Privilege
	if t.K.SetID {
		var err error
		if file, err = p.Privilege(); err != nil {
			return nil, raised{}, err
		}
	}
	return t.Creds().executed(file, t.tracerMayNot())
}

// tracerMayNot tells whether t has a tracer that may not have it raise its privileges.
func (t *Task) tracerMayNot() bool {
	tr := t.tracing.Load()
	return tr != nil && !tr.tracer.Creds().Has(unix.CAP_SYS_PTRACE)
}

// executed is what becomes of the credentials when a file is executed. watched: by a
// tracer that may not see more privileges. EPERM if the file's capabilities can't all be given.
func (old *Creds) executed(file vfs.Privilege, watched bool) (*Creds, raised, error) {
	n := *old
	c := &n
	if !c.NoNewPrivs {
		c.takeIDs(file)
	}
	effective, err := c.takeCaps(file.Caps)
	if err != nil {
		return nil, raised{}, err
	}
	effective = c.takeRoot(file.Caps != nil) || effective
	changed := c.otherIDs(old)
	if (changed || c.Permitted&^old.Permitted != 0) && (watched || c.NoNewPrivs) {
		c.lower(old)
	}
	c.SUID, c.FSUID, c.SGID, c.FSGID = c.EUID, c.EUID, c.EGID, c.EGID
	if file.Caps != nil || changed {
		c.Ambient = 0
	}
	c.Permitted |= c.Ambient
	c.Effective = c.Ambient
	if effective {
		c.Effective = c.Permitted
	}
	c.SecureBits &^= SecureKeepCaps
	foreign := c.EUID != c.UID || c.EGID != c.GID
	gained := c.EUID != old.EUID || c.EGID != old.EGID || c.Permitted&^old.Permitted != 0
	return c, raised{
		secure: changed || foreign || c.UID != 0 && (effective || c.Permitted&^c.Ambient != 0),
		gained: gained,
		hidden: gained || foreign,
		plain:  gained || !c.NoNewPrivs && (file.SetUID || file.SetGID),
	}, nil
}

// takeIDs gives the ids of the file's set-id bits.
func (c *Creds) takeIDs(file vfs.Privilege) {
	if file.SetUID {
		c.EUID = file.UID
	}
	if file.SetGID {
		c.EGID = file.GID
	}
}

// takeCaps gives what capabilities the file has; effective if they are to be raised.
func (c *Creds) takeCaps(file *vfs.FileCaps) (effective bool, err error) {
	c.Permitted = 0
	if file == nil {
		return false, nil
	}
	c.Permitted = c.Bounding&file.Permitted | c.Inheritable&file.Inheritable
	if file.Effective && file.Permitted&^c.Permitted != 0 {
		return false, unix.EPERM // a program that does not know of capabilities needs them all
	}
	return file.Effective, nil
}

// takeRoot gives root what root has, unless a file that others execute as root says by
// capabilities what it is to have. It tells whether that is to be raised.
func (c *Creds) takeRoot(byFile bool) (effective bool) {
	if c.Secure(SecureNoRoot) || byFile && c.UID != 0 && c.EUID == 0 {
		return false
	}
	if c.UID == 0 || c.EUID == 0 {
		c.Permitted = c.Bounding | c.Inheritable
	}
	return c.EUID == 0
}

// otherIDs tells whether execve has changed an id.
func (c *Creds) otherIDs(old *Creds) bool {
	return c.EUID != old.EUID || c.EGID != old.FSGID && !slices.Contains(old.Groups, c.EGID)
}

// lower takes back what the program may not gain. Who may change its ids keeps those.
func (c *Creds) lower(old *Creds) {
	if !old.Has(unix.CAP_SETUID) || c.NoNewPrivs {
		c.EUID, c.EGID = c.UID, c.GID
	}
	c.Permitted &= old.Permitted
}
