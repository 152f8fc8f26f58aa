package tmp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// bigFile is an open file that is no longer on the heap.
func bigFile(t testing.TB) (*file, *handle) {
	t.Helper()
	fs, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := fs.newFile(vfs.Spec{Mode: unix.S_IFREG | 0o644})
	opened, err := f.Open(linux.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	return f, opened.(*handle)
}

// TestViewAsModel writes, cuts and punches a file at random beside a slice of
// bytes.
func TestViewAsModel(t *testing.T) {
	const most = 12 << 20
	before := views.Load()
	f, h := bigFile(t)
	random := rand.New(rand.NewPCG(1, 2))
	data, mapped, model := make([]byte, 1<<20), false, []byte(nil)
	for step := range 3000 {
		off, n := random.Int64N(most), random.IntN(1<<(1+random.IntN(20)))
		if random.IntN(3) > 0 {
			off = random.Int64N(int64(len(model)) + 1)
		}
		p := data[:n]
		for i := range p {
			p[i] = byte(random.Uint32())
		}
		switch op := random.IntN(100); {
		case op < 50:
			if _, err := h.WriteAt(p, off); err != nil {
				t.Fatal(err)
			}
			model = grown(model, off+int64(n))
			copy(model[off:], p)
		case op < 95:
			got, err := h.ReadAt(p, off)
			if err != nil {
				t.Fatal(err)
			}
			if want := model[min(int(off), len(model)):min(int(off)+n, len(model))]; !bytes.Equal(p[:got], want) {
				t.Fatalf("step %d: %d bytes at %d differ", step, n, off)
			}
		case op < 97 && n > 0:
			if err := h.Allocate(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, int64(n)); err != nil {
				t.Fatal(err)
			}
			clear(model[min(int(off), len(model)):min(int(off)+n, len(model))])
		case op < 98:
			size := int64(len(model)) * 9 / 10
			if err := f.SetAttr(vfs.AttrChange{Set: vfs.SetSize, Size: size}); err != nil {
				t.Fatal(err)
			}
			model = append([]byte(nil), model[:size]...)
		}
		mapped = mapped || views.Load() > before
	}
	if !mapped {
		t.Error("the file was not mapped")
	}
	h.Release()
	f.unlinked()
	if n := views.Load() - before; n != 0 {
		t.Errorf("%d mappings left", n)
	}
}

func grown(b []byte, size int64) []byte {
	if more := size - int64(len(b)); more > 0 {
		b = append(b, make([]byte, more)...)
	}
	return b
}

// TestViewForgotten has the mapping of a file that nobody closed go with it.
func TestViewForgotten(t *testing.T) {
	before := views.Load()
	func() {
		_, h := bigFile(t)
		fillFile(t, h)
		if views.Load() == before {
			t.Fatal("the file was not mapped")
		}
	}()
	for range 100 {
		runtime.GC()
		if views.Load() == before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the file is mapped still")
}

// fillFile writes and reads megabytes.
func fillFile(t testing.TB, h *handle) {
	p := make([]byte, 1<<20)
	for off := range int64(16) {
		if _, err := h.WriteAt(p, off<<20); err != nil {
			t.Fatal(err)
		}
		if n, err := h.ReadAt(p, off<<20); n != len(p) || err != nil {
			t.Fatal(n, err)
		}
	}
}

func BenchmarkBigFile(b *testing.B) {
	_, h := bigFile(b)
	fillFile(b, h)
	for _, size := range []int{4 << 10, 1 << 20} {
		p := make([]byte, size+16)[16:] // as malloc gives it
		for name, op := range map[string]func([]byte, int64) (int, error){"read": h.ReadAt, "write": h.WriteAt} {
			b.Run(fmt.Sprint(name, size), func(b *testing.B) {
				b.SetBytes(int64(size))
				for i := range b.N {
					if _, err := op(p, int64(i%8)<<20); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
