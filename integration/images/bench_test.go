package images

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/megabin/megabin/integration/frontendimage"
	"github.com/megabin/megabin/layers/image"
)

// upstream is a way too: BuildKit's own Dockerfile frontend out of an image.
// What it takes longer than plain is what BuildKit needs to start any
// frontend.
const upstream = "upstream"

// BenchmarkCachedBuild builds what is in BuildKit's cache, in turn in each
// way; overhead-ms is how much longer ours takes than plain, start-ms how much
// longer upstream does; all are of the medians, and with least of the least.
func BenchmarkCachedBuild(b *testing.B) {
	pushUpstream(b)
	files := map[string]string{"tool": theProgram(b), "text": "testdata/tool.c"}
	base := buildContext(b, "FROM scratch\nCOPY text /1\nCOPY tool /bin/tool\nCOPY text /2\n", files)
	build{dir: base, way: plain, output: pushed("bench:base")}.mustRun(b)
	for name, from := range map[string]string{"scratch": "scratch", "image": env.image("bench:base")} {
		b.Run(name, func(b *testing.B) {
			cachedBuild(b, buildContext(b, "FROM "+from+"\nCOPY tool /tool\nCOPY text /text\nENTRYPOINT [\"/tool\"]\n", files))
		})
	}
}

func pushUpstream(b *testing.B) {
	b.Helper()
	img, err := frontendimage.New(tool("dockerfile-frontend"))
	if err != nil {
		b.Fatal(err)
	}
	ref, err := image.Parse("docker://" + env.image(upstream))
	if err != nil {
		b.Fatal(err)
	}
	if err := ref.Write(b.Context(), img, nil); err != nil {
		b.Fatal(err)
	}
}

func cachedBuild(b *testing.B, dir string) {
	text := read(b, filepath.Join(dir, "syntax.Dockerfile"))
	write(b, filepath.Join(dir, "upstream.Dockerfile"), strings.Replace(text, env.image("megabin"), env.image(upstream), 1))
	ways := []string{plain, upstream, syntax}
	build := map[string]build{
		plain: {dir: dir, way: plain}, syntax: {dir: dir, way: syntax},
		upstream: {dir: dir, way: plain, opts: []string{"filename=upstream.Dockerfile"}},
	}
	for _, way := range ways {
		build[way].mustRun(b)
	}
	times := map[string][]time.Duration{}
	for b.Loop() {
		for _, way := range ways {
			began := time.Now()
			build[way].mustRun(b)
			times[way] = append(times[way], time.Since(began))
		}
	}
	report(b, "", times, median)
	report(b, "least-", times, slices.Min)
}

// report tells what pick says of the times of each way.
func report(b *testing.B, prefix string, times map[string][]time.Duration, pick func([]time.Duration) time.Duration) {
	ms := func(way string) float64 { return pick(times[way]).Seconds() * 1000 }
	b.ReportMetric(ms(plain), prefix+"plain-ms")
	b.ReportMetric(ms(upstream)-ms(plain), prefix+"start-ms")
	b.ReportMetric(ms(syntax)-ms(plain), prefix+"overhead-ms")
}

func median(list []time.Duration) time.Duration {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}
