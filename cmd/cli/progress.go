package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows what a conversion is doing: a bar per phase on a terminal,
// a line per phase elsewhere. It implements converter.Progress.
type progress struct {
	w   io.Writer
	tty bool

	mu    sync.Mutex
	bar   *progressbar.ProgressBar
	phase string
	began time.Time
	done  int64
}

func newProgress(w io.Writer) *progress { return &progress{w: w, tty: isTerminal(w)} }

// Phase ends the phase before and starts one of total bytes, 0 if not known.
func (p *progress) Phase(name string, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
	p.phase, p.began, p.done = name, time.Now(), 0
	if !p.tty {
		return
	}
	if total == 0 {
		total = -1 // a spinner
	}
	p.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(p.w), progressbar.OptionSetDescription(name),
		progressbar.OptionShowBytes(true), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond))
}

// Add counts n bytes as done.
func (p *progress) Add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
	if p.bar != nil {
		p.bar.Add64(n) // fails only when the terminal does
	}
}

// finish ends the last phase.
func (p *progress) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
}

// end closes the current phase with a line. p.mu is held.
func (p *progress) end() {
	if p.phase == "" {
		return
	}
	if p.bar != nil {
		p.bar.Clear()
		p.bar = nil
	}
	fmt.Fprintf(p.w, "%s: %s in %.1f s\n", p.phase, size(p.done), time.Since(p.began).Seconds())
	p.phase = ""
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
