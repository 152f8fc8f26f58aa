// Package codefile keeps machine code between processes: that of the parts of one
// ELF in two files, so that a process maps all of it at once. It knows nothing of what the code
// does or was made of. docs/formats.md, Caches, describes the files.
package codefile

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Version of the files' format.
const Version = "2"

// Extensions of the two files.
const (
	indexExt = ".index"
	codeExt  = ".code"
)

// align is what the engine wants of code's address, in bytes.
const align = 64

// ID names code by what it was made of.
type ID = [32]byte

// File is what the files had when they were opened. Its methods may be called from many goroutines.
type File struct {
	name      string
	code      []byte // mapped
	functions []int
	entries   map[ID]entry

	mu      sync.Mutex
	size    int64 // of the index as it was last read or written
	codeEnd int64 // of the code that it knows
}

// entry is the code that one ID names.
type entry struct {
	off, size int64
	sum       uint32
	first, n  int   // in File.functions
	boot      int64 // where in the index it says since which boot the code is known
	known     bool  // since this one
}

// Open maps the code in NAME.index and NAME.code. What is not there, or damaged, is as if it had never
// been added.
func Open(name string) *File {
	f := &File{name: name, entries: map[ID]entry{}}
	index, err := os.ReadFile(name + indexExt)
	if err != nil {
		return f
	}
	if f.code, err = mapCode(name + codeExt); err != nil {
		return f
	}
	f.size, f.codeEnd = readIndex(index, func(r *record) {
		e := entry{
			off: r.off, size: r.size, sum: r.sum, first: len(f.functions), n: len(r.functions) / 4,
			boot: r.bootAt, known: r.boot == boot() && r.boot != 0,
		}
		if e.off+e.size > int64(len(f.code)) {
			return
		}
		for b := r.functions; len(b) > 0; b = b[4:] {
			f.functions = append(f.functions, int(e.off)+int(le.Uint32(b)))
		}
		f.entries[r.id] = e
	})
	return f
}

func mapCode(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return nil, err
	}
	return unix.Mmap(int(file.Fd()), 0, int(info.Size()), unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE)
}

// Close unmaps the code.
func (f *File) Close() error {
	if f.code == nil {
		return nil
	}
	code := f.code
	f.code, f.entries = nil, nil
	return unix.Munmap(code)
}

// Code is all the code, executable. It is empty if there is none.
func (f *File) Code() []byte { return f.code }

// Functions is where in Code functions begin, ascending.
func (f *File) Functions() []int { return f.functions }

// Find returns which of Functions are id's. It compares their code with its checksum unless that was written or
// compared since the host booted: a write that a crash cut short is all that can damage it unnoticed.
func (f *File) Find(id ID) (first, n int, ok bool) {
	e, ok := f.entries[id]
	if !ok {
		return 0, 0, false
	}
	if !e.known {
		if crc32.Checksum(f.code[e.off:][:e.size], castagnoli) != e.sum {
			return 0, 0, false
		}
		f.know(e)
	}
	return e.first, e.n, true
}

// know writes into the index that an entry's code is known since this boot. If that can't be written, it is
// compared again another time.
func (f *File) know(e entry) {
	index, err := os.OpenFile(f.name+indexExt, os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer index.Close()
	_, _ = index.WriteAt(le.AppendUint64(nil, boot()), e.boot)
}

// boot is the first half of what the kernel names this boot of the host (random(4)), 0 if it does not tell.
var boot = sync.OnceValue(func() uint64 {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	n, err := strconv.ParseUint(strings.ReplaceAll(string(b[:min(18, len(b))]), "-", ""), 16, 64)
	if err != nil {
		return 0
	}
	return n
})

// Add appends code to the files, for those who open them later, in place of what id named before.
// functions are the offsets of its functions, ascending.
func (f *File) Add(id ID, code []byte, functions []int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	index, err := create(f.name + indexExt)
	if err != nil {
		return err
	}
	defer index.Close() // and the lock's end
	if err := unix.Flock(int(index.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	if err := f.catchUp(index); err != nil {
		return err
	}
	off, err := f.appendCode(code)
	if err != nil {
		return err
	}
	r := appendRecord(nil, &record{id: id, off: off, size: int64(len(code)), sum: crc32.Checksum(code, castagnoli)}, functions)
	if _, err := index.WriteAt(r, f.size); err != nil {
		return err
	}
	f.size += int64(len(r))
	f.codeEnd = off + int64(len(code))
	return nil
}

// create opens a file for writing.
func create(name string) (*os.File, error) {
	const flags = os.O_RDWR | os.O_CREATE
	file, err := os.OpenFile(name, flags, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(name), 0o700); err == nil {
			file, err = os.OpenFile(name, flags, 0o600)
		}
	}
	return file, err
}

// catchUp reads what others have added, and cuts off what a writer did not finish.
func (f *File) catchUp(index *os.File) error {
	info, err := index.Stat()
	if err != nil || info.Size() == f.size {
		return err
	}
	b, err := io.ReadAll(io.NewSectionReader(index, 0, info.Size()))
	if err != nil {
		return err
	}
	f.size, f.codeEnd = readIndex(b, func(*record) {})
	return index.Truncate(f.size)
}

// appendCode writes code behind all there is.
func (f *File) appendCode(code []byte) (off int64, err error) {
	file, err := create(f.name + codeExt)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	off = (max(info.Size(), f.codeEnd) + align - 1) &^ (align - 1)
	_, err = file.WriteAt(code, off)
	return off, err
}

// record is an entry in the index. It begins with its head, then has the offset of each
// function, u32, the checksum of all that, and since which boot of the host the code is known.
type record struct {
	id        ID
	off, size int64
	sum       uint32
	functions []byte // offsets, u32
	boot      uint64
	bootAt    int64 // where it is, in the index
}

const (
	headSize = len(ID{}) + 8 + 4 + 4 + 4 // offset, size, checksum, number of functions
	tailSize = 4 + 8                     // checksum, boot
)

var (
	le         = binary.LittleEndian
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

func appendRecord(b []byte, r *record, functions []int) []byte {
	start := len(b)
	b = append(b, r.id[:]...)
	b = le.AppendUint64(b, uint64(r.off))
	b = le.AppendUint32(b, uint32(r.size))
	b = le.AppendUint32(b, r.sum)
	b = le.AppendUint32(b, uint32(len(functions)))
	for _, off := range functions {
		b = le.AppendUint32(b, uint32(off))
	}
	b = le.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
	return le.AppendUint64(b, boot())
}

// readIndex visits the records up to the first that is damaged or not whole. It returns where that
// is, and the end of the code that those before it name.
func readIndex(b []byte, visit func(*record)) (size, codeEnd int64) {
	for rest := b; ; {
		r, n := readRecord(rest)
		if n == 0 || r.off < codeEnd {
			return int64(len(b) - len(rest)), codeEnd
		}
		r.bootAt = int64(len(b) - len(rest) + n - 8)
		visit(&r)
		codeEnd = r.off + r.size
		rest = rest[n:]
	}
}

// readRecord reads the first record of b, which has n bytes; 0 if it is none.
func readRecord(b []byte) (r record, n int) {
	if len(b) < headSize+tailSize {
		return r, 0
	}
	copy(r.id[:], b)
	h := b[len(r.id):]
	r.off, r.size, r.sum = int64(le.Uint64(h)), int64(le.Uint32(h[8:])), le.Uint32(h[12:])
	count := uint64(le.Uint32(h[16:]))
	if count > uint64(len(b)-headSize-tailSize)/4 || r.off < 0 || r.off > maxOffset {
		return r, 0
	}
	end := headSize + 4*int(count)
	if crc32.Checksum(b[:end], castagnoli) != le.Uint32(b[end:]) {
		return r, 0
	}
	r.functions, r.boot = b[headSize:end], le.Uint64(b[end+4:])
	return r, end + tailSize
}

// maxOffset bounds a file of code, so that sums do not overflow.
const maxOffset = 1 << 40
