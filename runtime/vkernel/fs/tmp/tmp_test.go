package tmp_test

import (
	"fmt"
	"testing"

	"github.com/megabin/megabin/runtime/vkernel/fs/fstest"
	"github.com/megabin/megabin/runtime/vkernel/fs/tmp"
)

func newGuest(t *testing.T, setup []string) fstest.System {
	t.Helper()
	fs, err := tmp.New(tmp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g := fstest.NewGuest(t, fs)
	fstest.Run(g, setup)
	return g
}

func TestScripts(t *testing.T) {
	for _, s := range fstest.Scripts {
		t.Run(s.Name, func(t *testing.T) { fstest.Compare(t, s.Text, newGuest) })
	}
}

func TestRandom(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			fstest.Compare(t, fstest.Random(seed, 150), newGuest)
		})
	}
}
