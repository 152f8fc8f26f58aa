package images

import (
	"slices"
	"testing"
	"time"
)

// BenchmarkCachedBuild builds what is in BuildKit's cache, in turn with
// BuildKit's own frontend and with ours; overhead-ms is the difference of
// the medians.
func BenchmarkCachedBuild(b *testing.B) {
	dir := buildContext(b, "FROM scratch\nCOPY tool /tool\nCOPY text /text\nENTRYPOINT [\"/tool\"]\n",
		map[string]string{"tool": theProgram(b), "text": "testdata/tool.c"})
	ways := []string{plain, syntax}
	for _, way := range ways {
		build{dir: dir, way: way}.mustRun(b)
	}
	times := map[string][]time.Duration{}
	for b.Loop() {
		for _, way := range ways {
			began := time.Now()
			build{dir: dir, way: way}.mustRun(b)
			times[way] = append(times[way], time.Since(began))
		}
	}
	ms := func(way string) float64 { return median(times[way]).Seconds() * 1000 }
	b.ReportMetric(ms(plain), "plain-ms")
	b.ReportMetric(ms(syntax), "frontend-ms")
	b.ReportMetric(ms(syntax)-ms(plain), "overhead-ms")
}

func median(list []time.Duration) time.Duration {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}
