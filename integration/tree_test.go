package integration

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// describeTree lists a directory, one line per file: everything that a
// program decides, nothing that the host does (inode numbers, times).
func describeTree(dir string) (string, error) {
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		line, err := describeFile(path)
		fmt.Fprintf(&b, "%q %s\n", rel, line)
		return err
	})
	return b.String(), err
}

func describeFile(path string) (string, error) {
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		return "", err
	}
	head := fmt.Sprintf("mode=%o links=%d owner=%d:%d", st.Mode, st.Nlink, st.Uid, st.Gid)
	switch st.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		data, err := os.ReadFile(path)
		return fmt.Sprintf("%s size=%d sha256=%x", head, st.Size, sha256.Sum256(data)), err
	case syscall.S_IFLNK:
		to, err := os.Readlink(path)
		return fmt.Sprintf("%s -> %q", head, to), err
	case syscall.S_IFCHR, syscall.S_IFBLK:
		return fmt.Sprintf("%s rdev=%#x", head, st.Rdev), nil
	}
	return head, nil
}
