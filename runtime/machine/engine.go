package machine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/megabin/megabin/layers/abi"
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
	stores  stores
	pieces  atomic.Int64 // of memory, that the host's processor checks

	mu    sync.Mutex
	parts map[partID]*part

	linkMu  sync.Mutex
	codeIDs map[Unit][32]byte
	linked  map[[32]byte]*linked // by codeID
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
	name     string  // of module
	linked   *linked // if module has other pieces too
	first    uint32  // index in module of its first function
	ordinals []int
	err      error
}

// NewEngine returns an Engine. ctx bounds nothing but its construction.
func NewEngine(ctx context.Context, o Options) (*Engine, error) {
	e := &Engine{options: o, parts: map[partID]*part{}, codeIDs: map[Unit][32]byte{}, linked: map[[32]byte]*linked{}}
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
	if _, patched := e.runtime.(linker); !patched {
		e.Close()
		return nil, errors.New("this program was built with an engine that can't run recompiled code: `make build` applies the patches in runtime/wazero")
	}
	if err := e.instantiateHost(ctx); err != nil {
		e.Close()
		return nil, fmt.Errorf("BUG: host module: %w", err)
	}
	var err error
	if e.cpu, err = e.runtime.CompileModule(allProcessors(), cpuModule()); err != nil {
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
	e.closeLinked()
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

// compiler is a method of wazero.Runtime, or one like it.
type compiler func(context.Context, []byte) (wazero.CompiledModule, error)

// allProcessors has a module compiled with all processors.
func allProcessors() context.Context {
	return experimental.WithCompilationWorkers(context.Background(), runtime.GOMAXPROCS(0))
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
	if err := e.fillPart(p, u, n); err != nil {
		id := u.ID()
		p.err = fmt.Errorf("part %d of unit %x: %w", n, id[:4], err)
		return
	}
	e.stats.compiled.Add(1)
	e.stats.nanos.Add(uint64(time.Since(start)))
}

// fillPart compiles a piece, if the cache directory does not have it.
func (e *Engine) fillPart(p *part, u Unit, n piece) error {
	l := e.linker()
	if l == nil {
		wasm, ordinals, err := n.of(u)
		if err != nil {
			return err
		}
		return e.compileAlone(p, e.runtime.CompileModule, wasm, ordinals, partName(u.ID(), n))
	}
	s, err := sourceOf(u, n)
	if err != nil {
		return err
	}
	k := e.linkedOf(l, u)
	if k.find(p, &s, u.ID()) {
		return nil
	}
	if s.wasm == nil {
		if s.wasm, s.ordinals, err = n.of(u); err != nil {
			return err
		}
	}
	if err := e.compileAlone(p, l.CompileUncached, s.wasm, s.ordinals, partName(u.ID(), n)); err != nil {
		return err
	}
	k.add(l, p, s.id, n)
	return nil
}

// compileAlone makes a module of a piece.
func (e *Engine) compileAlone(p *part, compile compiler, wasm []byte, ordinals []int, name string) (err error) {
	p.name, p.first, p.ordinals = name, abi.NumImports, ordinals
	e.stats.bytes.Add(uint64(len(wasm)))
	p.module, err = compile(allProcessors(), withName(wasm, name))
	return err
}
