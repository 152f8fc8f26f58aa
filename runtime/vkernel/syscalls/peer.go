package syscalls

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/machine"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// span is a range of guest memory: an iovec that was not looked into.
type span struct{ addr, size uint64 }

// spansArg reads an iovec array of another process's addresses.
func spansArg(t *kernel.Task, addr uint64, n int) ([]span, error) {
	if n < 0 || n > maxIovecs {
		return nil, unix.EINVAL
	}
	raw := make([]byte, 16*n)
	if err := mem(t).CopyIn(addr, raw); err != nil {
		return nil, err
	}
	var list []span
	for ; len(raw) > 0; raw = raw[16:] {
		s := span{binary.LittleEndian.Uint64(raw), binary.LittleEndian.Uint64(raw[8:])}
		if int64(s.size) < 0 {
			return nil, unix.EINVAL
		}
		list = append(list, s)
	}
	return list, nil
}

// processVM is process_vm_readv, or process_vm_writev if write. What was
// moved before an address that is not mapped counts.
func processVM(t *kernel.Task, a Args, write bool) (uint64, error) {
	if a[5] != 0 {
		return 0, unix.EINVAL
	}
	local, err := iovecs(t, a[1], a.Int(2), !write)
	if err != nil || len(local) == 0 {
		return 0, err
	}
	remote, err := spansArg(t, a[3], a.Int(4))
	if err != nil || len(remote) == 0 {
		return 0, err
	}
	m, err := t.PeerMemory(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer m.Release()
	done := uint64(0)
	for _, s := range remote {
		n, err := moveSpan(m.AS, s, local, write)
		done += n
		if err != nil {
			return done, keep(done, err)
		}
		local = skip(local, int(n))
	}
	return done, nil
}

// moveSpan moves what there is in local buffers from or to a span of another
// address space, page by page.
func moveSpan(as *machine.AddressSpace, s span, local [][]byte, write bool) (done uint64, err error) {
	for _, b := range local {
		for len(b) > 0 && done < s.size {
			at := s.addr + done
			n := min(uint64(len(b)), s.size-done, linux.PageSize-at%linux.PageSize)
			if write {
				err = as.CopyOut(at, b[:n])
			} else {
				err = as.CopyIn(at, b[:n])
			}
			if err != nil {
				return done, err
			}
			done, b = done+n, b[n:]
		}
	}
	return done, nil
}

func sysProcessVMReadv(t *kernel.Task, a Args) (uint64, error)  { return processVM(t, a, false) }
func sysProcessVMWritev(t *kernel.Task, a Args) (uint64, error) { return processVM(t, a, true) }

func sysKcmp(t *kernel.Task, a Args) (uint64, error) {
	r, err := t.Compare([2]int{a.Int(0), a.Int(1)}, a.Int(2), [2]uint64{a[3], a[4]})
	return uint64(r), err
}

func sysPidfdGetfd(t *kernel.Task, a Args) (uint64, error) {
	if a.Uint(2) != 0 {
		return 0, unix.EINVAL
	}
	var d *vfs.Description
	err := withPIDFD(t, a.Int(0), func(p *kernel.PIDFile) (err error) {
		d, err = t.PeerFile(p.Process, a.Int(1))
		return err
	})
	if err != nil {
		return 0, err
	}
	return install(t, d, true)
}
