package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/megabin/megabin/integration/debian"
)

//go:embed packages.txt
var packageList string

// file is an ELF file to analyse.
type file struct {
	language, pkg string
	path          string // on this machine
	inside        string // in the package
	debug         string // a file with its symbols, or ""
}

func (f *file) name() string {
	if f.pkg == "" {
		return f.path
	}
	return f.pkg + ":" + f.inside
}

// named makes files of the command's arguments.
func named(paths []string) []file {
	var files []file
	for _, p := range paths {
		files = append(files, file{path: p, inside: filepath.Base(p)})
	}
	return files
}

// fetch gives the ELF files of the listed packages, each content once. only
// names a language or a package, or is empty.
func fetch(ctx context.Context, only string) ([]file, error) {
	base, err := debian.CacheDir()
	if err != nil {
		return nil, err
	}
	base = filepath.Join(base, "coverage")
	var files []file
	seen := map[[32]byte]bool{}
	for line := range strings.Lines(packageList) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		for _, pkg := range words[1:] {
			if only != "" && only != words[0] && only != pkg {
				continue
			}
			dir, err := unpack(ctx, base, pkg)
			if err != nil {
				return nil, err
			}
			more, err := elves(words[0], pkg, dir, seen)
			if err != nil {
				return nil, err
			}
			files = append(files, more...)
		}
	}
	for i := range files {
		files[i].debug = debugFile(base, &files[i])
	}
	return files, nil
}

// unpack gives a directory with the package's files, fetched with apt-get
// unless they are there already.
func unpack(ctx context.Context, base, pkg string) (string, error) {
	dir := filepath.Join(base, pkg)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(base, 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(base, "tmp-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	if err := command(ctx, tmp, "apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", pkg); err != nil {
		return "", fmt.Errorf("fetching %s: %w", pkg, err)
	}
	debs, err := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if err != nil || len(debs) != 1 {
		return "", fmt.Errorf("fetching %s: got %d files, %v", pkg, len(debs), err)
	}
	if err := command(ctx, tmp, "dpkg-deb", "-x", debs[0], "root"); err != nil {
		return "", fmt.Errorf("unpacking %s: %w", pkg, err)
	}
	return dir, os.Rename(filepath.Join(tmp, "root"), dir)
}

func command(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return nil
}

// debugDir is where separate symbol files lie, by build-id.
const debugDir = "usr/lib/debug"

// elves lists the ELF files below dir whose content was not seen before.
func elves(language, pkg, dir string, seen map[[32]byte]bool) ([]file, error) {
	var files []file
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		inside, _ := filepath.Rel(dir, path)
		switch {
		case err != nil:
			return err
		case inside == debugDir:
			return filepath.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if hash := sha256.Sum256(data); isLinked(data) && !seen[hash] {
			seen[hash] = true
			files = append(files, file{language: language, pkg: pkg, path: path, inside: inside})
		}
		return nil
	})
	return files, err
}

// isLinked reports whether data is an ELF executable or shared object.
func isLinked(data []byte) bool {
	return len(data) > 64 && string(data[:4]) == "\x7fELF" && (data[16] == 2 || data[16] == 3)
}

// debugFile finds the file with the symbols of f in a fetched -dbg package.
func debugFile(base string, f *file) string {
	id := buildID(f.path)
	if len(id) < 2 {
		return ""
	}
	found, _ := filepath.Glob(filepath.Join(base, "*-dbg", debugDir, ".build-id", id[:2], id[2:]+".debug"))
	if len(found) == 0 {
		return ""
	}
	return found[0]
}
