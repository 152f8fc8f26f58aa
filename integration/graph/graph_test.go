// Package graph states what the packages of the module may import of each
// other and of others, and checks it.
package graph

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// importGraph says what each package of the module may import of the module.
// A line names a package (DIR, or DIR/... for a tree) and what it may use
// besides its own tree. Lines only refer to lines above them, so imports only
// go down. Tests are free to import what they like.
const importGraph = `
layers/abi:
layers/blob:
layers/wasmenc: layers/abi
layers/unit/...: layers/abi layers/blob layers/wasmenc
layers/pack: layers/abi layers/blob layers/wasmenc layers/unit/...
layers/manifest: layers/abi layers/blob layers/unit/... layers/pack
layers/tarfs: layers/blob layers/wasmenc
layers/treediff:
layers/carrier: layers/unit/... layers/tarfs
layers/image/...: layers/blob layers/carrier layers/wasmenc layers/manifest layers/pack layers/tarfs
layers:

converter/x86:
converter/elf:
converter/disasm: converter/x86 converter/elf
converter/ir: layers/abi
converter/lift: converter/ir converter/x86 converter/disasm layers/abi
converter/opt: converter/ir layers/abi
converter/wasm: converter/ir layers/abi layers/wasmenc layers/unit/...
converter/translate: converter/x86 converter/elf converter/disasm converter/ir converter/lift converter/opt converter/wasm layers/abi layers/blob layers/unit/...
converter: converter/elf converter/translate layers layers/abi layers/blob layers/unit/... layers/wasmenc layers/pack layers/manifest layers/tarfs layers/treediff layers/carrier layers/image/...

runtime/machine/...: layers/abi layers/unit/... layers/wasmenc
runtime/vkernel/...: runtime/machine/... layers/abi layers/blob layers/manifest layers/tarfs
runtime/runner: runtime/machine/... runtime/vkernel/... layers/abi layers/blob layers/unit/... layers/pack layers/manifest layers/tarfs layers/image/...

frontend: converter layers/image/...

cmd/hugeheap:
cmd/cli: cmd/hugeheap converter converter/translate runtime/machine/... runtime/vkernel/... runtime/runner layers/abi layers/blob layers/unit/... layers/pack layers/manifest layers/tarfs layers/image/...
cmd/megabin: cmd/cli
cmd/megabin-frontend: cmd/cli frontend converter converter/translate

integration/debian:
integration/coverage: integration/debian converter/elf converter/disasm converter/lift
integration/difftest: converter/x86
integration/oracle:
integration/container: layers/image/... layers/tarfs runtime/runner runtime/vkernel/...
integration/bench: integration/container integration/debian integration/oracle converter/translate layers/unit/... runtime/runner
integration/...: layers/image/...
`

// onlyIn names packages from outside that one place alone may import.
var onlyIn = map[string][]string{
	"debug/elf":                              {"converter/elf"},
	"golang.org/x/arch":                      {"converter/x86", "converter/disasm", "converter/lift", "integration/difftest"}, // names of opcodes
	"github.com/tetratelabs/wazero":          {"runtime/machine", "integration/bench"},
	"github.com/moby/buildkit":               {"frontend"},
	"github.com/spf13/cobra":                 {"cmd/cli", "cmd/megabin-frontend"},
	"github.com/schollz/progressbar":         {"cmd/cli"},
	"github.com/secure-systems-lab":          {"layers/image"},
	"github.com/pelletier/go-toml":           {"layers/image"},
	"github.com/google/go-containerregistry": {"layers/image", "layers/image/imagetest", "converter", "cmd/cli", "integration/debian", "integration/frontendimage"},
}

// topLevel is what the repository's root may hold besides dot files.
var topLevel = []string{
	"frontend", "converter", "layers", "runtime", "cmd", "examples", "integration", "docs",
	"go.mod", "go.sum", "Dockerfile", "Makefile", "README.md", "LICENSE", "CONTRIBUTING.md",
	"bin", "out",
}

const (
	module = "github.com/megabin/megabin"
	root   = "../.." // of the repository
)

// rule is a line of importGraph.
type rule struct {
	pkg  string // as written, with /... for a tree
	uses []string
}

// covers tells whether a pattern of the graph includes a package.
func covers(pattern, pkg string) bool {
	tree, isTree := strings.CutSuffix(pattern, "/...")
	return pkg == tree || isTree && strings.HasPrefix(pkg, tree+"/")
}

func (r rule) allows(pkg string) bool {
	return covers(r.pkg, pkg) || slices.ContainsFunc(r.uses, func(p string) bool { return covers(p, pkg) })
}

func parseGraph(t *testing.T) []rule {
	var rules []rule
	for line := range strings.Lines(importGraph) {
		name, uses, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		r := rule{pkg: name, uses: strings.Fields(uses)}
		for _, u := range r.uses {
			if !slices.ContainsFunc(rules, func(above rule) bool { return above.pkg == u }) {
				t.Errorf("importGraph: %s uses %s, which has no line above it", name, u)
			}
		}
		rules = append(rules, r)
	}
	return rules
}

// goPackage is the part of `go list -json` that is used here.
type goPackage struct {
	ImportPath string
	Imports    []string
}

// goList is what `go list` says of the repository.
func goList(t *testing.T, args ...string) string {
	list := exec.Command("go", append([]string{"list"}, args...)...)
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return string(out)
}

func listPackages(t *testing.T) []goPackage {
	out := goList(t, "-json=ImportPath,Imports", "./...")
	var pkgs []goPackage
	for dec := json.NewDecoder(strings.NewReader(out)); dec.More(); {
		var p goPackage
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	return pkgs
}

func TestImportsGoDown(t *testing.T) {
	rules := parseGraph(t)
	for _, p := range listPackages(t) {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		i := slices.IndexFunc(rules, func(r rule) bool { return covers(r.pkg, name) })
		if i < 0 {
			t.Errorf("%s has no line in importGraph", name)
			continue
		}
		for _, imp := range p.Imports {
			dep, ours := strings.CutPrefix(imp, module+"/")
			if ours && !rules[i].allows(dep) {
				t.Errorf("%s imports %s, which importGraph does not allow", name, dep)
			}
		}
	}
}

func TestOutsideImportsHaveOnePlace(t *testing.T) {
	for _, p := range listPackages(t) {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		for _, imp := range p.Imports {
			for prefix, places := range onlyIn {
				if covers(prefix+"/...", imp) && !slices.Contains(places, name) {
					t.Errorf("%s imports %s, which only %v may", name, imp, places)
				}
			}
		}
	}
}

// notLinked is what megabin itself links nothing of, not by others either:
// Go initializes all that a program links, which was half of what a start
// took before BuildKit's was left to the frontend.
var notLinked = []string{module + "/frontend", "github.com/moby", "google.golang.org", "go.opentelemetry.io", "github.com/containerd"}

func TestMegabinLinksLittle(t *testing.T) {
	linked := strings.Fields(goList(t, "-deps", "./cmd/megabin"))
	if !slices.Contains(linked, module+"/runtime/runner") {
		t.Fatal("megabin does not even link what runs programs")
	}
	for _, pkg := range linked {
		for _, tree := range notLinked {
			if covers(tree+"/...", pkg) || pkg == tree {
				t.Errorf("megabin links %s", pkg)
			}
		}
	}
}

func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") || slices.Contains(topLevel, name) {
			continue
		}
		t.Errorf("%s does not belong at the top level", name)
	}
}
