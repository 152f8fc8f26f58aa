package kernel

import (
	"crypto/rand"
	"fmt"
	"path"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/loader"
	"github.com/megabin/megabin/runtime/vkernel/mm"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// Program is what execve is asked to run.
type Program struct {
	At         vfs.Path // where a relative path starts; the zero Path: the working directory
	Path       string
	Flags      int // AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW
	Argv, Envp []string
}

// image is a program that is ready to take a task over.
type image struct {
	mm    *mm.MM
	start loader.Start
	exe   vfs.Path
	comm  string
	creds *Creds
	raised
	was int // the id of the thread that called execve
}

// maxScripts is how many interpreters may be scripts themselves.
const maxScripts = 5

// Exec is execve: it builds the new image beside the old one, and only when
// nothing can fail any more makes the task change over to it. An error leaves the task as it was.
func (t *Task) Exec(p Program) error {
	if err := loader.CheckArgs(p.Argv, p.Envp); err != nil {
		return err
	}
	if len(p.Argv) == 0 {
		p.Argv = []string{""} // as Linux does since 5.18
	}
	file, p, err := t.findBinary(p)
	if err != nil {
		return err
	}
	defer file.DecRef()
	img, err := t.buildImage(file, p)
	if err != nil {
		return err
	}
	img.was = t.TID
	if err := t.becomeOnly(); err != nil {
		img.mm.Release()
		return err
	}
	t.commit(img)
	return nil
}

// becomeOnly ends all other threads of the process and makes t its leader:
// de_thread. EAGAIN if the process ends meanwhile, or another thread was first.
func (t *Task) becomeOnly() error {
	g := t.Group
	g.mu.Lock()
	if t.ends() {
		g.mu.Unlock()
		return unix.EAGAIN
	}
	g.execer = t
	for other := range g.tasks {
		if other != t {
			other.notify()
		}
	}
	g.mu.Unlock()
	for !t.alone() {
		<-t.kick
	}
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	if old := g.leader(); old != t && old.traced() {
		old.detach()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.execer = nil
	if g.exiting {
		return unix.EAGAIN
	}
	delete(t.K.tasks, t.TID)
	t.TID = g.ID
	t.K.tasks[t.TID] = t
	g.execed, g.exitSignal = true, unix.SIGCHLD
	return nil
}

// alone tells whether all other threads have ended, or t has to.
func (t *Task) alone() bool {
	t.Group.mu.Lock()
	defer t.Group.mu.Unlock()
	return len(t.Group.tasks) == 1 || t.Group.exiting
}

// openExec opens a file that is to be executed.
func (t *Task) openExec(at vfs.Path, name string, flags int) (Mapping, error) {
	c := t.Caller()
	where, err := c.Resolve(at, name, flags)
	if err != nil {
		return Mapping{}, err
	}
	if err := c.MayExec(where); err != nil {
		return Mapping{}, err
	}
	d, err := c.OpenPath(where, linux.O_RDONLY)
	if err != nil {
		return Mapping{}, err
	}
	if err := d.DenyWrite(); err != nil {
		d.Unref()
		return Mapping{}, err
	}
	return t.NewMapping(d), nil
}

// findBinary follows "#!" lines from p to the ELF file that is to run. The
// result's Argv has what the lines add. The caller releases the file.
func (t *Task) findBinary(p Program) (Mapping, Program, error) {
	at, name, flags := p.At, p.Path, p.Flags
	for depth := 0; ; depth++ {
		file, err := t.openExec(at, name, flags)
		if err != nil {
			return Mapping{}, p, err
		}
		head := make([]byte, loader.HeaderBytes)
		n, err := file.ReadAt(head, 0)
		if err != nil {
			file.DecRef()
			return Mapping{}, p, err
		}
		interp, arg, isScript, err := loader.Script(head[:n])
		if !isScript {
			return file, p, nil
		}
		if err == nil && depth == maxScripts {
			err = unix.ELOOP
		}
		if err == nil {
			err = t.K.code.Script(file, t.execs())
		}
		file.DecRef()
		if err != nil {
			return Mapping{}, p, err
		}
		p.Argv = scriptArgs(interp, arg, t.scriptName(p, name), p.Argv)
		at, name, flags = vfs.Path{}, interp, 0
	}
}

// scriptArgs is what an interpreter gets: its own name, the line's argument,
// the script, and the script's arguments.
func scriptArgs(interp, arg, script string, argv []string) []string {
	list := []string{interp}
	if arg != "" {
		list = append(list, arg)
	}
	list = append(list, script)
	return append(list, argv[1:]...)
}

// scriptName is the path by which the interpreter can open the script.
func (t *Task) scriptName(p Program, name string) string {
	if !p.At.Ok() || path.IsAbs(name) {
		return name
	}
	return path.Join(t.Caller().PathName(p.At), name)
}

// buildImage maps the program and its interpreter into a new memory map.
func (t *Task) buildImage(file Mapping, p Program) (*image, error) {
	prog, err := t.openProgram(file)
	if err != nil {
		return nil, err
	}
	defer prog.File.DecRef()
	var interp *loader.Binary
	if prog.Interp != "" {
		if interp, err = t.openInterpreter(prog.Interp); err != nil {
			return nil, err
		}
		defer interp.File.DecRef()
	}
	return t.loadImage(file, prog, interp, p)
}

// openProgram reads the headers of an ELF file that may run, out of the bytes
// that will be mapped. The result's File has a reference.
func (t *Task) openProgram(file Mapping) (*loader.Binary, error) {
	if _, err := loader.Open(file); err != nil {
		return nil, err // what is no ELF is ENOEXEC, listed or not
	}
	f, err := t.K.code.Program(file, t.execs())
	if err != nil {
		return nil, err
	}
	b, err := loader.Open(f)
	if err != nil {
		f.DecRef()
	}
	return b, err
}

func (t *Task) openInterpreter(name string) (*loader.Binary, error) {
	file, err := t.openExec(vfs.Path{}, name, 0)
	if err != nil {
		return nil, err
	}
	defer file.DecRef()
	b, err := t.openProgram(file)
	if err == unix.ENOEXEC {
		err = unix.ELIBBAD
	}
	return b, err
}

// execs is t as one who asks for executable memory.
func (t *Task) execs() mm.Asker { return mm.Asker{PID: t.Group.ID, Call: callExecve} }

func (t *Task) loadImage(file Mapping, prog, interp *loader.Binary, p Program) (*image, error) {
	creds, raised, err := t.executing(file.d.Path())
	if err != nil {
		return nil, err
	}
	space, err := mm.New(t.K.Engine, t.K.code, programKey(prog.File.(frozen), p.Argv[0]))
	if err != nil {
		return nil, unix.ENOMEM
	}
	stack, _ := t.Group.Limits.Get(unix.RLIMIT_STACK)
	params := loader.Params{
		Argv: p.Argv, Envp: p.Envp, ExecFn: p.Path,
		UID: creds.UID, EUID: creds.EUID, GID: creds.GID, EGID: creds.EGID,
		Secure: raised.secure, By: t.execs(),
	}
	if stack.Cur != Infinity {
		params.StackSize = stack.Cur
	}
	rand.Read(params.Random[:])
	start, err := loader.Load(space, prog, interp, params)
	// Only now: what of the stack counts is known when it is there.
	space.SetLimits(t.Group.Limits.Memory())
	if err == nil && space.Exceeds() {
		err = unix.ENOMEM
	}
	if err != nil {
		space.Release()
		return nil, err
	}
	space.SetExe(file)
	return &image{mm: space, start: start, exe: file.d.Path(), comm: path.Base(p.Path), creds: creds, raised: raised}, nil
}

// programKey names what runs are likely to need the same code: a file, under
// one name, as it may be busybox.
func programKey(file frozen, argv0 string) string {
	return fmt.Sprintf("%x %s", file.content.Sum, path.Base(argv0))
}

// commit is the point of no return: what execve changes in the task's parts.
// The CPU changes over when its handler has returned.
func (t *Task) commit(img *image) {
	handlers := t.Handlers.Fork()
	handlers.reset()
	t.Group.mu.Lock()
	t.Handlers = handlers
	t.Group.mu.Unlock()
	t.Group.PosixTimers.DeleteAll()
	t.UnshareFiles()
	t.FDs.CloseOnExec()
	t.altStack, t.saved, t.retry = AltStack{}, nil, retry{}
	t.K.Keys.Exec(t.rings)
	t.SetCreds(img.creds)
	t.SetAttributes(img.attributes)
	if img.secure || img.gained {
		t.Group.SetParentDeathSignal(0)
	}
	t.SetComm(img.comm)
	t.exe.Store(&img.exe)
	t.next, t.flow = img, flowExec
}

// install puts the image that execve left in place of the old one.
func (t *Task) install() error {
	img := t.next
	t.next = nil
	t.stack = nil
	t.leaveMemory()
	t.setMM(img.mm)
	cpu, err := t.K.Engine.NewCPU(img.mm.AS, t)
	if err != nil {
		return err
	}
	cpu.SetFSBase(0)
	cpu.SetGSBase(0)
	cpu.SetReg(abi.PC, img.start.PC)
	cpu.SetReg(abi.RSP, img.start.SP)
	t.CPU = cpu
	return nil
}
