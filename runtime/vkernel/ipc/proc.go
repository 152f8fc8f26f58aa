package ipc

import "fmt"

// Proc is /proc/sysvipc: its files by name.
func (n *Namespace) Proc() map[string]func() []byte {
	return map[string]func() []byte{"shm": n.Shm.proc, "sem": n.Sem.proc, "msg": n.Msg.proc}
}

func (t *ShmTable) proc() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := []byte("       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n")
	t.segments.ascending(func(id int, s *Segment) {
		p := s.stat
		b = fmt.Appendf(b, "%10d %10d  %4o %21d %5d %5d  %5d %5d %5d %5d %5d %10d %10d %10d %21d %21d\n", p.Key, id, p.Mode, p.Size,
			p.CPID, p.LPID, p.Attached, p.UID, p.GID, p.CUID, p.CGID, p.Atime, p.Dtime, p.Ctime, 0, 0)
	})
	return b
}

func (t *SemTable) proc() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := []byte("       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n")
	t.sets.ascending(func(id int, s *semSet) {
		p := s.stat
		b = fmt.Appendf(b, "%10d %10d  %4o %10d %5d %5d %5d %5d %10d %10d\n", p.Key, id, p.Mode, p.Count, p.UID, p.GID, p.CUID, p.CGID, p.Otime, p.Ctime)
	})
	return b
}

func (t *MsgTable) proc() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := []byte("       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n")
	t.queues.ascending(func(id int, q *queue) {
		p := q.stat
		b = fmt.Appendf(b, "%10d %10d  %4o  %10d %10d %5d %5d %5d %5d %5d %5d %10d %10d %10d\n", p.Key, id, p.Mode, p.Bytes, p.Count,
			p.LSPID, p.LRPID, p.UID, p.GID, p.CUID, p.CGID, p.Stime, p.Rtime, p.Ctime)
	})
	return b
}
