package cases

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseCommand(t *testing.T) {
	for _, tt := range []struct {
		line string
		want Command
	}{
		{`ls -l /`, Command{Args: []string{"ls", "-l", "/"}}},
		{`TZ=UTC LC_ALL=C date -d '@0' "+%"`, Command{Env: []string{"TZ=UTC", "LC_ALL=C"}, Args: []string{"date", "-d", "@0", "+%"}}},
		{`tr a\ b 'c"d' <<< $'x\ty\x01é'`, Command{Args: []string{"tr", "a b", `c"d`}, Stdin: "x\ty\x01é\n"}},
		{`cat < /f/words`, Command{Args: []string{"cat"}, StdinFile: "/f/words"}},
		{`echo "a\"b\c" ''`, Command{Args: []string{"echo", `a"b\c`, ""}}},
		{`expr 1 '<' 2`, Command{Args: []string{"expr", "1", "<", "2"}}},
	} {
		got, err := ParseCommand(tt.line)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("ParseCommand(%q) = %+v, %v; want %+v", tt.line, got, err, tt.want)
		}
	}
}

func TestParseCommandErrors(t *testing.T) {
	for _, line := range []string{``, `A=1`, `ls | wc`, `echo 'a`, `echo "a`, `echo "$HOME"`, `echo $'\q'`, `a; b`} {
		if got, err := ParseCommand(line); err == nil {
			t.Errorf("ParseCommand(%q) = %+v, want an error", line, got)
		}
	}
}

const sample = `locale C C.UTF-8

# alone
$ true
$ false

== two steps
locale C
~ s/\d+/N/
$ touch a
$ ls -l a
`

func TestParse(t *testing.T) {
	got, err := Parse("x", sample)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, c := range got {
		ids = append(ids, c.ID())
	}
	want := "x: true [C]|x: false [C]|x: true [C.UTF-8]|x: false [C.UTF-8]|x: two steps [C]"
	if s := strings.Join(ids, "|"); s != want {
		t.Errorf("cases %s\nwant  %s", s, want)
	}
	last := got[len(got)-1]
	if len(last.Steps) != 2 || len(last.Filters) != 1 {
		t.Fatalf("last case: %+v", last)
	}
	if s := last.Filters[0].Apply([]byte("a 12\nb 3\n")); string(s) != "a N\nb N\n" {
		t.Errorf("filtered: %q", s)
	}
}

func TestParseErrors(t *testing.T) {
	for _, text := range []string{"what\n", "~ x\n", "~ s/(/x/\n", "$ true\n$ true\n", "$ a | b\n"} {
		if _, err := Parse("x", text); err == nil {
			t.Errorf("Parse(%q): no error", text)
		}
	}
}
