package frontend

import (
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/apicaps"
)

// older is a BuildKit that can do only some things.
type older struct {
	client.Client
	caps []apicaps.CapID
}

func (o older) BuildOpts() client.BuildOpts {
	var list []*apicaps.PBCap
	for _, id := range o.caps {
		list = append(list, &apicaps.PBCap{ID: string(id), Enabled: true})
	}
	return client.BuildOpts{LLBCaps: pb.Caps.CapSet(list)}
}

// TestOlderBuildKit has ones that lack what the frontend needs, and says so.
func TestOlderBuildKit(t *testing.T) {
	for _, tt := range []struct {
		caps []apicaps.CapID
		want string
	}{
		{nil, "can't convert layer by layer"},
		{[]apicaps.CapID{pb.CapMergeOp}, "can't convert layer by layer"},
		{[]apicaps.CapID{pb.CapMergeOp, pb.CapDiffOp, pb.CapFileBase}, "container"},
	} {
		c := older{caps: tt.caps}
		if _, err := newBuilder(c, &configs{Client: c}, settings{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("with %v: %v, want %q", tt.caps, err, tt.want)
		}
	}
}

func TestSettings(t *testing.T) {
	for _, tt := range []struct {
		opts map[string]string
		want settings
		err  string
	}{
		{nil, settings{}, ""},
		{map[string]string{"build-arg:MEGABIN_KEEP_NATIVE": "1", "build-arg:MEGABIN_REPORT": "true", "build-arg:MEGABIN_POLICY": "strict"}, settings{true, true, true}, ""},
		{map[string]string{"build-arg:MEGABIN_POLICY": "permissive"}, settings{}, ""},
		{map[string]string{"build-arg:MEGABIN_POLICY": "lax"}, settings{}, "MEGABIN_POLICY=lax"},
		{map[string]string{"build-arg:MEGABIN_KEEP_NATIVE": "maybe"}, settings{}, "MEGABIN_KEEP_NATIVE=maybe"},
	} {
		have, err := readSettings(tt.opts)
		if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) || err == nil && have != tt.want {
			t.Errorf("%v: %+v, %v", tt.opts, have, err)
		}
	}
}
