package vfs

import "sync"

// Caller is who makes a path system call: its methods are those calls. Paths
// are relative to at, or to the working directory if at is the zero Path
// (AT_FDCWD). All errors are unix.Errno values.
type Caller struct {
	NS    *Namespace
	FS    *FSContext
	Creds *Creds
	// Task is the kernel's task, for file systems that know it (proc).
	Task any
}

// FSContext is what CLONE_FS shares: root, working directory and umask.
type FSContext struct {
	mu    sync.Mutex
	root  Path
	cwd   Path
	umask uint32
}

// NewFSContext starts at root with umask 022.
func NewFSContext(root Path) *FSContext {
	return &FSContext{root: root, cwd: root, umask: 0o022}
}

// Fork returns a copy.
func (f *FSContext) Fork() *FSContext {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &FSContext{root: f.root, cwd: f.cwd, umask: f.umask}
}

// Root returns the root directory.
func (f *FSContext) Root() Path {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.root
}

// Cwd returns the working directory.
func (f *FSContext) Cwd() Path {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cwd
}

// SetRoot changes the root directory.
func (f *FSContext) SetRoot(p Path) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.root = p
}

// SetCwd changes the working directory.
func (f *FSContext) SetCwd(p Path) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cwd = p
}

// Umask returns the file mode creation mask.
func (f *FSContext) Umask() uint32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.umask
}

// SetUmask changes the mask and returns the one before.
func (f *FSContext) SetUmask(mask uint32) uint32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.umask
	f.umask = mask & 0o777
	return old
}
