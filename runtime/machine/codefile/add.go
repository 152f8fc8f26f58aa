package codefile

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Add adds code to the files, for those who open them later, in place of what id named before.
func (f *File) Add(id ID, c Code) error {
	r := record{id: id, size: int64(len(c.Bytes)), links: int64(len(c.Links))}
	for i, off := range c.Functions {
		index := uint32(noIndex)
		if len(c.Indexes) > 0 {
			index = c.Indexes[i]
		}
		r.functions = append(r.functions, [2]uint32{uint32(off), index})
	}
	b := bytes.Clone(c.Bytes)
	for _, l := range c.Links {
		if int(l[0])+4 > len(c.Bytes) {
			return fmt.Errorf("link at %#x in %d bytes of code", l[0], len(c.Bytes))
		}
		b = append(b, c.Bytes[l[0]:][:4]...)
		b = le.AppendUint32(le.AppendUint32(b, l[0]), l[1])
	}
	r.sum = crc32.Checksum(b, castagnoli)

	f.mu.Lock()
	defer f.mu.Unlock()
	file, err := lock(f.name+indexExt, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return err
	}
	defer file.Close() // and the lock's end
	if err := f.catchUp(file); err != nil {
		return err
	}
	if r.off, err = f.appendCode(b); err != nil {
		return err
	}
	line := appendRecord(nil, &r)
	if _, err := file.WriteAt(line, f.size); err != nil {
		return err
	}
	f.size += int64(len(line))
	f.codeEnd = r.off + r.whole()
	f.added = true
	return nil
}

// lock opens a file and waits until no other process has it locked.
func lock(name string, flags int) (*os.File, error) {
	for {
		file, err := open(name, flags)
		if err != nil {
			return nil, err
		}
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX)
		if err == nil {
			err = isAt(file, name)
		}
		if err == nil {
			return file, nil
		}
		file.Close()
		if !errors.Is(err, errElsewhere) {
			return nil, err
		}
	}
}

// errElsewhere: another file has taken the place of one that was opened.
var errElsewhere = errors.New("the name is another file's")

// isAt returns errElsewhere if name is not the open file's any more.
func isAt(file *os.File, name string) error {
	mine, err := file.Stat()
	if err != nil {
		return err
	}
	there, err := os.Stat(name)
	if errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(mine, there) {
		return errElsewhere
	}
	return err
}

// open opens a file, and makes its directory if it is to be created.
func open(name string, flags int) (*os.File, error) {
	file, err := os.OpenFile(name, flags, 0o600)
	if errors.Is(err, os.ErrNotExist) && flags&os.O_CREATE != 0 {
		if err = os.MkdirAll(filepath.Dir(name), 0o700); err == nil {
			file, err = os.OpenFile(name, flags, 0o600)
		}
	}
	return file, err
}

// catchUp reads what others have added, and cuts off what a writer did not finish.
func (f *File) catchUp(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	content := io.NewSectionReader(file, 0, info.Size())
	head := make([]byte, headSize)
	n, err := content.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return err
	}
	x := readHead(head[:n])
	switch {
	case x.generation == 0 || f.dropped && x.generation == f.generation:
		return f.begin(file, max(x.generation, f.generation)+1)
	case x.generation == f.generation && info.Size() == f.size:
		return nil
	}
	b, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	f.index, _ = readIndex(b)
	return file.Truncate(f.size)
}

// begin empties the index, and has another file for the code.
func (f *File) begin(file *os.File, generation uint32) error {
	head := appendHead(nil, index{generation: generation, boot: boot()})
	if err := file.Truncate(0); err != nil {
		return err
	}
	if _, err := file.WriteAt(head, 0); err != nil {
		return err
	}
	f.index = readHead(head)
	return nil
}

// appendCode writes code behind all there is.
func (f *File) appendCode(code []byte) (off int64, err error) {
	file, err := open(f.codeName(), os.O_RDWR|os.O_CREATE)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	off = aligned(max(info.Size(), f.codeEnd))
	_, err = file.WriteAt(code, off)
	return off, err
}

func aligned(off int64) int64 { return (off + align - 1) &^ (align - 1) }
