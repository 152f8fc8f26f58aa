package converter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/megabin/megabin/layers/unit"
)

// UnitStore keeps units by key, for more than one machine. Load gives
// fs.ErrNotExist for a key that it does not have.
type UnitStore interface {
	Load(ctx context.Context, key string) ([]byte, error)
	Store(ctx context.Context, key string, unit []byte) error
}

// fetch gets the unit of an ELF from the store and keeps it in the cache; nil
// if there is no store or the store has none. A unit that is not what its hash
// says is an error: it was damaged or changed on the way.
func (c *conversion) fetch(ctx context.Context, e *elf) (*unit.Unit, error) {
	if c.Units == nil {
		return nil, nil
	}
	b, err := c.Units.Load(ctx, UnitKey(c.Translator, e.id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("loading its unit: %w", err)
	}
	u, err := decodeUnit(b, e.id)
	if err != nil {
		return nil, fmt.Errorf("loading its unit: %w", err)
	}
	return u, c.cache.store(u)
}

// share puts a unit into the store.
func (c *conversion) share(ctx context.Context, u *unit.Unit) error {
	if c.Units == nil {
		return nil
	}
	if err := c.Units.Store(ctx, UnitKey(c.Translator, u.Source), appendSum(u.Encode())); err != nil {
		return fmt.Errorf("storing its unit: %w", err)
	}
	return nil
}
