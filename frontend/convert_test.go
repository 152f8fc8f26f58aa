package frontend

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	"google.golang.org/protobuf/proto"
)

// baseName is an image of three layers.
var baseName = "example.com/base@" + digest.FromString("base").String()

// baseClient is a BuildKit that has it.
type baseClient struct{ client.Client }

func (baseClient) ResolveSourceMetadata(context.Context, *pb.SourceOp, sourceresolver.Opt) (*sourceresolver.MetaResponse, error) {
	config := []byte(`{"rootfs": {"diff_ids": ["1", "2", "3"]}}`)
	return &sourceresolver.MetaResponse{Image: &sourceresolver.ResolveImageResponse{Config: config}}, nil
}

// buildResult is what BuildKit has for a state.
type buildResult struct {
	client.Reference
	state llb.State
}

func (r buildResult) ToState() (llb.State, error) { return r.state, nil }

func layersOf(t testing.TB, state llb.State) (*builder, []*layer) {
	t.Helper()
	b := &builder{client: &configs{Client: baseClient{}}, self: llb.Image("example.com/megabin")}
	layers, err := b.layers(t.Context(), buildResult{state: state})
	if err != nil {
		t.Fatal(err)
	}
	return b, layers
}

func copied(to llb.State, name string, opts ...llb.ConstraintsOpt) llb.State {
	return to.File(llb.Copy(llb.Local("context"), name, "/"), append(opts, llb.WithCustomName(name))...)
}

// text is a state as a formula of operations, which must be marshaled once each.
func text(t testing.TB, st llb.State) string {
	t.Helper()
	def, err := st.Marshal(t.Context(), llb.Platform(platform))
	if err != nil {
		t.Fatal(err)
	}
	ops := map[string]*pb.Op{}
	last := &pb.Op{}
	for _, raw := range def.Def {
		sum := digest.FromBytes(raw).String()
		if ops[sum] != nil {
			t.Errorf("%s is there twice", sum)
		}
		last = &pb.Op{}
		if err := proto.Unmarshal(raw, last); err != nil {
			t.Fatal(err)
		}
		ops[sum] = last
	}
	var write func(in *pb.Input) string
	write = func(in *pb.Input) string {
		op := ops[in.Digest]
		var inputs []string
		for _, in := range op.Inputs {
			inputs = append(inputs, write(in))
		}
		switch name := def.Metadata[digest.Digest(in.Digest)].Description["llb.customname"]; {
		case op.GetMerge() != nil:
			return strings.Join(inputs, " + ")
		case op.GetDiff() != nil:
			return fmt.Sprintf("(%s - %s)", inputs[1], inputs[0])
		case op.GetSource().GetAttrs()[pb.AttrImageLayerLimit] != "":
			return "base:" + op.GetSource().Attrs[pb.AttrImageLayerLimit]
		case name == "":
			return "base"
		default:
			name = strings.NewReplacer("[megabin] ", "", baseName+", layer ", "", " of 3", "").Replace(name)
			return strings.ReplaceAll(name, "recompile ", "new ")
		}
	}
	return write(last.Inputs[0])
}

// TestStack has results of which some layers are changed by conversion: what
// is taken is those and no others, in as few states as can be.
func TestStack(t *testing.T) {
	base := llb.Image(baseName, llb.Platform(platform))
	linked := llb.Merge([]llb.State{copied(base, "tool"), copied(llb.Scratch(), "text")})
	for _, tt := range []struct {
		state   llb.State
		changed string // C: the layer is; from the lowest on
		want    string
	}{
		{copied(llb.Scratch(), "tool"), "-", "tool"},
		{copied(llb.Scratch(), "tool"), "C", "new tool"},
		{copied(copied(llb.Scratch(), "tool"), "text"), "C-", "new tool + (text - tool)"},
		{copied(copied(llb.Scratch(), "text"), "tool"), "-C", "new tool"},
		{base, "---", "base"},
		{base, "--C", "new 3"},
		{copied(copied(base, "tool"), "text"), "-----", "text"},
		{copied(copied(base, "tool"), "text"), "-C-C-", "new 2 + (new tool - base:2) + (text - tool)"},
		{copied(copied(base, "tool"), "text"), "C---C", "new 1 + (new text - base:1)"},
		{copied(copied(base, "tool"), "text"), "CCCCC", "new 1 + (new 2 - base:1) + (new 3 - base:2) + (new tool - base) + (new text - tool)"},
		{linked, "-----", "tool + text"},
		{linked, "CC-C-", "new 1 + (new 2 - base:1) + (new tool - base:2) + text"},
	} {
		b, layers := layersOf(t, tt.state)
		if len(layers) != len(tt.changed) {
			t.Fatalf("%d layers, want %d", len(layers), len(tt.changed))
		}
		for i, l := range layers {
			l.changed = tt.changed[i] == 'C'
		}
		pack, _ := b.pack(layers)
		if have := text(t, stack(layers, pack)); have != tt.want+" + pack the megabinary" {
			t.Errorf("%s: %s, want %s", tt.changed, have, tt.want)
		}
	}
}

// TestOneOperationForEachLayer wants what packing needs to be one operation
// for each layer, from that layer and what is below it.
func TestOneOperationForEachLayer(t *testing.T) {
	b, layers := layersOf(t, copied(copied(llb.Image(baseName, llb.Platform(platform)), "tool"), "text"))
	_, meta := b.pack(layers)
	def, err := meta.Marshal(t.Context(), llb.Platform(platform))
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]int{}
	for sum, meta := range def.Metadata {
		if name, ours := strings.CutPrefix(meta.Description["llb.customname"], "[megabin] recompile "); ours {
			i := slices.IndexFunc(def.Def, func(raw []byte) bool { return digest.FromBytes(raw) == sum })
			var op pb.Op
			if err := proto.Unmarshal(def.Def[i], &op); err != nil {
				t.Fatal(err)
			}
			have[name] = len(op.Inputs)
		}
	}
	want := map[string]int{ // itself, the layer, what is below
		baseName + ", layer 1 of 3": 2, baseName + ", layer 2 of 3": 3, baseName + ", layer 3 of 3": 3, "tool": 3, "text": 3,
	}
	if !maps.Equal(have, want) {
		t.Errorf("inputs of the operations: %v, want %v", have, want)
	}
}

// BenchmarkLayers is what the frontend itself does for an image of many layers.
func BenchmarkLayers(b *testing.B) {
	state := llb.Image(baseName, llb.Platform(platform))
	for i := range 30 {
		state = copied(state, fmt.Sprint("file", i))
	}
	for b.Loop() {
		builder, layers := layersOf(b, state)
		pack, _ := builder.pack(layers)
		if _, err := stack(layers, pack).Marshal(b.Context(), llb.Platform(platform)); err != nil {
			b.Fatal(err)
		}
	}
}
