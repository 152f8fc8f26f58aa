package fstest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"golang.org/x/sys/unix"
)

// ops are the operations of scripts. Where a result is compared it holds
// nothing that may differ between file systems (inode and device numbers, times
// that were not set, sizes of directories).
var ops = map[string]func(s System, a *args) string{
	"close": func(s System, a *args) string { return result(s.Close(a.fd())) },
	"read":  func(s System, a *args) string { fd := a.fd(); p := make([]byte, a.num()); return got(p)(s.Read(fd, p)) },
	"write": func(s System, a *args) string { return count(s.Write(a.fd(), data(a.str(), a.num()))) },
	"pread": func(s System, a *args) string {
		fd := a.fd()
		p := make([]byte, a.num())
		return got(p)(s.Pread(fd, p, a.num()))
	},
	"pwrite": func(s System, a *args) string {
		fd, p := a.fd(), data(a.str(), a.num())
		return count(s.Pwrite(fd, p, a.num()))
	},
	"seek": func(s System, a *args) string {
		n, err := s.Seek(a.fd(), a.num(), a.flags())
		if err != nil {
			return result(err)
		}
		return fmt.Sprint(n)
	},
	"ftruncate": func(s System, a *args) string { return result(s.Ftruncate(a.fd(), a.num())) },
	"fallocate": func(s System, a *args) string {
		return result(s.Fallocate(a.fd(), uint32(a.flags()), a.num(), a.num()))
	},
	"flock":  func(s System, a *args) string { return result(s.Flock(a.fd(), a.flags())) },
	"ls":     list,
	"mkdir":  func(s System, a *args) string { return result(s.Mkdir(a.str(), a.octal())) },
	"mkfifo": func(s System, a *args) string { return result(s.Mknod(a.str(), unix.S_IFIFO|a.octal(), 0)) },
	"mksock": func(s System, a *args) string { return result(s.Mknod(a.str(), unix.S_IFSOCK|a.octal(), 0)) },
	"mkchr": func(s System, a *args) string {
		return result(s.Mknod(a.str(), unix.S_IFCHR|a.octal(), unix.Mkdev(1, 3)))
	},
	"mknod":    func(s System, a *args) string { return result(s.Mknod(a.str(), a.octal(), 0)) },
	"symlink":  func(s System, a *args) string { return result(s.Symlink(a.str(), a.str())) },
	"link":     func(s System, a *args) string { return result(s.Link(a.str(), a.str(), a.flags())) },
	"unlink":   func(s System, a *args) string { return result(s.Unlink(a.str(), 0)) },
	"rmdir":    func(s System, a *args) string { return result(s.Unlink(a.str(), unix.AT_REMOVEDIR)) },
	"rename":   func(s System, a *args) string { return result(s.Rename(a.str(), a.str(), uint32(a.flags()))) },
	"readlink": func(s System, a *args) string { return value(s.Readlink(a.str())) },
	"stat":     func(s System, a *args) string { return attrs(s.Stat(a.str(), a.flags())) },
	"lstat":    func(s System, a *args) string { return attrs(s.Stat(a.str(), unix.AT_SYMLINK_NOFOLLOW)) },
	"times":    times,
	"blocks": func(s System, a *args) string {
		at, err := s.Stat(a.str(), 0)
		return fmt.Sprint(at.Blocks, result(err))
	},
	"chmod": func(s System, a *args) string { return result(s.Chmod(a.str(), a.octal())) },
	"chown": func(s System, a *args) string {
		return result(s.Chown(a.str(), uint32(a.num()), uint32(a.num()), a.flags()))
	},
	"utimens": func(s System, a *args) string {
		path := a.str()
		t := &[2]linux.Timespec{{Sec: a.num(), Nsec: a.num()}, {Sec: a.num(), Nsec: a.num()}}
		return result(s.Utimens(path, t, a.flags()))
	},
	"touch":    func(s System, a *args) string { return result(s.Utimens(a.str(), nil, 0)) },
	"truncate": func(s System, a *args) string { return result(s.Truncate(a.str(), a.num())) },
	"access":   func(s System, a *args) string { return result(s.Access(a.str(), uint32(a.num()), a.flags())) },
	"getxattr": func(s System, a *args) string {
		v, err := s.Getxattr(a.str(), a.str())
		return value(string(v), err)
	},
	"setxattr": func(s System, a *args) string {
		return result(s.Setxattr(a.str(), a.str(), []byte(a.str()), a.flags()))
	},
	"rmxattr": func(s System, a *args) string { return result(s.Removexattr(a.str(), a.str())) },
	"listxattr": func(s System, a *args) string {
		names, err := s.Listxattr(a.str())
		slices.Sort(names)
		return value(strings.Join(names, " "), err)
	},
	"umask": func(s System, a *args) string { return fmt.Sprintf("%o", s.Umask(a.octal())) },
	"chdir": func(s System, a *args) string { return result(s.Chdir(a.str())) },
	"cwd":   func(s System, _ *args) string { return value(s.Getcwd()) },
	"user": func(s System, a *args) string {
		s.SetUser(uint32(a.num()), uint32(a.num()))
		return "ok"
	},
	"cat":  cat,
	"put":  put,
	"tree": func(s System, a *args) string { return Tree(s, a.str()) },
}

func count(n int, err error) string {
	if err != nil {
		return result(err)
	}
	return fmt.Sprint(n)
}

func value(v string, err error) string {
	if err != nil {
		return result(err)
	}
	return v
}

func got(p []byte) func(n int, err error) string {
	return func(n int, err error) string {
		if err != nil {
			return result(err)
		}
		return sum(p[:n])
	}
}

// attrs shows what does not depend on the file system.
func attrs(a linux.Attr, err error) string {
	if err != nil {
		return result(err)
	}
	size := a.Size
	if a.IsDir() {
		size = 0
	}
	return fmt.Sprintf("%o links %d owner %d:%d size %d dev %d", a.Mode, a.Nlink, a.UID, a.GID, size, a.Rdev)
}

// times shows atime and mtime.
func times(s System, a *args) string {
	at, err := s.Stat(a.str(), a.flags())
	if err != nil {
		return result(err)
	}
	return fmt.Sprint(at.Atime, at.Mtime)
}

// list shows the names in an open directory, sorted, with types.
func list(s System, a *args) string {
	entries, err := s.ReadDir(a.fd())
	if err != nil {
		return result(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, fmt.Sprintf("%s/%d", e.Name, e.Type))
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// cat shows a file's contents.
func cat(s System, a *args) string {
	fd, err := s.Open(a.str(), linux.O_RDONLY|linux.O_NONBLOCK, 0)
	if err != nil {
		return result(err)
	}
	defer s.Close(fd)
	var all []byte
	buf := make([]byte, 10000)
	for {
		n, err := s.Read(fd, buf)
		if err != nil {
			return result(err)
		}
		if n == 0 {
			return sum(all)
		}
		all = append(all, buf[:n]...)
	}
}

// put writes a file: path seed length.
func put(s System, a *args) string {
	fd, err := s.Open(a.str(), linux.O_WRONLY|linux.O_CREAT|linux.O_TRUNC, 0o644)
	if err != nil {
		return result(err)
	}
	defer s.Close(fd)
	return count(s.Write(fd, data(a.str(), a.num())))
}

// Tree shows all that is below dir.
func Tree(s System, dir string) string {
	fd, err := s.Open(dir, linux.O_RDONLY|linux.O_DIRECTORY, 0)
	if err != nil {
		return result(err)
	}
	entries, err := s.ReadDir(fd)
	s.Close(fd)
	if err != nil {
		return result(err)
	}
	var lines []string
	for _, e := range entries {
		if e.Name == "." || e.Name == ".." {
			continue
		}
		path := dir + "/" + e.Name
		line := path + " " + attrs(s.Stat(path, unix.AT_SYMLINK_NOFOLLOW))
		switch e.Type {
		case unix.DT_DIR:
			line += "\n" + Tree(s, path)
		case unix.DT_REG:
			line += " " + cat(s, &args{fields: []string{path}})
		case unix.DT_LNK:
			line += " -> " + value(s.Readlink(path))
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
