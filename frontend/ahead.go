package frontend

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	fstypes "github.com/tonistiigi/fsutil/types"
	"google.golang.org/protobuf/proto"
)

// ahead is a client that has BuildKit load .dockerignore while the Dockerfile
// frontend is busy with the Dockerfile and the images that it names. When that
// asks for the very same operation and file, the answer is there, or on its
// way; what went wrong is told then.
type ahead struct {
	client.Client
	mu   sync.Mutex
	kept map[string]func() (*client.Result, error) // by loadOf
}

// start asks for .dockerignore; that ends with ctx.
func (a *ahead) start(ctx context.Context) {
	first := asker{a, a.BuildOpts()}
	first.opts.Opts = maps.Clone(first.opts.Opts)
	ui, err := dockerui.NewClient(first)
	if err == nil && first.opts.Opts["requestid"] == "" {
		go ui.DockerIgnorePatterns(ctx)
	}
}

// Solve is what the Dockerfile frontend calls.
func (a *ahead) Solve(ctx context.Context, req client.SolveRequest) (*client.Result, error) {
	a.mu.Lock()
	kept := a.kept[loadOf(req)]
	a.mu.Unlock()
	if kept != nil {
		return kept()
	}
	return a.Client.Solve(ctx, req)
}

// loadOf is the directory that a request is for, as its identifier and what
// selects parts of it; "": it is for something else. Operations that are alike
// otherwise differ in a number of their own.
func loadOf(req client.SolveRequest) string {
	if req.Definition == nil || len(req.Definition.Def) != 2 {
		return ""
	}
	var op pb.Op
	if err := proto.Unmarshal(req.Definition.Def[0], &op); err != nil || op.GetSource() == nil {
		return ""
	}
	attrs := maps.Clone(op.GetSource().Attrs)
	delete(attrs, pb.AttrLocalUniqueID)
	return fmt.Sprint(op.GetSource().Identifier, attrs) // a map is printed in the order of its keys
}

// asker is the client of who asks first. Its options are its own: dockerui
// writes to those that it is given.
type asker struct {
	*ahead
	opts client.BuildOpts
}

// BuildOpts is what dockerui reads.
func (a asker) BuildOpts() client.BuildOpts { return a.opts }

// Solve keeps the answer.
func (a asker) Solve(ctx context.Context, req client.SolveRequest) (*client.Result, error) {
	solve := sync.OnceValues(func() (*client.Result, error) { return keptResult(a.Client.Solve(ctx, req)) })
	a.mu.Lock()
	if a.kept == nil {
		a.kept = map[string]func() (*client.Result, error){}
	}
	a.kept[loadOf(req)] = solve
	a.mu.Unlock()
	return solve()
}

// keptResult is a result whose files are read once.
func keptResult(res *client.Result, err error) (*client.Result, error) {
	if err != nil {
		return nil, err
	}
	ref, err := res.SingleRef()
	if err != nil || ref == nil {
		return res, err
	}
	res.SetRef(&keptRef{Reference: ref, stats: map[string]func() (*fstypes.Stat, error){}, files: map[string]func() ([]byte, error){}})
	return res, nil
}

// keptRef is a reference whose files are read once.
type keptRef struct {
	client.Reference
	mu    sync.Mutex
	stats map[string]func() (*fstypes.Stat, error)
	files map[string]func() ([]byte, error)
}

// StatFile is asked before a file is read.
func (r *keptRef) StatFile(ctx context.Context, req client.StatRequest) (*fstypes.Stat, error) {
	return once(&r.mu, r.stats, req.Path, func() (*fstypes.Stat, error) { return r.Reference.StatFile(ctx, req) })
}

// ReadFile is asked for a file's parts.
func (r *keptRef) ReadFile(ctx context.Context, req client.ReadRequest) ([]byte, error) {
	var part client.FileRange
	if req.Range != nil {
		part = *req.Range
	}
	return once(&r.mu, r.files, fmt.Sprint(req.Filename, part), func() ([]byte, error) { return r.Reference.ReadFile(ctx, req) })
}

// once gives what ask gave when it was first called with a name.
func once[T any](mu *sync.Mutex, kept map[string]func() (T, error), name string, ask func() (T, error)) (T, error) {
	mu.Lock()
	if kept[name] == nil {
		kept[name] = sync.OnceValues(ask)
	}
	get := kept[name]
	mu.Unlock()
	return get()
}
