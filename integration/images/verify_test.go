package images

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPackagesVerified asks dpkg which files are not as their packages have
// them: of a converted image exactly those that were recompiled, by their
// sums alone; with --keep-native none, as of the source.
func TestPackagesVerified(t *testing.T) {
	source, converted, both := theMinbase(t), env.image("verify:converted"), env.image("verify:both")
	must(t, megabin(), "convert", source, converted)
	must(t, megabin(), "convert", "--keep-native", source, both)
	verify := func(name string) outcome {
		return capture(t, exec.Command(megabin(), "run", name, "dpkg", "--verify"))
	}
	if o := verify(both); o != (outcome{}) {
		t.Errorf("with --keep-native dpkg says %+v", o)
	}
	o := verify(converted)
	if o.status != 0 || o.stderr != "" {
		t.Fatalf("dpkg ends with %d: %s", o.status, o.stderr)
	}
	var have []string
	for line := range strings.Lines(o.stdout) {
		what, name, _ := strings.Cut(strings.TrimSpace(line), "   ")
		if what != "??5??????" { // the sum differs, and nothing else
			t.Errorf("dpkg says %q", line)
		}
		have = append(have, merged(name))
	}
	slices.Sort(have)
	want := packagedELFs(t, source, converted)
	if !slices.Equal(have, want) {
		t.Errorf("dpkg tells of %d files, %d of packages were recompiled:\n%s", len(have), len(want), difference(want, have))
	}
	// A file's size and times are those that it had.
	attributes := []string{"stat", "-c", "%s %Y %a %U", "/bin/bash"}
	if w, h := nativeRun(t, unpacked(t, "debian:minbase"), append([]string{"/usr/bin/env"}, attributes...)), capture(t, exec.Command(megabin(), append([]string{"run", converted}, attributes...)...)); w != h {
		t.Errorf("of bash stat says %+v, natively %+v", h, w)
	}
}

// packagedELFs are the recompiled files that belong to a package, sorted.
func packagedELFs(t *testing.T, source, converted string) (list []string) {
	t.Helper()
	var m struct{ Entries []struct{ Paths []string } }
	decode(t, must(t, megabin(), "inspect", "--json", converted), &m)
	recompiled := map[string]bool{}
	for _, e := range m.Entries {
		for _, name := range e.Paths {
			recompiled[name] = true
		}
	}
	sums, err := filepath.Glob(filepath.Join(unpacked(t, strings.TrimPrefix(source, env.registry+"/")), "var/lib/dpkg/info/*.md5sums"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range sums {
		for line := range strings.Lines(read(t, file)) {
			if _, name, _ := strings.Cut(strings.TrimSpace(line), "  "); recompiled[merged("/"+name)] {
				list = append(list, merged("/"+name))
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// merged is a package's name of a file as the file system has it, where /bin
// and the like are symlinks.
func merged(name string) string {
	for _, dir := range []string{"/bin/", "/sbin/", "/lib/", "/lib64/"} {
		if strings.HasPrefix(name, dir) {
			return "/usr" + name
		}
	}
	return name
}
