package pack

import "fmt"

// Verify reads every unit, part and site and so checks all their hashes.
func (m *Megabinary) Verify() error {
	for i := range m.Units() {
		u, ok, err := m.Unit(m.Source(i))
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("%w: unit %v of the directory is not found", ErrInvalid, m.Source(i))
		}
		for n := range u.Parts() {
			if _, _, err := u.Part(n); err != nil {
				return err
			}
		}
		if err := u.verifySites(); err != nil {
			return err
		}
	}
	return nil
}

// verifySites reads each of the unit's sites.
func (u *UnitRef) verifySites() error {
	t, err := u.sites()
	for i := 0; i < t.Len() && err == nil; i++ {
		_, err = t.Site(i)
	}
	return err
}
