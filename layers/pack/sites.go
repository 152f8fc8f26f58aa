package pack

import (
	"fmt"

	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/layers/unit/resume"
)

// readSites reads and checks the unit's table of sites.
func (u *UnitRef) readSites() (unit.SiteTable, error) {
	b, err := u.m.read(u.head.siteOff, u.head.siteLen)
	if err == nil && blob.Hash(b) != u.head.siteSum {
		err = fmt.Errorf("hash is not %v", u.head.siteSum)
	}
	var t unit.SiteTable
	if err == nil {
		t, err = unit.ParseSites(b)
	}
	if err != nil {
		err = fmt.Errorf("%w: unit %v: sites: %w", ErrInvalid, u.meta.Source, err)
	}
	return t, err
}

// Sites is the number of the unit's sites.
func (u *UnitRef) Sites() (int, error) {
	t, err := u.sites()
	return t.Len(), err
}

// Site returns the number of the site at a unit offset: a place in the middle
// of a function where execution can go on.
func (u *UnitRef) Site(off uint32) (n int, ok bool, err error) {
	t, err := u.sites()
	if err != nil {
		return 0, false, err
	}
	n, ok = t.Find(off)
	return n, ok, nil
}

// Resume returns the module of a function that begins at site n, and the function that the site is in; docs/formats.md says what is in
// the module.
func (u *UnitRef) Resume(n int) (wasm []byte, ordinal int, err error) {
	t, err := u.sites()
	if err != nil {
		return nil, 0, err
	}
	if n < 0 || n >= t.Len() {
		return nil, 0, fmt.Errorf("unit %v: no site %d in %d", u.meta.Source, n, t.Len())
	}
	s, err := t.Site(n)
	if err == nil {
		wasm, err = u.resume(s)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%w: unit %v: site %d: %w", ErrInvalid, u.meta.Source, n, err)
	}
	return wasm, int(s.Ordinal), nil
}

func (u *UnitRef) resume(s unit.Site) ([]byte, error) {
	if uint64(s.Ordinal) >= uint64(u.Functions()) {
		return nil, fmt.Errorf("function %d of %d", s.Ordinal, u.Functions())
	}
	m, _, err := u.checkedPart(u.PartOf(int(s.Ordinal)))
	if err != nil {
		return nil, err
	}
	i, _ := m.index(int(s.Ordinal))
	body, err := resume.Body(m.bodies[i], m.calls[i], s)
	if err != nil {
		return nil, err
	}
	return resumeModule(body), nil
}
