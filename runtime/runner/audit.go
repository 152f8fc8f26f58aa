package runner

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/mm"
)

// auditLine is a line of the audit log, docs/security.md.
type auditLine struct {
	Time     time.Time      `json:"time"`
	PID      int            `json:"pid"`
	Call     string         `json:"call"`
	Path     string         `json:"path"`
	Hash     string         `json:"hash"`
	Decision kernel.Verdict `json:"decision"`
	Reason   string         `json:"reason,omitempty"`
}

// auditLog writes decisions as JSON, one line each.
type auditLog struct {
	w      io.Writer
	failed func(error) // told once
	once   sync.Once
	mu     sync.Mutex // orders lines
}

func (a *auditLog) add(d kernel.Decision) {
	line := auditLine{Time: time.Now().UTC(), PID: d.PID, Call: d.Call, Path: d.Path, Decision: d.Verdict, Reason: d.Reason}
	if d.Hashed() {
		line.Hash = fmt.Sprintf("%x", d.Hash)
	}
	b, err := json.Marshal(line)
	if err == nil {
		a.mu.Lock()
		_, err = a.w.Write(append(b, '\n'))
		a.mu.Unlock()
	}
	if err != nil {
		a.once.Do(func() { a.failed(err) })
	}
}

// madeLate tells the audit log that code was recompiled on demand.
func (c *container) madeLate(hash blob.ID) {
	if c.audit != nil {
		c.audit.add(kernel.Decision{Asker: mm.Asker{Call: "jump"}, Hash: hash, Verdict: kernel.Allowed})
	}
}

// decided tells the person and the audit log of a decision.
func (c *container) decided(d kernel.Decision) {
	if d.Verdict != kernel.Allowed {
		c.say("%s", d)
	}
	if c.audit != nil {
		c.audit.add(d)
	}
}
