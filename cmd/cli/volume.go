package cli

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/megabin/megabin/runtime/runner"
	"github.com/megabin/megabin/runtime/vkernel/fs/host"
)

// parseVolumes makes mounts of the arguments of -v.
func parseVolumes(volumes []string) ([]runner.Mount, error) {
	var mounts []runner.Mount
	for _, v := range volumes {
		m, err := parseVolume(v)
		if err != nil {
			return nil, fmt.Errorf("-v %s: %w", v, err)
		}
		mounts = append(mounts, m)
	}
	return mounts, nil
}

// parseVolume reads SRC:DST[:ro|:rw].
func parseVolume(v string) (runner.Mount, error) {
	parts := strings.Split(v, ":")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || !path.IsAbs(parts[1]) {
		return runner.Mount{}, fmt.Errorf("want SRC:DST[:ro] with an absolute DST")
	}
	m := runner.Mount{Target: path.Clean(parts[1])}
	if len(parts) == 3 {
		if parts[2] != "ro" && parts[2] != "rw" {
			return runner.Mount{}, fmt.Errorf("unknown option %q, want ro or rw", parts[2])
		}
		m.ReadOnly = parts[2] == "ro"
	}
	source, err := filepath.Abs(parts[0])
	if err != nil {
		return runner.Mount{}, err
	}
	m.Source = source
	m.FS, err = host.New(source)
	return m, err
}
