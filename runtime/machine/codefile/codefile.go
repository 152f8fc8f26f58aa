// Package codefile keeps machine code between processes: that of the parts of one
// ELF in two files, so that a process maps all of it at once, and code of one part calls that of others
// directly. It knows nothing of what the code does or was made of. docs/formats.md, Caches, describes the files.
package codefile

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Version of the files' format.
const Version = "3"

// Extensions of the two files; the generation stands before that of the code.
const (
	indexExt = ".index"
	codeExt  = ".code"
)

// align is what the engine wants of code's address, in bytes.
const align = 64

// ID names code by what it was made of.
type ID = [32]byte

// Code is what is kept under one ID.
type Code struct {
	Bytes     []byte
	Functions []int // offsets, ascending
	// Indexes are what other code calls the functions by; empty if it does not.
	Indexes []uint32
	// Links are calls and jumps of functions by their index, [1]. The four bytes at offset [0] are the distance, from behind
	// them, to code here that finds the function.
	Links [][2]uint32
}

// File is what the files had when they were opened. Its methods may be called from many goroutines.
type File struct {
	name      string
	code      []byte // mapped
	functions []int
	indexes   []uint32 // of functions
	entries   map[ID]entry

	mu    sync.Mutex
	index // as it was last read or written
	added bool
}

// entry is the code that one ID names.
type entry struct{ first, n int } // in File.functions

// Open maps the code in the files of that name. What is not there, or damaged, is as if it had never
// been added.
func Open(name string) *File {
	f := &File{name: name, entries: map[ID]entry{}}
	records, ok := f.read()
	if !ok {
		records, _ = f.read() // another process has linked the code meanwhile
	}
	if f.dropped = f.dropped || !f.isWhole() || !f.known(records); f.dropped {
		return f
	}
	for i := range records {
		r := &records[i]
		f.entries[r.id] = entry{len(f.functions), len(r.functions)}
		for _, fn := range r.functions {
			f.functions = append(f.functions, int(r.off)+int(fn[0]))
			f.indexes = append(f.indexes, fn[1])
		}
	}
	return f
}

// read maps the code and reads the index; false if there is no code of the index's generation.
func (f *File) read() (records []record, ok bool) {
	b, err := os.ReadFile(f.name + indexExt)
	if err != nil {
		return nil, true
	}
	f.index, records = readIndex(b)
	if f.generation == 0 {
		return nil, true
	}
	f.code, err = mapCode(f.codeName())
	f.dropped = err != nil
	return records, err == nil
}

// isWhole reports whether there is all the code that the index names.
func (f *File) isWhole() bool { return f.codeEnd <= int64(len(f.code)) }

// codeName is the file of the generation's code.
func (f *File) codeName() string { return generationName(f.name, f.generation) }

func generationName(name string, generation uint32) string {
	return name + "." + strconv.FormatUint(uint64(generation), 10) + codeExt
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

// Close links the code if any was added, and unmaps it.
func (f *File) Close() error {
	if f.added {
		_ = f.link() // not to link costs speed only
	}
	if f.code == nil {
		return nil
	}
	code := f.code
	f.code, f.entries = nil, nil
	return unix.Munmap(code)
}

// Code is all the code, executable. It is empty if there is none.
func (f *File) Code() []byte {
	if len(f.entries) == 0 {
		return nil
	}
	return f.code
}

// Functions is where in Code functions begin, ascending.
func (f *File) Functions() []int { return f.functions }

// Index is what other code calls function i by; false if it does not.
func (f *File) Index(i int) (index uint32, ok bool) {
	if i >= len(f.indexes) {
		return 0, false
	}
	return f.indexes[i], f.indexes[i] != noIndex
}

// Find returns which of Functions are id's.
func (f *File) Find(id ID) (first, n int, ok bool) {
	e, ok := f.entries[id]
	return e.first, e.n, ok
}

// known reports whether all code is as it was written. It is compared with its checksums unless that was done, or it
// was written, since the host booted: a write that a crash cut short is all that can damage it unnoticed. Code calls other
// code, so that it is known all together.
func (f *File) known(records []record) bool {
	if f.boot == boot() && f.boot != 0 {
		return true
	}
	for i := range records {
		if !records[i].isIn(f.code) {
			return false
		}
	}
	f.know()
	return true
}

// know writes into the index that all code is known since this boot. If that can't be written, it is
// compared again another time.
func (f *File) know() {
	file, err := lock(f.name+indexExt, os.O_RDWR)
	if err != nil {
		return
	}
	defer file.Close()
	var head [headSize]byte
	if _, err := file.ReadAt(head[:], 0); err == nil && readHead(head[:]).generation == f.generation {
		_, _ = file.WriteAt(le.AppendUint64(nil, boot()), bootAt)
	}
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

var (
	le         = binary.LittleEndian
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)
