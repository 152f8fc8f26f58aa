package kernel

import "golang.org/x/sys/unix"

// Secure bits, uapi/linux/securebits.h: capabilities(7). The bit after each
// locks it.
const (
	SecureNoRoot         = 1 << 0
	SecureNoSetuidFixup  = 1 << 2
	SecureKeepCaps       = 1 << 4
	SecureNoAmbientRaise = 1 << 6

	secureBits  = SecureNoRoot | SecureNoSetuidFixup | SecureKeepCaps | SecureNoAmbientRaise
	secureLocks = secureBits << 1
)

// Secure tells whether a secure bit is set.
func (c *Creds) Secure(bit uint32) bool { return c.SecureBits&bit != 0 }

// fixUp changes the capabilities of n as its user ids were changed from those
// of old: root's go with root.
func (n *Creds) fixUp(old *Creds) {
	if old.Secure(SecureNoSetuidFixup) {
		return
	}
	wasRoot := old.UID == 0 || old.EUID == 0 || old.SUID == 0
	isRoot := n.UID == 0 || n.EUID == 0 || n.SUID == 0
	if wasRoot && !isRoot {
		if !old.Secure(SecureKeepCaps) {
			n.Permitted, n.Effective = 0, 0
		}
		n.Ambient = 0
	}
	if old.EUID == 0 && n.EUID != 0 {
		n.Effective = 0
	}
	if old.EUID != 0 && n.EUID == 0 {
		n.Effective = n.Permitted
	}
}

// SetSecureBits is PR_SET_SECUREBITS.
func (t *Task) SetSecureBits(bits uint32) error {
	old := t.Creds()
	locked := old.SecureBits & secureLocks
	if locked>>1&(old.SecureBits^bits) != 0 || locked&^bits != 0 || bits&^(secureBits|secureLocks) != 0 || !old.Has(unix.CAP_SETPCAP) {
		return unix.EPERM
	}
	t.SetCreds(old.With(func(c *Creds) { c.SecureBits = bits }))
	return nil
}

// SetKeepCaps is PR_SET_KEEPCAPS.
func (t *Task) SetKeepCaps(on bool) error {
	if t.Creds().Secure(SecureKeepCaps << 1) {
		return unix.EPERM
	}
	t.SetCreds(t.Creds().With(func(c *Creds) {
		c.SecureBits &^= SecureKeepCaps
		if on {
			c.SecureBits |= SecureKeepCaps
		}
	}))
	return nil
}

// RaiseAmbient is PR_CAP_AMBIENT_RAISE of one capability.
func (t *Task) RaiseAmbient(capability uint64) error {
	c, bit := t.Creds(), uint64(1)<<capability
	if c.Permitted&c.Inheritable&bit == 0 || c.Secure(SecureNoAmbientRaise) {
		return unix.EPERM
	}
	t.SetCreds(c.With(func(c *Creds) { c.Ambient |= bit }))
	return nil
}

// LowerAmbient is PR_CAP_AMBIENT_LOWER of a set.
func (t *Task) LowerAmbient(set uint64) {
	t.SetCreds(t.Creds().With(func(c *Creds) { c.Ambient &^= set }))
}

// SetCaps is capset.
func (t *Task) SetCaps(effective, permitted, inheritable uint64) error {
	c := t.Creds()
	mayInherit := c.Inheritable | c.Permitted
	if c.Has(unix.CAP_SETPCAP) {
		mayInherit = c.Inheritable | c.Bounding
	}
	mayInherit &= c.Inheritable | c.Bounding
	if permitted&^c.Permitted != 0 || effective&^permitted != 0 || inheritable&^mayInherit != 0 {
		return unix.EPERM
	}
	t.SetCreds(c.With(func(c *Creds) {
		c.Effective, c.Permitted, c.Inheritable = effective, permitted, inheritable
		c.Ambient &= permitted & inheritable
	}))
	return nil
}
