package runner

import (
	"slices"
	"testing"
)

const passwdText = "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1001::/home/ann:/bin/sh\n1000:x:7:7::/odd:/bin/sh\nbroken\n"
const groupText = "root:x:0:\nann:x:1001:\naudio:x:29:bob,ann\n"

// TestResolveUser has docker run's rules for --user.
func TestResolveUser(t *testing.T) {
	for _, c := range []struct {
		spec     string
		uid, gid uint32
		home     string
		groups   []uint32
		bad      bool
	}{
		{spec: "", home: "/root", groups: []uint32{0}},
		{spec: "ann", uid: 1000, gid: 1001, home: "/home/ann", groups: []uint32{1001, 29}},
		{spec: "ann:audio", uid: 1000, gid: 29, home: "/home/ann"},
		{spec: "ann:77", uid: 1000, gid: 77, home: "/home/ann"},
		{spec: "4242", uid: 4242, home: "/"},
		{spec: "4242:29", uid: 4242, gid: 29, home: "/"},
		{spec: "1000", uid: 7, gid: 7, home: "/odd", groups: []uint32{7}}, // a name that looks like a number
		{spec: "nobody", bad: true},
		{spec: "ann:nogroup", bad: true},
	} {
		u, err := resolveUser(c.spec, records([]byte(passwdText)), records([]byte(groupText)))
		if (err != nil) != c.bad {
			t.Errorf("%q: %v", c.spec, err)
			continue
		}
		if !c.bad && (u.uid != c.uid || u.gid != c.gid || u.home != c.home || !slices.Equal(u.groups, c.groups)) {
			t.Errorf("%q: %+v", c.spec, u)
		}
	}
}

func TestEnvironment(t *testing.T) {
	got := environment(Spec{Hostname: "h", Env: []string{"A=1", "PATH=/x", "HOME"}}, user{home: "/root"})
	if want := []string{"HOSTNAME=h", "A=1", "PATH=/x"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestCandidates(t *testing.T) {
	if got := candidates("./x", nil); !slices.Equal(got, []string{"./x"}) {
		t.Error(got)
	}
	if got := candidates("ls", []string{"PATH=/a:/b"}); !slices.Equal(got, []string{"/a/ls", "/b/ls"}) {
		t.Error(got)
	}
}
