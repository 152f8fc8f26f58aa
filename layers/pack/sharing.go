package pack

// Sharing tells what it saves that identical functions are kept once.
type Sharing struct {
	Functions     int   `json:"functions"`     // of all units
	Bodies        int   `json:"bodies"`        // that are kept
	FunctionBytes int64 `json:"functionBytes"` // if each were kept
	BodyBytes     int64 `json:"bodyBytes"`     // as they are kept
}

// Sharing counts the functions of all units.
func (m *Megabinary) Sharing() (s Sharing, err error) {
	seen := map[uint64]bool{}
	for i := range m.Units() {
		u, _, err := m.Unit(m.Source(i))
		if err != nil {
			return s, err
		}
		for f := range u.Functions() {
			off, size := u.Body(f)
			s.Functions++
			s.FunctionBytes += int64(size)
			if !seen[off] {
				seen[off] = true
				s.Bodies++
				s.BodyBytes += int64(size)
			}
		}
	}
	return s, nil
}
