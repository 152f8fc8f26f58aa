package loader

import (
	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/mm"
)

// Params is what execve hands to the new program besides its file.
type Params struct {
	Argv, Envp []string
	ExecFn     string // AT_EXECFN: the path as given to execve
	UID, EUID  uint32
	GID, EGID  uint32
	Secure     bool // AT_SECURE: the program is not to trust its environment
	Random     [16]byte
	StackSize  uint64 // RLIMIT_STACK, bytes; 0 means DefaultStack
	By         mm.Asker
}

// DefaultStack is the stack's size in bytes when there is no limit to follow.
const DefaultStack = 8 << 20

// maxStack keeps the stack clear of the mmap area.
const maxStack = mm.StackTop - mm.MmapTop - 64<<10

// Start is how the first instruction finds the processor.
type Start struct {
	PC, SP uint64
}

// Load maps prog, and interp when the program asks for one, into the empty map
// m, builds the stack, and tells where to start. On an error m is of no
// further use.
func Load(m *mm.MM, prog, interp *Binary, p Params) (Start, error) {
	main, err := mapBinary(m, prog, false, p.By)
	if err != nil {
		return Start{}, err
	}
	entry, base := main.entry, uint64(0)
	if interp != nil {
		ld, err := mapBinary(m, interp, true, p.By)
		if err != nil {
			return Start{}, err
		}
		entry, base = ld.entry, ld.bias
	}
	if prog.Dyn && interp == nil {
		m.SetBrk(dynBase) // the area above a program in the mmap area is taken
	} else {
		m.SetBrk(main.end)
	}
	if err := mapStack(m, p.StackSize); err != nil {
		return Start{}, err
	}
	sp, layout, err := buildStack(m.AS, p, auxv(prog, main, base, p))
	if err != nil {
		return Start{}, err
	}
	layout.StartCode, layout.EndCode = main.code[0], main.code[1]
	m.SetLayout(layout)
	return Start{PC: entry, SP: sp}, nil
}

// mapStack maps the whole stack: nothing can grow it at a fault.
func mapStack(m *mm.MM, size uint64) error {
	if size == 0 {
		size = DefaultStack
	}
	size = mm.PageUp(min(max(size, 128<<10), maxStack))
	_, err := m.Map(mm.Request{
		Addr: mm.StackTop - size, Len: size, Prot: unix.PROT_READ | unix.PROT_WRITE, Label: "[stack]",
		Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED_NOREPLACE | unix.MAP_GROWSDOWN,
	})
	return err
}
