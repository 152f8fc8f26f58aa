package machine

// piece is what is compiled and loaded at once: a part of a unit, or the
// resume function of one of its sites.
type piece int

// sitePiece is the piece of site n.
func sitePiece(n int) piece { return piece(^n) }

// site is the site's number if the piece is one's.
func (p piece) site() (n int, ok bool) { return ^int(p), p < 0 }

// of returns the piece's module and the ordinals of its functions.
func (p piece) of(u Unit) (wasm []byte, ordinals []int, err error) {
	n, ok := p.site()
	if !ok {
		return u.Part(int(p))
	}
	wasm, ordinal, err := u.Resume(n)
	return wasm, []int{ordinal}, err
}
