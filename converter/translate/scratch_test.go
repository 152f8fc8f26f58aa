package translate

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"
)

func TestScratch(t *testing.T) {
	p := os.Getenv("ELF")
	if p == "" {
		t.Skip()
	}
	data, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	t0 := time.Now()
	u, err := ELF(context.Background(), p, data)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range u.Funcs {
		n += len(f.Body)
	}
	cov := uint64(0)
	for _, s := range u.Covered {
		cov += s.Size
	}
	fmt.Println(p, "funcs", len(u.Funcs), "parts", u.NumParts(), "wasm", n, "x86", cov, "insts", u.Coverage.Instructions, "untranslated", u.Coverage.Untranslated, time.Since(t0))
	for _, r := range u.Coverage.Reasons {
		if r.Count > 5 {
			fmt.Println("  ", r.Name, r.Count)
		}
	}
	if o := os.Getenv("OUT"); o != "" {
		b := u.Encode()
		os.WriteFile(o, b, 0o644)
	}
}
