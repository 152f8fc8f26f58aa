package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestPrune: what was used lately stays, files that belong together go together, and a
// store that is in use is left alone.
func TestPrune(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", home)
	prune := func(args ...string) (removed []string) {
		t.Helper()
		status, out, errs := megabin(t, "", append([]string{"prune", "--json"}, args...)...)
		var list []pruned
		if err := json.Unmarshal([]byte(out), &list); status != 0 || err != nil || len(list) != 3 {
			t.Fatalf("status %d, %v\n%s%s", status, err, out, errs)
		}
		for _, p := range list {
			if p.Removed > 0 {
				removed = append(removed, p.Cache)
			}
		}
		return removed
	}
	if got := prune("--all"); got != nil {
		t.Errorf("removed %v of nothing", got)
	}
	store, err := openStore()
	if err != nil {
		t.Fatal(err)
	}
	old, young := time.Now().Add(-8*24*time.Hour), time.Now()
	files := map[string]time.Time{
		"units/ab/old": old, "units/ab/young": young, "code/old": old,
		"store/layers/old": old, "store/layers/old.tar": old, "store/layers/used": old, "store/layers/used.tar": young,
	}
	for name, used := range files {
		path := filepath.Join(home, "megabin", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o444); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, used, used); err != nil {
			t.Fatal(err)
		}
	}
	left := func(want ...string) {
		t.Helper()
		var have []string
		for name := range files {
			if _, err := os.Stat(filepath.Join(home, "megabin", name)); err == nil {
				have = append(have, name)
			}
		}
		slices.Sort(have)
		if !slices.Equal(have, want) {
			t.Errorf("left are %v, want %v", have, want)
		}
	}
	all := []string{"code/old", "store/layers/old", "store/layers/old.tar", "store/layers/used", "store/layers/used.tar", "units/ab/old", "units/ab/young"}
	if got := prune("--dry-run"); !slices.Equal(got, []string{"units", "code", "store"}) {
		t.Errorf("a dry run would remove %v", got)
	}
	left(all...)
	if got := prune("--until", "240h"); got != nil {
		t.Errorf("removed %v that were used within ten days", got)
	}
	if got := prune(); !slices.Equal(got, []string{"units", "code"}) {
		t.Errorf("removed %v while the store is in use", got)
	}
	left("store/layers/old", "store/layers/old.tar", "store/layers/used", "store/layers/used.tar", "units/ab/young")
	store.Close()
	prune()
	left("store/layers/used", "store/layers/used.tar", "units/ab/young")
	prune("-a")
	left()
	if store, err = openStore(); err != nil {
		t.Errorf("a pruned store can't be opened: %v", err)
	}
	store.Close()
}
