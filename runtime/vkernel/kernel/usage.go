package kernel

import (
	"sync"
	"time"
)

// Usage is the resources that a thread, a process or its children have used.
type Usage struct {
	Time     time.Duration // of a processor
	MaxRSS   uint64        // bytes
	Switches int           // times it slept
}

// add adds another's usage.
func (u *Usage) add(o Usage) {
	u.Time += o.Time
	u.MaxRSS = max(u.MaxRSS, o.MaxRSS)
	u.Switches += o.Switches
}

// meter measures a task's processor time. A goroutine has no clock of its own:
// it is the time that the task was not asleep, so with more tasks that want to
// run than processors it is too much.
type meter struct {
	mu     sync.Mutex
	since  time.Time // zero while asleep
	total  time.Duration
	sleeps int
}

func (m *meter) start() { m.since = time.Now() }

func (m *meter) pause() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.since.IsZero() {
		m.total += time.Since(m.since)
		m.since = time.Time{}
		m.sleeps++
	}
}

func (m *meter) resume() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.since = time.Now()
}

func (m *meter) asleep() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.since.IsZero()
}

func (m *meter) usage() Usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := Usage{Time: m.total, Switches: m.sleeps}
	if !m.since.IsZero() {
		u.Time += time.Since(m.since)
	}
	return u
}

// Usage is RUSAGE_THREAD.
func (t *Task) Usage() Usage {
	u := t.meter.usage()
	if t.MM != nil {
		u.MaxRSS = t.MM.Mapped()
	}
	return u
}

// notePeak notes how much memory a process had mapped when it left it, bytes.
func (g *ThreadGroup) notePeak(mapped uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.usage.MaxRSS = max(g.usage.MaxRSS, mapped)
}

// Usage is RUSAGE_SELF.
func (g *ThreadGroup) Usage() Usage {
	g.mu.Lock()
	defer g.mu.Unlock()
	u := g.usage
	for t := range g.tasks {
		u.add(t.meter.usage())
	}
	return u
}

// ChildUsage is RUSAGE_CHILDREN.
func (g *ThreadGroup) ChildUsage() Usage {
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	return g.childUsage
}

// totalUsage is what wait tells the parent: of the process and of its children.
// Preconditions: Kernel.mu is held.
func (g *ThreadGroup) totalUsage() Usage {
	u := g.Usage()
	u.add(g.childUsage)
	return u
}
