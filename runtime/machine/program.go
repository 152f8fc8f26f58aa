package machine

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// A program remembers which parts its last runs loaded, so that the next one
// has them compiled, or fetched from the cache directory, on other processors
// while it starts. What it remembers is a hint only: a part that is missing
// in it is compiled when it is called, one too many costs time.

// Bounds of a remembered list.
const (
	maxAge   = 4    // runs after which a part that was not used is forgotten
	maxParts = 4096 // per program
)

// useID names a part across processes.
type useID struct {
	unit [32]byte
	n    piece
}

// use is a part in the list of a program.
type use struct {
	id  useID
	age int // runs since it was used
}

// program is the list of one program, shared by the address spaces that run
// it.
type program struct {
	engine *Engine
	file   string
	refs   atomic.Int32
	warm   atomic.Bool // some parts were there, so that it is not known whether they are used

	mu    sync.Mutex
	last  []use          // what the last runs left, in the order of loading
	used  []useID        // by this run, in the order of loading
	index map[useID]bool // of used
}

// newProgram is what a program remembers, nil without a key or a cache directory.
// With warm, it runs on a core that has parts already.
func (e *Engine) newProgram(key string, warm bool) *program {
	dir := e.options.CacheDir
	if dir == "" || key == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(key))
	p := &program{engine: e, index: map[useID]bool{}}
	p.file = filepath.Join(dir, "programs", hex.EncodeToString(sum[:16]))
	p.warm.Store(warm)
	p.refs.Store(1)
	p.last = readUses(p.file)
	if find := e.options.FindUnit; find != nil {
		e.prefetch(p.last, find)
	}
	return p
}

// expect starts to compile the parts of u that the program is likely to need.
func (p *program) expect(u Unit) {
	if p == nil || p.engine.options.FindUnit != nil {
		return
	}
	id := u.ID()
	p.engine.prefetch(p.last, func(want [32]byte) (Unit, bool) { return u, want == id })
}

// note remembers that a part was loaded.
func (p *program) note(u Unit, n piece) {
	if p == nil {
		return
	}
	id := useID{u.ID(), n}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.index[id] && len(p.used) < maxParts {
		p.index[id] = true
		p.used = append(p.used, id)
	}
}

func (p *program) retain() *program {
	if p != nil {
		p.refs.Add(1)
	}
	return p
}

// release drops a reference; the last one writes the list.
func (p *program) release() {
	if p != nil && p.refs.Add(-1) == 0 {
		// The list is a hint: a directory that can't be written costs speed
		// only.
		_ = p.save()
	}
}

// merged is what the next run gets: what this one used, then what it did not
// use but older ones did.
func (p *program) merged() []use {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []use
	for _, id := range p.used {
		list = append(list, use{id, 0})
	}
	for _, u := range p.last {
		if !p.warm.Load() {
			u.age++
		}
		if !p.index[u.id] && u.age <= maxAge && len(list) < maxParts {
			list = append(list, u)
		}
	}
	return list
}

// save writes the list, unless this run used all that the last one left and
// nothing else, or cannot tell and used nothing else.
func (p *program) save() error {
	list := p.merged()
	if sameParts(list, p.last) && (p.warm.Load() || len(list) == len(p.used)) {
		return nil
	}
	var b strings.Builder
	for _, u := range list {
		fmt.Fprintf(&b, "%x %d %d\n", u.id.unit, u.id.n, u.age)
	}
	if err := os.MkdirAll(filepath.Dir(p.file), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(p.file), "*.tmp")
	if err != nil {
		return err
	}
	_, err = f.WriteString(b.String())
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), p.file)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// sameParts tells whether two lists name the same parts, in any order and of
// any age.
func sameParts(a, b []use) bool {
	ids := map[useID]bool{}
	for _, u := range a {
		ids[u.id] = true
	}
	for _, u := range b {
		if !ids[u.id] {
			return false
		}
	}
	return len(a) == len(b)
}

// readUses reads a list; a file that is missing or damaged gives what can be
// read.
func readUses(name string) (list []use) {
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan() && len(list) < maxParts; {
		u, ok := parseUse(s.Text())
		if !ok {
			return list
		}
		list = append(list, u)
	}
	return list
}

// parseUse reads a line: unit in hex, part, age.
func parseUse(line string) (u use, ok bool) {
	fields := strings.Fields(line)
	if len(fields) != 3 {
		return u, false
	}
	id, err := hex.DecodeString(fields[0])
	if err != nil || len(id) != len(u.id.unit) {
		return u, false
	}
	copy(u.id.unit[:], id)
	n, err1 := strconv.ParseInt(fields[1], 10, 32)
	age, err2 := strconv.ParseUint(fields[2], 10, 31)
	u.id.n, u.age = piece(n), int(age)
	return u, err1 == nil && err2 == nil
}
