package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/layers/tarfs"
)

// pruneFlags are the command's flags.
type pruneFlags struct {
	until             time.Duration
	all, dryRun, json bool
}

// pruned is what a part of the cache takes, and what was removed of it, in
// bytes. Its JSON form is part of the command line's interface.
type pruned struct {
	Cache   string `json:"cache"`
	Size    int64  `json:"size"`
	Removed int64  `json:"removed"`
}

func newPrune() *cobra.Command {
	var f pruneFlags
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove from the cache what has not been used for a while",
		Long: `Prune removes what convert and run keep in $XDG_CACHE_HOME/megabin (else
~/.cache/megabin) and have not used for a week, or for --until:

  units  recompiled executables and libraries; convert makes them again
  code   machine code of their parts; run makes it again
  store  unpacked layers; run reads the image again

It tells what each takes. What is in use stays: nothing is removed from the
store while a container runs.`,
		Example: `  megabin prune
  megabin prune --until 24h --dry-run
  megabin prune --all`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := f.prune(time.Now())
			if err != nil {
				return err
			}
			if f.json {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(list)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', tabwriter.AlignRight)
			fmt.Fprintln(w, "CACHE\tSIZE\tREMOVED\t")
			for _, p := range list {
				fmt.Fprintf(w, "%s\t%s\t%s\t\n", p.Cache, size(p.Size), size(p.Removed))
			}
			return w.Flush()
		},
	}
	cmd.Flags().DurationVar(&f.until, "until", 7*24*time.Hour, "remove what was last used `DURATION` ago or earlier")
	cmd.Flags().BoolVarP(&f.all, "all", "a", false, "remove all that is not in use")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "tell what would be removed, and remove nothing")
	cmd.Flags().BoolVar(&f.json, "json", false, "write JSON")
	cmd.MarkFlagsMutuallyExclusive("until", "all")
	return cmd
}

func (f *pruneFlags) prune(now time.Time) (list []pruned, err error) {
	before := now.Add(-f.until)
	if f.all {
		before = now.Add(time.Hour) // some clocks are ahead
	}
	for _, name := range []string{cacheUnits, cacheCode, cacheStore} {
		dir, err := cacheDir(name)
		if err != nil {
			return nil, err
		}
		remove := os.Remove
		if f.dryRun {
			remove = func(string) error { return nil }
		}
		if name == cacheStore && !f.dryRun {
			unlock, err := tarfs.LockStore(dir)
			switch {
			case errors.Is(err, tarfs.ErrInUse):
				remove = nil
			case err != nil:
				return nil, err
			default:
				defer unlock()
			}
		}
		p, err := pruneDir(dir, before, remove)
		if err != nil {
			return nil, fmt.Errorf("pruning the cache: %w", err)
		}
		p.Cache = name
		list = append(list, p)
	}
	return list, nil
}

// pruneDir gives remove the files below dir that were last used before a time.
// Files that belong together (X and X.tar, say) go together. remove may be nil.
func pruneDir(dir string, before time.Time, remove func(string) error) (p pruned, err error) {
	type entry struct {
		files []string
		size  int64
		used  time.Time
	}
	entries := map[string]*entry{}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // another process was faster, or there is no cache yet
			return nil
		}
		if err != nil || d.IsDir() || path == filepath.Join(dir, tarfs.LockFile) {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return nil
		}
		key := strings.TrimSuffix(path, filepath.Ext(path))
		e := entries[key]
		if e == nil {
			e = &entry{}
			entries[key] = e
		}
		e.files = append(e.files, path)
		e.size += st.Blocks * 512
		for _, at := range []unix.Timespec{st.Atim, st.Mtim} {
			if t := time.Unix(at.Unix()); t.After(e.used) {
				e.used = t
			}
		}
		return nil
	})
	if err != nil {
		return p, err
	}
	for _, e := range entries {
		p.Size += e.size
		if remove == nil || e.used.After(before) {
			continue
		}
		for _, file := range e.files {
			if err := remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return p, err
			}
		}
		p.Removed += e.size
	}
	return p, nil
}
