package blob

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The first two values are from the BLAKE3 reference implementation's
// test_vectors.json: inputs of 0 and 1 bytes.
func TestHash(t *testing.T) {
	for in, want := range map[string]string{
		"":     "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
		"\x00": "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
	} {
		if got := Hash([]byte(in)).String(); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func TestHashFileLikeB3sum(t *testing.T) {
	tool, err := exec.LookPath("b3sum")
	if err != nil {
		t.Skip("b3sum is not installed")
	}
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte(strings.Repeat("megabin", 100000)), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := HashFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, "--no-names", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimSpace(string(out)); got.String() != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestParse(t *testing.T) {
	id := Hash([]byte("x"))
	got, err := Parse(id.String())
	if err != nil || got != id {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "00", strings.Repeat("g", 64), strings.ToUpper(id.String()), id.String() + "0"} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
