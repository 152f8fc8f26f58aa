package converter

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"

	"github.com/megabin/megabin/layers/image"
)

// newCompressor returns a writer that compresses to w; its output depends on
// what is written only. Close ends the stream but does not close w.
func newCompressor(w io.Writer, kind image.Compression, jobs int) (io.WriteCloser, error) {
	switch kind {
	case image.Gzip:
		return newGzipWriter(w, jobs), nil
	case image.Zstd:
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	}
	return nopCloser{w}, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

const (
	gzipBlock = 1 << 20 // bytes compressed on their own
	gzipLevel = 4       // 6 takes a quarter more time, half of it a warm conversion's, and 4 % less space
)

// The gzip header (RFC 1952): deflate, no name, no time, unknown system.
const gzipHeader = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

// An empty final block ends a deflate stream (RFC 1951, 3.2.4).
const finalBlock = "\x01\x00\x00\xff\xff"

// gzipWriter compresses blocks of a fixed size at the same time, each flushed
// to a byte boundary, so that they make one deflate stream.
type gzipWriter struct {
	w     io.Writer
	block []byte
	crc   uint32
	size  int64
	sizes []int64          // of the results; complete when done
	queue chan chan []byte // results, in order
	done  chan error       // of writing them
	jobs  chan *flate.Writer
}

func newGzipWriter(w io.Writer, jobs int) *gzipWriter {
	g := &gzipWriter{w: w, queue: make(chan chan []byte, jobs), done: make(chan error, 1), jobs: make(chan *flate.Writer, jobs)}
	for range jobs {
		g.jobs <- nil
	}
	go g.drain()
	return g
}

// drain writes the results in order. After an error it only takes them.
func (g *gzipWriter) drain() {
	_, err := io.WriteString(g.w, gzipHeader)
	for result := range g.queue {
		b := <-result
		g.sizes = append(g.sizes, int64(len(b)))
		if err == nil {
			_, err = g.w.Write(b)
		}
	}
	g.done <- err
}

func (g *gzipWriter) Write(p []byte) (int, error) {
	n := len(p)
	g.crc = crc32.Update(g.crc, crc32.IEEETable, p)
	g.size += int64(n)
	for len(p) > 0 {
		if g.block == nil {
			g.block = make([]byte, 0, gzipBlock)
		}
		take := min(len(p), gzipBlock-len(g.block))
		g.block, p = append(g.block, p[:take]...), p[take:]
		if len(g.block) == gzipBlock {
			g.compress()
		}
	}
	return n, nil
}

// compress hands the block to a job.
func (g *gzipWriter) compress() {
	block, result := g.block, make(chan []byte, 1)
	g.block = nil
	z := <-g.jobs
	g.queue <- result
	go func() {
		if z == nil {
			z, _ = flate.NewWriter(nil, gzipLevel) // the level is a valid one
		}
		var out bytes.Buffer
		z.Reset(&out)
		z.Write(block) // a bytes.Buffer takes all
		z.Flush()
		result <- out.Bytes()
		g.jobs <- z
	}()
}

// Close writes what is left, and the trailer. It tells about errors of all
// writes.
func (g *gzipWriter) Close() error {
	if len(g.block) > 0 {
		g.compress()
	}
	close(g.queue)
	if err := <-g.done; err != nil {
		return err
	}
	trailer := binary.LittleEndian.AppendUint32([]byte(finalBlock), g.crc)
	_, err := g.w.Write(binary.LittleEndian.AppendUint32(trailer, uint32(g.size)))
	return err
}

// blocks tells where the stream can be entered. Precondition: it is closed.
func (g *gzipWriter) blocks() *image.Blocks {
	return &image.Blocks{Start: int64(len(gzipHeader)), Block: gzipBlock, Total: g.size, Sizes: g.sizes}
}
