package tmp

import (
	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// Seals that exist, and those that forbid writing.
const (
	knownSeals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | writeSeals | sealExec
	writeSeals = unix.F_SEAL_WRITE | unix.F_SEAL_FUTURE_WRITE
	sealExec   = 0x20 // F_SEAL_EXEC
)

// sealing is what a memfd has besides a regular file.
type sealing struct {
	seals uint32
	// writers counts the shared mappings that may write, or be made writable.
	writers int
}

// sealed is a handle of a memfd.
type sealed struct{ *handle }

// OpenMemfd opens a file made by MakeTmp as memfd_create does: with seals.
func OpenMemfd(i vfs.Inode, flags int, seals uint32) (vfs.File, error) {
	f, ok := i.(*file)
	if !ok {
		return nil, unix.EINVAL
	}
	f.mu.Lock()
	f.sealing = &sealing{seals: seals}
	f.mu.Unlock()
	return f.Open(flags)
}

// Seals implements vfs.Sealer.
func (s sealed) Seals() uint32 {
	s.file.mu.RLock()
	defer s.file.mu.RUnlock()
	return s.file.sealing.seals
}

// MapWriter implements vfs.Sealer.
func (s sealed) MapWriter(n int) {
	s.file.mu.Lock()
	defer s.file.mu.Unlock()
	s.file.sealing.writers += n
}

// AddSeals implements vfs.Sealer.
func (s sealed) AddSeals(seals uint32) error {
	if seals&^knownSeals != 0 {
		return unix.EINVAL
	}
	s.file.mu.Lock()
	defer s.file.mu.Unlock()
	return s.file.sealing.add(seals, s.file.attr.Mode&0o111 != 0)
}

// add adds known seals to those of a file that is executable or not.
func (s *sealing) add(seals uint32, executable bool) error {
	if s.seals&unix.F_SEAL_SEAL != 0 {
		return unix.EPERM
	}
	if seals&^s.seals&unix.F_SEAL_WRITE != 0 && s.writers > 0 {
		return unix.EBUSY
	}
	if seals&sealExec != 0 && executable {
		seals |= writeSeals | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW // what may run must not change
	}
	s.seals |= seals
	return nil
}

// sealedBy tells whether the file has one of these seals.
// Preconditions: f.mu is held.
func (f *file) sealedBy(seals uint32) bool { return f.sealing != nil && f.sealing.seals&seals != 0 }
