package frontend

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/frontend/gateway/client"
	gateway "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/apicaps"
	fstypes "github.com/tonistiigi/fsutil/types"
)

// directory is a BuildKit with a build context, which counts what it is asked
// for.
type directory struct {
	client.Client
	files map[string]string
	mu    sync.Mutex
	asked map[string]int
}

func (d *directory) count(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked[what]++
}

func (d *directory) BuildOpts() client.BuildOpts {
	opts := older{caps: []apicaps.CapID{pb.CapFileBase}}.BuildOpts()
	opts.Caps, opts.Opts = gateway.Caps.CapSet(nil), map[string]string{}
	return opts
}

func (d *directory) Inputs(context.Context) (map[string]llb.State, error) { return nil, nil }

func (d *directory) Solve(context.Context, client.SolveRequest) (*client.Result, error) {
	d.count("solve")
	res := client.NewResult()
	res.SetRef(tree{d: d})
	return res, nil
}

type tree struct {
	client.Reference
	d *directory
}

func (t tree) StatFile(_ context.Context, req client.StatRequest) (*fstypes.Stat, error) {
	t.d.count("stat " + req.Path)
	return &fstypes.Stat{Path: req.Path, Mode: 0o644}, nil
}

func (t tree) ReadFile(_ context.Context, req client.ReadRequest) ([]byte, error) {
	t.d.count("read " + req.Filename)
	text, ok := t.d.files[req.Filename]
	if !ok {
		return nil, fmt.Errorf("%s: no such file", req.Filename)
	}
	return []byte(text), nil
}

// TestAhead has .dockerignore asked for twice, as the Dockerfile frontend does
// after us, and BuildKit see it once; another file is read as ever.
func TestAhead(t *testing.T) {
	d := &directory{files: map[string]string{".dockerignore": "secret\n", "other": "x"}, asked: map[string]int{}}
	a := &ahead{Client: d}
	for _, c := range []client.Client{asker{a, d.BuildOpts()}, a} {
		ui, err := dockerui.NewClient(c)
		if err != nil {
			t.Fatal(err)
		}
		have, err := ui.DockerIgnorePatterns(t.Context())
		if err != nil || len(have) != 1 || have[0] != "secret" {
			t.Errorf("%T: %q, %v", c, have, err)
		}
	}
	for what, n := range d.asked {
		if n != 1 {
			t.Errorf("%s: %d times", what, n)
		}
	}
	if d.asked["solve"] != 1 || d.asked["read .dockerignore"] != 1 {
		t.Errorf("asked for %v", d.asked)
	}
	for n := range 2 {
		res, err := a.Solve(t.Context(), client.SolveRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := res.Ref.ReadFile(t.Context(), client.ReadRequest{Filename: "other"}); err != nil || d.asked["read other"] != n+1 {
			t.Errorf("other: asked for %v, %v", d.asked, err)
		}
	}
}
