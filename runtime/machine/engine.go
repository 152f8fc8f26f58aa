package machine

import "context"

// Engine owns what all CPUs of the process share: the compiler, its cache, and
// the compiled parts.
type Engine struct{}

// NewEngine returns an Engine. ctx bounds nothing but its construction.
func NewEngine(ctx context.Context, o Options) (*Engine, error) { return &Engine{}, nil }

// Close frees the compiled code. All CPUs must be closed.
func (e *Engine) Close() error { return nil }

// Stats returns the counters.
func (e *Engine) Stats() Stats { return Stats{} }

// NewCPU returns a CPU in as with a zero register file.
func (e *Engine) NewCPU(as *AddressSpace, h Handler) (*CPU, error) { return nil, ErrClosed }
