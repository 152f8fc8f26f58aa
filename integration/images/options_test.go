package images

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/megabin/megabin/integration/oracle"
)

// index is what is read of an image index.
type index struct {
	Manifests []struct {
		Digest      string
		Platform    struct{ OS, Architecture, Variant string }
		Annotations map[string]string
	}
}

func indexOf(t *testing.T, name string) (i index) {
	t.Helper()
	decode(t, must(t, tool("crane"), "manifest", env.image(name)), &i)
	return i
}

// predicateTypes are those of the attestations of an image.
func predicateTypes(t *testing.T, name string) (list []string) {
	t.Helper()
	for _, m := range indexOf(t, name).Manifests {
		if m.Annotations["vnd.docker.reference.type"] != "attestation-manifest" {
			continue
		}
		repo, _, _ := strings.Cut(name, ":")
		var attestations struct {
			Layers []struct{ Annotations map[string]string }
		}
		decode(t, must(t, tool("crane"), "manifest", env.image(repo)+"@"+m.Digest), &attestations)
		for _, l := range attestations.Layers {
			list = append(list, l.Annotations["in-toto.io/predicate-type"])
		}
	}
	return list
}

// simple is a context with one static program.
func simple(t *testing.T) string {
	return buildContext(t, "FROM scratch\nCOPY tool /tool\nENTRYPOINT [\"/tool\"]\n", map[string]string{"tool": theProgram(t)})
}

func TestAttestations(t *testing.T) {
	b := build{dir: simple(t), way: syntax, output: pushed("attest:1"), opts: []string{"attest:provenance=mode=max", "build-arg:MEGABIN_REPORT=1"}}
	b.mustRun(t)
	types := strings.Join(predicateTypes(t, "attest:1"), " ")
	for _, want := range []string{"https://slsa.dev/provenance/", "https://megabin.dev/report/v1"} {
		if !strings.Contains(types, want) {
			t.Errorf("attestations are of the types %s, none is %s", types, want)
		}
	}
	must(t, megabin(), "check", "docker://"+env.image("attest:1"))
	if out := must(t, megabin(), "run", env.image("attest:1"), "echo", "hello"); out != "hello\n" {
		t.Errorf("it says %q", out)
	}
}

// TestEpoch builds twice without any cache: with SOURCE_DATE_EPOCH the images
// are the same.
func TestEpoch(t *testing.T) {
	dir := simple(t)
	var digests []string
	for _, tag := range []string{"epoch:1", "epoch:2"} {
		b := build{dir: dir, way: syntax, output: pushed(tag) + ",rewrite-timestamp=true", opts: []string{"build-arg:SOURCE_DATE_EPOCH=1700000000"}, args: []string{"--no-cache"}}
		b.mustRun(t)
		digests = append(digests, must(t, tool("crane"), "digest", env.image(tag)))
	}
	if digests[0] != digests[1] {
		t.Errorf("the digests are %v", digests)
	}
	if created := configOf(t, "epoch:1")["created"]; created != "2023-11-14T22:13:20Z" {
		t.Errorf("created is %v", created)
	}
}

// TestPlatforms builds for two platforms: one is converted, the other stays.
func TestPlatforms(t *testing.T) {
	dir := simple(t)
	platforms := "platform=linux/amd64,linux/arm64"
	build{dir: dir, way: plain, output: pushed("platforms:plain"), opts: []string{platforms}}.mustRun(t)
	p := build{dir: dir, way: syntax, output: pushed("platforms:1"), opts: []string{platforms}}.mustRun(t)
	if !strings.Contains(p.logs, "linux/arm64 is left as it is") {
		t.Errorf("no warning in %s", p.logs)
	}
	want, have := indexOf(t, "platforms:plain"), indexOf(t, "platforms:1")
	for i := range have.Manifests {
		same := have.Manifests[i].Digest == want.Manifests[i].Digest
		if arm := have.Manifests[i].Platform.Architecture == "arm64"; same != arm {
			t.Errorf("%v: the same as not converted: %v", have.Manifests[i], same)
		}
	}
	must(t, megabin(), "check", "docker://"+env.image("platforms:1"))
	p, ok := build{dir: dir, way: syntax, opts: []string{platforms, "build-arg:MEGABIN_POLICY=strict"}}.run(t)
	if ok || !strings.Contains(p.rest, "the image for linux/arm64 can't be converted") {
		t.Errorf("the strict build works: %v: %s", ok, p.rest)
	}
}

// TestStrict has an ELF for another processor.
func TestStrict(t *testing.T) {
	dir := simple(t)
	foreign := []byte(read(t, theProgram(t)))
	foreign[18] = 183 // e_machine: EM_AARCH64
	write(t, filepath.Join(dir, "foreign"), string(foreign))
	write(t, filepath.Join(dir, "syntax.Dockerfile"), "# syntax="+env.image("megabin")+"\nFROM scratch\nCOPY tool foreign /\n")
	p := build{dir: dir, way: syntax}.mustRun(t)
	if !strings.Contains(p.logs, "can't run: /foreign") {
		t.Errorf("no word of it in %s", p.logs)
	}
	p, ok := build{dir: dir, way: syntax, opts: []string{"build-arg:MEGABIN_POLICY=strict"}}.run(t)
	if ok || !strings.Contains(p.logs, "/foreign can't be recompiled") {
		t.Errorf("the strict build works: %v: %s", ok, p.logs)
	}
	p, ok = build{dir: dir, way: syntax, opts: []string{"build-arg:MEGABIN_POLICY=loose"}}.run(t)
	if ok || !strings.Contains(p.rest, "MEGABIN_POLICY=loose") {
		t.Errorf("a wrong policy works: %v: %s", ok, p.rest)
	}
}

// TestStartedNatively runs a converted image as an ordinary runtime would, and
// builds upon it.
func TestStartedNatively(t *testing.T) {
	const message = "megabin run IMAGE"
	dir := simple(t)
	build{dir: dir, way: syntax, output: pushed("native:converted")}.mustRun(t)
	rootfs := filepath.Join(t.TempDir(), "rootfs")
	build{dir: dir, way: syntax, output: "type=local,dest=" + rootfs}.mustRun(t)
	cmd, err := oracle.Command(t.Context(), oracle.Spec{Rootfs: rootfs, Dir: "/", Args: []string{"/tool", "echo", "hello"}})
	if err != nil {
		t.Fatal(err)
	}
	if o := capture(t, cmd); o.status != 126 || !strings.Contains(o.stderr, message) || o.stdout != "" {
		t.Errorf("natively it gives %+v", o)
	}
	upon := buildContext(t, "FROM "+env.image("native:converted")+"\nRUN [\"/tool\", \"echo\", \"hello\"]\n", nil)
	if p, ok := (build{dir: upon, way: plain}).run(t); ok || !strings.Contains(p.logs, message) || !strings.Contains(p.rest, "exit code: 126") {
		t.Errorf("RUN in it works: %v: %s %s", ok, p.logs, p.rest)
	}
	again := buildContext(t, "FROM "+env.image("native:converted")+"\n", nil)
	if p, ok := (build{dir: again, way: syntax}).run(t); ok || !strings.Contains(p.logs, "already converted") {
		t.Errorf("converting it again works: %v: %s %s", ok, p.logs, p.rest)
	}
}

// TestManyLayers has a base of several layers, some of them without ELFs.
func TestManyLayers(t *testing.T) {
	base := buildContext(t, "FROM scratch\nCOPY text /1\nCOPY tool /tool\nCOPY text /2\nRUN [\"/tool\",\"rm\",\"/1\"]\n",
		map[string]string{"tool": theProgram(t), "text": "testdata/tool.c"})
	build{dir: base, way: plain, output: pushed("base:1")}.mustRun(t)
	dir := buildContext(t, "FROM "+env.image("base:1")+"\nCOPY text /3\nENTRYPOINT [\"/tool\"]\n", map[string]string{"text": "testdata/tool.c"})
	build{dir: dir, way: syntax, output: pushed("many:1")}.mustRun(t)
	want, have := manifestOf(t, "base:1").Layers, manifestOf(t, "many:1").Layers
	if len(have) != len(want)+2 {
		t.Fatalf("%d layers upon a base of %d", len(have), len(want))
	}
	for i := range want {
		if same := want[i].Digest == have[i].Digest; same != (i != 1) {
			t.Errorf("layer %d is the base's: %v", i, same)
		}
	}
	if out := capture(t, exec.Command(megabin(), "run", env.image("many:1"), "cat", "/1")); out.status != 1 {
		t.Errorf("the removed file: %+v", out)
	}
}
