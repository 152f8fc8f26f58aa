package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/megabin/megabin/layers/tarfs"
)

// cacheDir is a directory below $XDG_CACHE_HOME/megabin. What is in it can be
// deleted at any time.
func cacheDir(name string) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache directory: %w", err)
	}
	return filepath.Join(base, "megabin", name), nil
}

// Directories in the cache.
const (
	cacheStore = "store" // unpacked layers
	cacheUnits = "units" // recompiled ELFs
	cacheCode  = "code"  // machine code of recompiled parts
)

func openStore() (*tarfs.Store, error) {
	dir, err := cacheDir(cacheStore)
	if err != nil {
		return nil, err
	}
	return tarfs.OpenStore(dir)
}
