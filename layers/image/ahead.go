package image

import (
	"io"
	"sync"
)

// Sizes of what is read ahead of a reader: a few blocks, so that
// decompressing and what is done with the result keep two processors busy.
const (
	aheadBlock = 256 << 10 // bytes
	aheadDepth = 4         // blocks
)

// ahead reads from another reader in a goroutine of its own.
type ahead struct {
	r     io.ReadCloser
	full  chan aheadResult // ends after an error
	empty chan []byte
	stop  chan struct{}
	once  sync.Once
	done  chan struct{} // the goroutine has ended
	last  []byte        // the block being read, to be given back
	rest  []byte        // of it
	err   error
}

type aheadResult struct {
	b   []byte
	err error
}

// readAhead returns a reader of what r gives. Closing it closes r.
func readAhead(r io.ReadCloser) *ahead {
	a := &ahead{
		r:    r,
		full: make(chan aheadResult, aheadDepth), empty: make(chan []byte, aheadDepth),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	for range aheadDepth {
		a.empty <- nil
	}
	go a.fill()
	return a
}

// fill reads blocks until the first error, which it passes on like them.
func (a *ahead) fill() {
	defer close(a.done)
	defer close(a.full)
	for {
		var b []byte
		select {
		case b = <-a.empty:
		case <-a.stop:
			return
		}
		if b == nil {
			b = make([]byte, aheadBlock)
		}
		n, err := readBlock(a.r, b[:cap(b)])
		a.full <- aheadResult{b[:n], err} // there are never more blocks than places
		if err != nil {
			return
		}
	}
}

// readBlock is io.ReadFull that keeps the reader's own error.
func readBlock(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	return n, err
}

func (a *ahead) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(a.rest) == 0 {
		if a.err != nil {
			return 0, a.err
		}
		if a.last != nil {
			a.empty <- a.last
			a.last = nil
		}
		next, ok := <-a.full
		if !ok {
			return 0, io.ErrClosedPipe
		}
		a.last, a.rest, a.err = next.b, next.b, next.err
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// Close ends the goroutine and closes the reader.
func (a *ahead) Close() (err error) {
	a.once.Do(func() {
		close(a.stop)
		<-a.done
		err = a.r.Close()
	})
	return err
}
