package machine

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// features are those of units (wasm 2.0 and tail calls), and atomics.
const features = api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall |
	experimental.CoreFeaturesThreads | experimental.CoreFeaturesExtendedConst

// Engine owns what all CPUs of the process share: the compiler, its cache, and
// the compiled parts. It is safe for concurrent use.
type Engine struct {
	options Options
	runtime wazero.Runtime
	cache   wazero.CompilationCache // nil without a directory
	cpu     wazero.CompiledModule
	stats   counters
	heart   *heart

	fetcher fetcher
	spares  spares

	mu    sync.Mutex
	parts map[partID]*part
}

// counters is Stats with atomics.
type counters struct {
	compiled, loaded, nanos, bytes, resolves, missing, onDemand, reentries atomic.Uint64
}

// partID names a piece in the process. Two Units of one file may differ: their
// translators may.
type partID struct {
	unit Unit
	n    piece
}

// part is a compiled piece. Fields are set before done is closed.
type part struct {
	done     chan struct{}
	module   wazero.CompiledModule
	ordinals []int
	err      error
}

// NewEngine returns an Engine. ctx bounds nothing but its construction.
func NewEngine(ctx context.Context, o Options) (*Engine, error) {
	e := &Engine{options: o, parts: map[partID]*part{}}
	config := wazero.NewRuntimeConfigCompiler().WithCoreFeatures(features).WithDebugInfoEnabled(false)
	if o.CacheDir != "" {
		cache, err := wazero.NewCompilationCacheWithDir(o.CacheDir)
		if err != nil {
			return nil, fmt.Errorf("opening the cache of compiled code: %w", err)
		}
		e.cache = cache
		config = config.WithCompilationCache(cache)
	}
	every := period
	if o.Restless {
		every = restlessPeriod
	}
	e.heart = newHeart(every)
	e.runtime = wazero.NewRuntimeWithConfig(ctx, config)
	if err := e.instantiateHost(ctx); err != nil {
		e.Close()
		return nil, fmt.Errorf("BUG: host module: %w", err)
	}
	var err error
	if e.cpu, err = e.compile(ctx, cpuModule()); err != nil {
		e.Close()
		return nil, fmt.Errorf("BUG: cpu module: %w", err)
	}
	return e, nil
}

// Close frees the compiled code. All CPUs must be closed.
func (e *Engine) Close() error {
	e.fetcher.close()
	e.spares.free()
	e.heart.close()
	err := e.runtime.Close(context.Background())
	if e.cache != nil {
		err = e.cache.Close(context.Background())
	}
	return err
}

// Stats returns the counters.
func (e *Engine) Stats() Stats {
	c := &e.stats
	return Stats{
		PartsCompiled: c.compiled.Load(), PartsLoaded: c.loaded.Load(),
		CompileNanos: c.nanos.Load(), CompiledBytes: c.bytes.Load(),
		Resolves: c.resolves.Load(), Missing: c.missing.Load(), OnDemand: c.onDemand.Load(), Reentries: c.reentries.Load(),
	}
}

// compile compiles a module with all processors.
func (e *Engine) compile(ctx context.Context, wasm []byte) (wazero.CompiledModule, error) {
	ctx = experimental.WithCompilationWorkers(ctx, runtime.GOMAXPROCS(0))
	return e.runtime.CompileModule(ctx, wasm)
}

// part returns piece n of u compiled; the first caller compiles it while others
// wait.
func (e *Engine) part(u Unit, n piece) *part {
	id := partID{u, n}
	e.mu.Lock()
	p, ok := e.parts[id]
	if !ok {
		p = &part{done: make(chan struct{})}
		e.parts[id] = p
	}
	e.mu.Unlock()
	if ok {
		<-p.done
		return p
	}
	defer close(p.done)
	e.compilePart(p, u, n)
	return p
}

// compilePart fills p.
func (e *Engine) compilePart(p *part, u Unit, n piece) {
	start := time.Now()
	wasm, ordinals, err := n.of(u)
	if err == nil {
		p.module, err = e.compile(context.Background(), withName(wasm, partName(u.ID(), n)))
	}
	if err != nil {
		id := u.ID()
		p.err = fmt.Errorf("part %d of unit %x: %w", n, id[:4], err)
		return
	}
	p.ordinals = ordinals
	e.stats.compiled.Add(1)
	e.stats.bytes.Add(uint64(len(wasm)))
	e.stats.nanos.Add(uint64(time.Since(start)))
}
