package runner

import (
	"context"
	"fmt"
	"sync"

	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/pack"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/runtime/machine"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
)

// Recompile makes a unit of the code at unit offset off of an ELF file and what it
// reaches, among what covered leaves of the file's bytes, whose hash is given.
type Recompile func(ctx context.Context, name string, file []byte, hash blob.ID, covered []unit.Span, off uint32) (*unit.Unit, error)

// onDemand recompiles what discovery missed, once for each place. The file
// must be one that the image lists: an address alone makes no code.
type onDemand struct {
	ctx       context.Context
	units     kernel.Units
	recompile Recompile
	say       func(format string, args ...any)
	allowed   func(hash blob.ID) // told of the file that code was made of

	mu   sync.Mutex
	done map[place]machine.Unit // nil: it could not be done
}

// place is an offset in a unit.
type place struct {
	unit machine.Unit
	off  uint32
}

// find implements machine.Options.OnDemand.
func (o *onDemand) find(u machine.Unit, file []byte, off uint32) (machine.Unit, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	at := place{u, off}
	made, ok := o.done[at]
	if !ok {
		var err error
		if made, err = o.make(u, file, off); err != nil {
			o.say("recompiling on demand: %v", err)
		}
		o.done[at] = made
	}
	return made, made != nil
}

func (o *onDemand) make(u machine.Unit, file []byte, off uint32) (m machine.Unit, err error) {
	hash := blob.Hash(file)
	listed, _, ok := o.units.Lookup(hash)
	if !ok || listed != u {
		return nil, fmt.Errorf("offset %#x of unit %x: the file that is mapped there is not the unit's any more", off, u.ID())
	}
	known, ok := u.(interface{ Meta() *unit.Meta })
	if !ok {
		return nil, nil
	}
	defer func() {
		if p := recover(); p != nil {
			m, err = nil, fmt.Errorf("offset %#x of unit %x: %v", off, u.ID(), p)
		}
	}()
	fresh, err := o.recompile(o.ctx, fmt.Sprintf("unit %x", u.ID()), file, hash, known.Meta().Covered, off)
	if err != nil {
		return nil, err
	}
	o.allowed(hash)
	return packed(o.ctx, fresh)
}

// packed is a megabinary's unit made of u.
func packed(ctx context.Context, u *unit.Unit) (machine.Unit, error) {
	src, err := pack.Survey(u, func() (*unit.Unit, error) { return u, nil })
	if err != nil {
		return nil, err
	}
	var buf pack.Buffer
	if _, err := pack.Write(ctx, &buf, []*pack.Source{src}, 1); err != nil {
		return nil, err
	}
	mb, err := pack.Open(&buf, int64(buf.Len()))
	if err != nil {
		return nil, err
	}
	ref, _, err := mb.Unit(u.Source)
	return ref, err
}
