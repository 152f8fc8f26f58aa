package linux_test

import (
	"bytes"

	"testing"
	"unsafe"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"golang.org/x/sys/unix"
)

// TestStat encodes what the host's stat says and compares with the host's
// bytes, which are those of x86-64 there.
func TestStat(t *testing.T) {
	for _, name := range []string{"/", "/dev/null", "/proc/self/exe"} {
		var st unix.Stat_t
		if err := unix.Stat(name, &st); err != nil {
			t.Fatal(err)
		}
		a := linux.Attr{
			Dev: st.Dev, Ino: st.Ino, Mode: st.Mode, Nlink: uint32(st.Nlink), UID: st.Uid, GID: st.Gid,
			Rdev: st.Rdev, Size: st.Size, Blksize: int32(st.Blksize), Blocks: st.Blocks,
			Atime: linux.FromUnix(st.Atim), Mtime: linux.FromUnix(st.Mtim), Ctime: linux.FromUnix(st.Ctim),
		}
		want := unsafe.Slice((*byte)(unsafe.Pointer(&st)), linux.StatSize)
		if got := a.AppendStat(nil); !bytes.Equal(got, want) {
			t.Errorf("%s: stat\n%x, the host\n%x", name, got, want)
		}
	}
}

func TestStatx(t *testing.T) {
	var st unix.Statx_t
	const mask = unix.STATX_BASIC_STATS | unix.STATX_BTIME | unix.STATX_MNT_ID
	if err := unix.Statx(unix.AT_FDCWD, "/dev/null", 0, mask, &st); err != nil {
		t.Skip(err)
	}
	stamp := func(s unix.StatxTimestamp) linux.Timespec { return linux.Timespec{Sec: s.Sec, Nsec: int64(s.Nsec)} }
	a := linux.Attr{
		Dev: unix.Mkdev(st.Dev_major, st.Dev_minor), Ino: st.Ino, Mode: uint32(st.Mode), Nlink: st.Nlink,
		UID: st.Uid, GID: st.Gid, Rdev: unix.Mkdev(st.Rdev_major, st.Rdev_minor), Size: int64(st.Size),
		Blksize: int32(st.Blksize), Blocks: int64(st.Blocks), Atime: stamp(st.Atime), Mtime: stamp(st.Mtime),
		Ctime: stamp(st.Ctime), Btime: stamp(st.Btime), MountID: st.Mnt_id, Attrs: st.Attributes,
	}
	// What newer kernels add, and which attributes a file system knows, differ.
	st.Mask &= mask
	st.Attributes_mask = unix.STATX_ATTR_MOUNT_ROOT
	tail := unsafe.Offsetof(st.Mnt_id) + 8
	want := unsafe.Slice((*byte)(unsafe.Pointer(&st)), linux.StatxSize)
	got := a.AppendStatx(nil, mask)
	if len(got) != linux.StatxSize || !bytes.Equal(got[:tail], want[:tail]) {
		t.Errorf("statx\n%x, the host\n%x", got[:tail], want[:tail])
	}
}

func TestStatfs(t *testing.T) {
	var st unix.Statfs_t
	if err := unix.Statfs("/proc", &st); err != nil {
		t.Fatal(err)
	}
	s := linux.Statfs{
		Type: st.Type, Bsize: st.Bsize, Blocks: st.Blocks, Bfree: st.Bfree, Bavail: st.Bavail, Files: st.Files,
		Ffree: st.Ffree, Namelen: st.Namelen, Frsize: st.Frsize, Flags: st.Flags,
	}
	st.Fsid = unix.Fsid{}
	want := unsafe.Slice((*byte)(unsafe.Pointer(&st)), linux.StatfsSize)
	if got := s.Append(nil); !bytes.Equal(got, want) {
		t.Errorf("statfs\n%x, the host\n%x", got, want)
	}
}

// TestDirent encodes the host's directory entries and compares.
func TestDirent(t *testing.T) {
	fd, err := unix.Open("/proc/self", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	buf := make([]byte, 1<<16)
	n, err := unix.Getdents(fd, buf)
	if err != nil {
		t.Fatal(err)
	}
	for b := buf[:n]; len(b) > 0; {
		raw := (*unix.Dirent)(unsafe.Pointer(&b[0]))
		record := b[:raw.Reclen]
		name, _, _ := bytes.Cut(record[19:], []byte{0})
		e := linux.Dirent{Ino: raw.Ino, Off: raw.Off, Type: raw.Type, Name: string(name)}
		got := e.Append(nil)
		end := 19 + len(name) + 1 // the host does not clear the padding
		if len(got) != len(record) || e.Size() != len(record) || !bytes.Equal(got[:end], record[:end]) {
			t.Errorf("%s: %x, the host %x", name, got, record)
		}
		b = b[raw.Reclen:]
	}
}
