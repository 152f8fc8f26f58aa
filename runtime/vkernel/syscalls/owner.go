package syscalls

import (
	"encoding/binary"
	"math"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// ownerExSize is sizeof(struct f_owner_ex): type and id.
const ownerExSize = 8

// getOwner is F_GETOWN: a process group is a negative number.
func getOwner(_ *kernel.Task, _ int, d *vfs.Description, _ uint64) (uint64, error) {
	o := d.Owner()
	if o.Type == vfs.OwnerGroup {
		return uint64(-int64(o.ID)), nil
	}
	return uint64(o.ID), nil
}

func setOwner(t *kernel.Task, _ int, d *vfs.Description, arg uint64) (uint64, error) {
	id := int32(arg)
	switch {
	case id == math.MinInt32:
		return 0, unix.EINVAL
	case id < 0:
		return own(t, d, vfs.Owner{Type: vfs.OwnerGroup, ID: uint32(-id)})
	}
	return own(t, d, vfs.Owner{Type: vfs.OwnerProcess, ID: uint32(id)})
}

func getOwnerEx(t *kernel.Task, _ int, d *vfs.Description, arg uint64) (uint64, error) {
	o := d.Owner()
	b := binary.LittleEndian.AppendUint32(nil, o.Type)
	return copyOut(t, arg, binary.LittleEndian.AppendUint32(b, o.ID), nil)
}

func setOwnerEx(t *kernel.Task, _ int, d *vfs.Description, arg uint64) (uint64, error) {
	var raw [ownerExSize]byte
	if err := mem(t).CopyIn(arg, raw[:]); err != nil {
		return 0, err
	}
	o := vfs.Owner{Type: binary.LittleEndian.Uint32(raw[:]), ID: binary.LittleEndian.Uint32(raw[4:])}
	if o.Type > vfs.OwnerGroup {
		return 0, unix.EINVAL
	}
	return own(t, d, o)
}

// own makes o the owner: ESRCH if there is no such, 0 is nobody.
func own(t *kernel.Task, d *vfs.Description, o vfs.Owner) (uint64, error) {
	if o.ID != 0 && !t.K.Exists(int(o.ID), o.Type == vfs.OwnerGroup) {
		return 0, unix.ESRCH
	}
	t.K.SetOwner(d, o)
	return 0, nil
}

// ofSocket makes a request one of sockets: ENOTTY for other files.
func ofSocket(f ioctl) ioctl {
	return func(t *kernel.Task, fd int, d *vfs.Description, arg uint64) (uint64, error) {
		if _, is := asSocket(d); !is {
			return 0, unix.ENOTTY
		}
		return f(t, fd, d, arg)
	}
}

// ioctlSetOwner and ioctlGetOwner are F_SETOWN and F_GETOWN with an int of the guest's.
func ioctlSetOwner(t *kernel.Task, fd int, d *vfs.Description, arg uint64) (uint64, error) {
	id, err := mem(t).Load32(arg)
	if err != nil {
		return 0, err
	}
	return setOwner(t, fd, d, uint64(id))
}

func ioctlGetOwner(t *kernel.Task, fd int, d *vfs.Description, arg uint64) (uint64, error) {
	id, err := getOwner(t, fd, d, 0)
	if err != nil {
		return 0, err
	}
	return ok(mem(t).Store32(arg, uint32(id)))
}
