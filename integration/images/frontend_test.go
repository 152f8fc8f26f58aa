package images

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/megabin/megabin/integration/oracle"
)

// layersDockerfile has layers with and without ELFs, a removed and a moved
// one, a hardlink, a changed mode, a linked layer, and a config with much in it.
const layersDockerfile = `FROM scratch AS base
COPY tool /bin/tool
COPY text /etc/text
FROM base
COPY --chmod=755 <<EOF /etc/here
a here document
EOF
RUN ["/bin/tool", "write", "/etc/ran", "this ran"]
RUN ["/bin/tool", "rm", "/etc/text"]
RUN ["/bin/tool", "link", "/bin/tool", "/bin/linked"]
COPY tool /opt/one
RUN ["/bin/tool", "mv", "/opt/one", "/opt/two"]
RUN ["/bin/tool", "chmod", "/opt/two"]
COPY --link text /linked/text
WORKDIR /srv
ENV A=b
USER 7:8
VOLUME /data
EXPOSE 80
LABEL l=m
STOPSIGNAL SIGINT
HEALTHCHECK CMD ["/bin/tool", "echo", "healthy"]
ONBUILD COPY x /x
ENTRYPOINT ["/bin/tool"]
CMD ["cat", "/etc/ran"]
`

// built is layersDockerfile, built plainly and converted.
func built(t *testing.T) (dir string) {
	t.Helper()
	dir = buildContext(t, layersDockerfile, map[string]string{"tool": theProgram(t), "text": "testdata/tool.c"})
	build{dir: dir, way: plain, output: pushed("layers:plain")}.mustRun(t)
	build{dir: dir, way: syntax, output: pushed("layers:converted")}.mustRun(t)
	return dir
}

func TestFrontend(t *testing.T) {
	dir := built(t)
	t.Run("config", sameConfig)
	t.Run("layers", sameLayers)
	t.Run("tools", func(t *testing.T) { sameFiles(t, "layers:plain", "layers:converted") })
	t.Run("runs", func(t *testing.T) { sameBehaviour(t, dir) })
	t.Run("gateway", func(t *testing.T) { sameByGateway(t, dir) })
}

// sameConfig checks that the config is the plain image's but for one layer
// more, and what says when it was made.
func sameConfig(t *testing.T) {
	want, have := configOf(t, "layers:plain"), configOf(t, "layers:converted")
	wantHistory, haveHistory := want["history"].([]any), have["history"].([]any)
	if len(haveHistory) != len(wantHistory)+1 {
		t.Fatalf("%d entries of history, the plain image has %d", len(haveHistory), len(wantHistory))
	}
	for i := range wantHistory {
		w, h := wantHistory[i].(map[string]any), haveHistory[i].(map[string]any)
		if w["created_by"] != h["created_by"] || w["empty_layer"] != h["empty_layer"] {
			t.Errorf("entry %d of the history is %v, want %v", i, h, w)
		}
	}
	layers := 0
	for _, h := range haveHistory {
		if h.(map[string]any)["empty_layer"] != true {
			layers++
		}
	}
	if n := len(manifestOf(t, "layers:converted").Layers); n != layers {
		t.Errorf("%d layers, %d in the history", n, layers)
	}
	for _, key := range []string{"history", "rootfs", "created"} {
		delete(want, key)
		delete(have, key)
	}
	if !reflect.DeepEqual(want, have) {
		t.Errorf("config is\n%v\nthe plain image's is\n%v", have, want)
	}
}

// sameLayers checks that layers without ELFs are the plain image's, and that
// the others are not: they have no native code.
func sameLayers(t *testing.T) {
	want, have := manifestOf(t, "layers:plain").Layers, manifestOf(t, "layers:converted").Layers
	if len(have) != len(want)+1 {
		t.Fatalf("%d layers, the plain image has %d", len(have), len(want))
	}
	var kept []bool
	for i := range want {
		kept = append(kept, want[i].Digest == have[i].Digest)
	}
	// tool, text, here, ran, rm, link, one, mv, chmod, --link, workdir
	if expect := []bool{false, true, true, true, true, false, false, false, false, true, true}; !slices.Equal(kept, expect) {
		t.Errorf("layers kept: %v, want %v", kept, expect)
	}
}

// exported lists the files of an image: mode, owner, size, time, name. Names
// are without the "./" that some tools write.
func exported(t *testing.T, name string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "fs.tar")
	must(t, tool("crane"), "export", "--platform", "linux/amd64", env.image(name), file)
	list := strings.ReplaceAll(must(t, "tar", "--numeric-owner", "--full-time", "-tvf", file), " ./", " ")
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(list), "\n"), func(line string) bool { return strings.HasSuffix(line, " .") })
	slices.Sort(lines)
	return lines
}

// sameBehaviour runs commands of the plain image natively and of the
// converted one.
func sameBehaviour(t *testing.T, dir string) {
	rootfs := filepath.Join(t.TempDir(), "rootfs")
	build{dir: dir, way: plain, output: "type=local,dest=" + rootfs}.mustRun(t)
	for _, args := range [][]string{
		{"/bin/tool", "cat", "/etc/ran"}, {"/bin/linked", "cat", "/etc/here"}, {"/opt/two", "echo", "hello"},
		{"/bin/tool", "cat", "/etc/text"}, {"/bin/tool", "cat", "/linked/text"}, {"/bin/tool", "nonsense"},
	} {
		cmd, err := oracle.Command(t.Context(), oracle.Spec{Rootfs: rootfs, Dir: "/", Args: args})
		if err != nil {
			t.Fatal(err)
		}
		want := capture(t, cmd)
		run := append([]string{"run", "-u", "0", "-w", "/", "--entrypoint", args[0], env.image("layers:converted")}, args[1:]...)
		if have := capture(t, exec.Command(megabin(), run...)); have != want {
			t.Errorf("%q gives %+v, natively %+v", args, have, want)
		}
	}
}

// sameByGateway checks that gateway.v0 gives the image that the syntax line
// gives, here as a file.
func sameByGateway(t *testing.T, dir string) {
	file := filepath.Join(t.TempDir(), "o.tar")
	build{dir: dir, way: gateway, output: "type=oci,dest=" + file}.mustRun(t)
	must(t, megabin(), "check", "oci-archive:"+file)
	have := must(t, "skopeo", "inspect", "--raw", "oci-archive:"+file)
	want := must(t, tool("crane"), "manifest", env.image("layers:converted"))
	if strings.TrimSpace(have) != strings.TrimSpace(want) {
		t.Errorf("the manifest is\n%s\nby the syntax line\n%s", have, want)
	}
}

// TestOneLayerChanges builds again with another text: only the layer with it
// is looked at again, and the megabinary stays.
func TestOneLayerChanges(t *testing.T) {
	dir := buildContext(t, "FROM scratch\nCOPY tool /tool\nCOPY text /text\nENTRYPOINT [\"/tool\"]\n",
		map[string]string{"tool": theProgram(t), "text": "testdata/tool.c"})
	b := build{dir: dir, way: syntax, output: pushed("change:1")}
	b.mustRun(t)
	write(t, filepath.Join(dir, "text"), "another text")
	p := b.mustRun(t)
	for name, cached := range map[string]bool{
		"[megabin] recompile [1/2] COPY tool /tool": true,
		"[megabin] recompile [2/2] COPY text /text": false,
		"[megabin] pack the megabinary":             true,
	} {
		if v, ok := p.vertexes[name]; !ok || v.Cached != cached {
			t.Errorf("%s: cached %v, want %v", name, v.Cached, cached)
		}
	}
	if out := must(t, megabin(), "run", env.image("change:1"), "cat", "/text"); out != "another text" {
		t.Errorf("the image's text is %q", out)
	}
}

// TestUnitsKept builds a program into one image and then into another: the
// cache mount has its unit.
func TestUnitsKept(t *testing.T) {
	for i, want := range []string{" 0 from the cache", " 1 from the cache"} {
		dir := buildContext(t, fmt.Sprintf("FROM scratch\nCOPY tool /tool%d\n", i), nil)
		// Other bytes than those of all other tests.
		write(t, filepath.Join(dir, "tool"), read(t, theProgram(t))+"kept")
		if p := (build{dir: dir, way: syntax}).mustRun(t); !strings.Contains(p.logs, "1 ELF files") || !strings.Contains(p.logs, want) {
			t.Errorf("build %d says %s, want%s", i, p.logs, want)
		}
	}
}

// TestKeepNative checks that the image also is the plain one.
func TestKeepNative(t *testing.T) {
	dir := buildContext(t, "FROM scratch\nCOPY tool /tool\nENTRYPOINT [\"/tool\"]\n", map[string]string{"tool": theProgram(t)})
	build{dir: dir, way: plain, output: pushed("native:plain")}.mustRun(t)
	build{dir: dir, way: syntax, output: pushed("native:both"), opts: []string{"build-arg:MEGABIN_KEEP_NATIVE=true"}}.mustRun(t)
	want, have := manifestOf(t, "native:plain").Layers, manifestOf(t, "native:both").Layers
	if len(have) != len(want)+1 || have[0].Digest != want[0].Digest {
		t.Errorf("layers %v, the plain image has %v", have, want)
	}
	if out := must(t, megabin(), "run", env.image("native:both"), "echo", "hello"); out != "hello\n" {
		t.Errorf("it says %q", out)
	}
}
