package cli

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/megabin/megabin/runtime/runner"
	"github.com/megabin/megabin/runtime/vkernel/fs/host"
	"github.com/megabin/megabin/runtime/vkernel/fs/tmp"
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

// parseTmpfs reads DST[:OPTION,...]; size is that of one without size=.
func parseTmpfs(text string, size int64) (runner.Mount, error) {
	target, options, _ := strings.Cut(text, ":")
	if !path.IsAbs(target) {
		return runner.Mount{}, errors.New("want an absolute path, and options behind a colon")
	}
	m := runner.Mount{Target: path.Clean(target), Source: "tmpfs"}
	o := tmp.Options{Mode: 0o1777, Size: size}
	for word := range strings.SplitSeq(options, ",") {
		switch key, value, _ := strings.Cut(word, "="); key {
		case "", "rw":
		case "ro":
			m.ReadOnly = true
		case "size":
			n, err := parseSize(value)
			if err != nil {
				return m, fmt.Errorf("size=%w", err)
			}
			o.Size = int64(n)
		case "mode":
			n, err := strconv.ParseUint(value, 8, 12)
			if err != nil {
				return m, fmt.Errorf("mode=%q: want an octal number, such as 1777", value)
			}
			o.Mode = uint32(n)
		default:
			return m, fmt.Errorf("unknown option %q, want size=, mode=, ro or rw", word)
		}
	}
	var err error
	m.FS, err = tmp.New(o)
	return m, err
}
