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

// sealed is a handle of a memfd.
type sealed struct{ *handle }

// OpenMemfd opens a file made by MakeTmp as memfd_create does: with seals.
func OpenMemfd(i vfs.Inode, flags int, seals uint32) (vfs.File, error) {
	f, ok := i.(*file)
	if !ok {
		return nil, unix.EINVAL
	}
	h, err := f.Open(flags)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seals = seals
	return sealed{h.(*handle)}, nil
}

// Seals implements vfs.Sealer.
func (s sealed) Seals() uint32 {
	s.file.mu.RLock()
	defer s.file.mu.RUnlock()
	return s.file.seals
}

// AddSeals implements vfs.Sealer. That a shared mapping can still write is not
// noticed.
func (s sealed) AddSeals(seals uint32) error {
	if seals&^knownSeals != 0 {
		return unix.EINVAL
	}
	s.file.mu.Lock()
	defer s.file.mu.Unlock()
	if s.file.seals&unix.F_SEAL_SEAL != 0 {
		return unix.EPERM
	}
	s.file.seals |= seals
	return nil
}
