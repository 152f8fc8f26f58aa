package mm

import (
	"github.com/megabin/megabin/runtime/machine"
)

// fill gives a's range in the address space its first contents: the file's
// bytes, zeros after its end and in anonymous memory.
func (m *MM) fill(a *Area) error {
	prot := machine.Prot(a.Prot)
	if a.File == nil {
		return m.AS.MapAnon(a.Start, a.Len(), prot)
	}
	host, err := a.File.HostFile(a.Shared)
	if err != nil {
		return err
	}
	if host == nil {
		return m.AS.MapAnon(a.Start, a.Len(), prot)
	}
	shared := a.Shared && a.UnitBase == 0 // bytes that code was granted for stay as they are
	return m.AS.MapFile(a.Start, a.Len(), host, a.Offset, prot, shared)
}
