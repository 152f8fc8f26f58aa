package frontend

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	"google.golang.org/protobuf/proto"
)

// output is a file system that an operation of a graph gives; the zero output
// is the empty one.
type output struct {
	op    digest.Digest
	index int64
}

// step is a layer: what makes upper of lower.
type step struct {
	lower, upper output
	name         string
}

// graph is the operations that made a result.
type graph struct {
	configs *configs
	def     *pb.Definition // without the last operation, which only names the result
	ops     map[digest.Digest]*pb.Op
	result  output
}

// newGraph reads a definition; an empty one is of the empty file system.
func newGraph(c *configs, def *pb.Definition) (*graph, error) {
	g := &graph{configs: c, def: def.CloneVT(), ops: map[digest.Digest]*pb.Op{}}
	if len(def.Def) == 0 {
		return g, nil
	}
	var last *pb.Op
	for _, raw := range def.Def {
		last = &pb.Op{}
		if err := proto.Unmarshal(raw, last); err != nil {
			return nil, fmt.Errorf("reading an operation of the build: %w", err)
		}
		g.ops[digest.FromBytes(raw)] = last
	}
	if len(last.Inputs) != 1 {
		return nil, fmt.Errorf("the build's last operation has %d inputs", len(last.Inputs))
	}
	g.result = outputOf(last.Inputs[0])
	g.def.Def = g.def.Def[:len(g.def.Def)-1]
	return g, nil
}

func outputOf(in *pb.Input) output { return output{digest.Digest(in.Digest), in.Index} }

// states are outputs as states that further operations can use. They are read
// at once, as inputs of one more operation, which is in no result itself: what
// is marshaled then has each operation once, not once for each state upon it.
func (g *graph) states(list []output) (map[output]llb.State, error) {
	states := map[output]llb.State{{}: llb.Scratch()}
	all := &pb.Op{}
	for _, o := range list {
		if o != (output{}) {
			all.Inputs = append(all.Inputs, &pb.Input{Digest: string(o.op), Index: o.index})
		}
	}
	raw, err := proto.Marshal(all)
	if err != nil {
		return nil, err
	}
	last, err := proto.Marshal(&pb.Op{Inputs: []*pb.Input{{Digest: string(digest.FromBytes(raw))}}})
	if err != nil {
		return nil, err
	}
	op, err := llb.NewDefinitionOp(&pb.Definition{Def: append(slices.Clone(g.def.Def), raw, last), Metadata: g.def.Metadata, Source: g.def.Source})
	if err != nil {
		return nil, err
	}
	for i, in := range op.Inputs() {
		states[outputOf(all.Inputs[i])] = llb.NewState(in)
	}
	return states, nil
}

// steps lists the layers of an output, the lowest first. Each operation that
// a Dockerfile makes gives one layer over its input; a base image has as many
// as its config says.
func (g *graph) steps(ctx context.Context, o output) ([]step, error) {
	if o == (output{}) {
		return nil, nil
	}
	op := g.ops[o.op]
	if op == nil {
		return nil, fmt.Errorf("operation %s of the build is missing", o.op)
	}
	switch x := op.Op.(type) {
	case *pb.Op_Source:
		return g.source(ctx, o, op, x.Source)
	case *pb.Op_Exec:
		return g.over(ctx, o, inputAt(op, execInput(x.Exec, o.index)))
	case *pb.Op_File:
		return g.over(ctx, o, inputAt(op, fileInput(x.File, len(op.Inputs), o.index)))
	case *pb.Op_Merge:
		return g.merged(ctx, op)
	case *pb.Op_Diff:
		return g.difference(ctx, o, inputAt(op, x.Diff.Lower.GetInput()), inputAt(op, x.Diff.Upper.GetInput()))
	}
	return []step{{upper: o, name: g.name(o)}}, nil
}

// name is what the build's progress calls an operation.
func (g *graph) name(o output) string {
	if name := g.def.Metadata[string(o.op)].GetDescription()["llb.customname"]; name != "" {
		return name
	}
	if s := g.ops[o.op].GetSource(); s != nil {
		return s.Identifier
	}
	return o.op.String()
}

// over is the layers of an operation that adds one.
func (g *graph) over(ctx context.Context, o, lower output) ([]step, error) {
	list, err := g.steps(ctx, lower)
	return append(list, step{lower, o, g.name(o)}), err
}

func (g *graph) merged(ctx context.Context, op *pb.Op) (list []step, err error) {
	for _, in := range op.Inputs {
		more, err := g.steps(ctx, outputOf(in))
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return list, nil
}

// difference is the layers that upper has more than lower, if its first ones
// are lower's, as BuildKit takes it too.
func (g *graph) difference(ctx context.Context, o, lower, upper output) ([]step, error) {
	below, err := g.steps(ctx, lower)
	if err != nil {
		return nil, err
	}
	all, err := g.steps(ctx, upper)
	if err != nil {
		return nil, err
	}
	if len(all) >= len(below) && slices.Equal(all[:len(below)], below) {
		return all[len(below):], nil
	}
	return []step{{lower, upper, g.name(o)}}, nil
}

// inputAt is an operation's input; an index below 0 is the empty one.
func inputAt(op *pb.Op, i int64) output {
	if i < 0 || i >= int64(len(op.Inputs)) {
		return output{}
	}
	return outputOf(op.Inputs[i])
}

// execInput is the index of the input below an output of an exec.
func execInput(e *pb.ExecOp, index int64) int64 {
	for _, m := range e.Mounts {
		if m.Output == index {
			return m.Input
		}
	}
	return int64(pb.Empty)
}

// fileInput is the same of file actions, which work one upon the other:
// inputs from the operation's number on are results of actions.
func fileInput(f *pb.FileOp, inputs int, index int64) int64 {
	for _, a := range f.Actions {
		if a.Output == index {
			in := a.Input
			for in >= int64(inputs) && in-int64(inputs) < int64(len(f.Actions)) {
				in = f.Actions[in-int64(inputs)].Input
			}
			return in
		}
	}
	return int64(pb.Empty)
}

// imageSources are the kinds of sources that have layers, and the attribute
// that asks for the first ones only.
var imageSources = []struct {
	scheme, limit string
	capability    string
}{
	{"docker-image://", pb.AttrImageLayerLimit, string(pb.CapSourceImageLayerLimit)},
	{"oci-layout://", pb.AttrOCILayoutLayerLimit, ""},
}

// source is the layers of an image that the build starts from; any other
// source is one layer.
func (g *graph) source(ctx context.Context, o output, op *pb.Op, src *pb.SourceOp) ([]step, error) {
	for _, s := range imageSources {
		if !strings.HasPrefix(src.Identifier, s.scheme) || src.Attrs[s.limit] != "" {
			continue
		}
		config, err := g.configs.of(ctx, op, src)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", src.Identifier, err)
		}
		n := len(config.RootFS.DiffIDs)
		var list []step
		lower := output{}
		for i := 1; i <= n; i++ {
			upper := o
			if i < n {
				if upper, err = g.limited(o, op, s.limit, s.capability, i); err != nil {
					return nil, err
				}
			}
			list = append(list, step{lower, upper, fmt.Sprintf("%s, layer %d of %d", strings.TrimPrefix(src.Identifier, s.scheme), i, n)})
			lower = upper
		}
		return list, nil
	}
	return []step{{upper: o, name: g.name(o)}}, nil
}

// limited adds to the graph the image of another source's first n layers.
func (g *graph) limited(o output, op *pb.Op, limit, capability string, n int) (output, error) {
	op = op.CloneVT()
	src := op.GetSource()
	if src.Attrs == nil {
		src.Attrs = map[string]string{}
	}
	src.Attrs[limit] = strconv.Itoa(n)
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(op)
	if err != nil {
		return output{}, err
	}
	sum := digest.FromBytes(raw)
	if g.ops[sum] == nil {
		meta := g.def.Metadata[string(o.op)].CloneVT()
		if meta == nil {
			meta = &pb.OpMetadata{}
		}
		if capability != "" {
			if meta.Caps == nil {
				meta.Caps = map[string]bool{}
			}
			meta.Caps[capability] = true
		}
		if meta.Description == nil {
			meta.Description = map[string]string{}
		}
		meta.Description["llb.customname"] = fmt.Sprintf("[megabin] first %d layers of %s", n, g.name(o))
		g.ops[sum] = op
		g.def.Def = append(g.def.Def, raw)
		g.def.Metadata[string(sum)] = meta
	}
	return output{sum, o.index}, nil
}
