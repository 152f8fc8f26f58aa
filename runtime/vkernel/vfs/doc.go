// Package vfs is the file side of the kernel that is common to all file
// systems: path walks, permissions, mounts, open file descriptions and
// descriptor tables, with the semantics of Linux as the man pages of section
// 2 state them. It knows nothing of processes, guest memory or system call
// numbers: a Caller says who asks, and every result is a Go value or an
// errno (golang.org/x/sys/unix.Errno).
//
// # Parts
//
//	Inode        what a file system provides: a small base interface and one
//	             optional interface per ability
//	File         what opening an inode gives, likewise
//	Dentry       a name in a directory, cached; gives "..", d_path, mount points
//	Mount, Namespace  which tree is seen where
//	Caller       credentials, root, cwd and umask: its methods are the path
//	             system calls (Open, Stat, Rename, …)
//	Description  an open file description: offset, status flags, file
//	FDTable      descriptors → descriptions
//
// # Blocking
//
// Nothing here waits for an event that a guest causes. An operation that
// cannot go on returns EAGAIN whatever O_NONBLOCK says; the kernel's one
// Block function then waits on Description.Queue and tries again. A write
// may be partial: for a description without O_NONBLOCK the caller writes the
// rest after waiting. See Description.Write.
//
// # Lock order
//
// From outer to inner; a lock is never taken while one below it is held:
//
//	Description.offMu
//	Super.renameMu … Super.tree  (one file system's tree of names)
//	Namespace.mu
//	file systems' own locks (overlay, then the upper's)
//	locks of the kernel's tasks, taken by proc through its Tasks interface
//	FSContext.mu, FDTable.mu, Description.hooksMu
//	wait.Queue.mu
//
// So the kernel must hold none of its own task locks when it calls a Caller or
// Description method. A file system's tree methods (Lookup, Make, Link,
// Remove, Rename) are called with that file system's Super.tree held for
// writing: they are serialised and need no lock for the tree itself.
package vfs
