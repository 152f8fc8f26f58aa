package machine

import (
	"os"
	"slices"
)

// Code of a unit that was not recompiled with it is asked for when a jump
// goes there (Options.OnDemand). What comes is a unit of its own at the same base,
// which lives as long as the mapping of the first.

// onDemand asks for code at addr, which belongs to m, and tells whether some
// came.
func (as *AddressSpace) onDemand(m *mapping, addr uint64) bool {
	f := as.engine.options.OnDemand
	if f == nil {
		return false
	}
	file, ok := as.fileAt(addr)
	if !ok {
		return false
	}
	u, ok := f(m.unit, file, uint32(addr-m.base))
	return ok && as.supplement(m, u)
}

// supplement adds u to m; false if it can't be.
func (as *AddressSpace) supplement(m *mapping, u Unit) bool {
	as.mu.Lock()
	defer as.mu.Unlock()
	if slices.ContainsFunc(m.all, func(x *mapping) bool { return x.unit == u }) {
		return true
	}
	x := newMapping(u, m.base)
	var ok bool
	if x.slots, ok = as.code.reserve(x, u.Functions(), 0); ok {
		m.all = append(slices.Clip(m.all), x)
	}
	return ok
}

// fileAt reads the whole file that is mapped at addr.
func (as *AddressSpace) fileAt(addr uint64) ([]byte, bool) {
	as.mu.RLock()
	defer as.mu.RUnlock()
	i := as.areas.from(addr)
	if i == len(as.areas) || as.areas[i].start > addr || as.areas[i].file == nil || as.areas[i].prot&ProtExec == 0 {
		return nil, false
	}
	data, err := readAll(as.areas[i].file.file)
	return data, err == nil
}

func readAll(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b := make([]byte, info.Size())
	_, err = f.ReadAt(b, 0)
	return b, err
}
