package elf

import (
	"os"
	"testing"
)

func TestHost(t *testing.T) {
	for _, name := range []string{"/bin/bash", "/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2", "/usr/bin/python3", "/usr/lib/x86_64-linux-gnu/libstdc++.so.6"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Skip(err)
		}
		f, err := Parse(name, data)
		if err != nil {
			t.Error(err)
			continue
		}
		pads, odd := 0, 0
		for _, d := range f.FDEs {
			pads += len(d.LandingPads)
			if d.CFAOffset != 8 {
				odd++
			}
		}
		t.Log(name, f.Kind, f.Type, f.Entry, f.Interp, f.Soname, len(f.BuildID), len(f.Symbols), len(f.Pointers), len(f.Imports), len(f.FDEs), pads, odd, len(f.InitFuncs))
	}
}
