package codefile

import (
	"errors"
	"hash/crc32"
	"io"
	"os"
)

// Code is linked again when it has grown by this part.
const worthLinking = 1. / 16

// link makes another generation of the code, in which links go to the functions that there are, if enough were added.
// Processes that have mapped the one before keep it.
func (f *File) link() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	file, err := lock(f.name+indexExt, os.O_RDWR)
	if err != nil {
		return err
	}
	defer file.Close()
	b, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	x, records := readIndex(b)
	if float64(x.codeEnd-int64(x.linked)*align) < worthLinking*float64(x.codeEnd) {
		return nil
	}
	old := generationName(f.name, x.generation)
	code, err := os.ReadFile(old)
	if err != nil {
		return err
	}
	records, linked := relocate(records, code)
	generation, err := writeCode(f.name, x.generation, linked)
	if err != nil {
		return err
	}
	b = appendHead(nil, index{generation: generation, linked: uint32(aligned(int64(len(linked))) / align), boot: boot()})
	for i := range records {
		b = appendRecord(b, &records[i])
	}
	fresh := f.name + indexExt + ".new" // nobody else has the lock
	if err = os.WriteFile(fresh, b, 0o600); err == nil {
		err = os.Rename(fresh, f.name+indexExt)
	}
	if err != nil {
		os.Remove(generationName(f.name, generation))
		return err
	}
	return os.Remove(old)
}

// writeCode writes code to a file of a generation that there is not yet.
func writeCode(name string, generation uint32, code []byte) (uint32, error) {
	for {
		generation++
		file, err := os.OpenFile(generationName(name, generation), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		_, err = file.Write(code)
		if err = errors.Join(err, file.Close()); err != nil {
			os.Remove(file.Name())
		}
		return generation, err
	}
}

// relocate gives code without what is damaged or replaced, linked, and the records of that.
func relocate(records []record, code []byte) (kept []record, out []byte) {
	last := map[ID]int{} // of an ID's records
	for i := range records {
		last[records[i].id] = i
	}
	places := map[uint32]int64{} // of functions, by index
	for i, r := range records {
		if last[r.id] != i || r.off+r.whole() > int64(len(code)) || !r.isIn(code) {
			continue
		}
		out = append(out, make([]byte, aligned(int64(len(out)))-int64(len(out)))...)
		from := code[r.off:][:r.whole()]
		r.off = int64(len(out))
		out = append(out, from...)
		for _, fn := range r.functions {
			if fn[1] != noIndex {
				places[fn[1]] = r.off + int64(fn[0])
			}
		}
		kept = append(kept, r)
	}
	for i := range kept {
		r := &kept[i]
		all := out[r.off:][:r.whole()]
		for links := all[r.size:]; len(links) > 0; links = links[linkSize:] {
			at, distance := int64(le.Uint32(links[4:])), le.Uint32(links)
			if at+4 > r.size {
				continue
			}
			if to, ok := places[le.Uint32(links[8:])]; ok {
				distance = uint32(to - (r.off + at + 4))
			}
			le.PutUint32(all[at:], distance)
		}
		r.sum = crc32.Checksum(all, castagnoli)
	}
	return kept, out
}
