package debian

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Source returns a directory with a source package of this machine's Debian
// release, Debian's patches applied: fetched with apt-get unless the cache
// below dir holds it. Progress goes to log. Safe among concurrent processes.
func Source(ctx context.Context, pkg, dir string, log io.Writer) (string, error) {
	final := filepath.Join(dir, "sources", pkg)
	err := cached(dir, final, func(tmp string) (string, error) {
		apt, err := sourceConfig(ctx, tmp, log)
		if err != nil {
			return "", err
		}
		if err := command(ctx, log, tmp, "apt-get", append(apt, "source", pkg)...); err != nil {
			return "", fmt.Errorf("fetching the source of %s: %w", pkg, err)
		}
		unpacked, err := filepath.Glob(filepath.Join(tmp, "*", "debian"))
		if err != nil || len(unpacked) != 1 {
			return "", fmt.Errorf("fetching the source of %s: got %d directories, %v", pkg, len(unpacked), err)
		}
		return filepath.Dir(unpacked[0]), nil
	})
	if err != nil {
		return "", err
	}
	return final, nil
}

// sourceConfig gives apt-get's arguments for a configuration of its own below
// dir: source packages of the archives whose binary packages apt is set up for.
func sourceConfig(ctx context.Context, dir string, log io.Writer) ([]string, error) {
	var list bytes.Buffer
	err := command(ctx, &list, dir, "apt-get", "indextargets", "--format", "deb-src $(REPO_URI) $(RELEASE) $(COMPONENT)",
		"Created-By: Packages", "Origin: Debian")
	if err != nil {
		return nil, fmt.Errorf("listing apt's archives: %w: %s", err, list.Bytes())
	}
	sources := filepath.Join(dir, "sources.list")
	lists := filepath.Join(dir, "lists")
	if err := os.MkdirAll(filepath.Join(lists, "partial"), 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(sources, list.Bytes(), 0o644); err != nil {
		return nil, err
	}
	apt := []string{"-q", "-o", "Dir::Etc::sourcelist=" + sources, "-o", "Dir::Etc::sourceparts=/dev/null",
		"-o", "Dir::State::lists=" + lists, "-o", "APT::Sandbox::User=root"}
	if err := command(ctx, log, dir, "apt-get", append(apt, "update")...); err != nil {
		return nil, fmt.Errorf("listing Debian's sources: %w", err)
	}
	return apt, nil
}
