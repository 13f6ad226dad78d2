package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"

	"github.com/countersign/countersign/gateway/internal/journal"
)

// Reader reads a journal, or a copy of one, without its keys and beside the gateway that writes it. It
// neither locks nor changes anything, and verifies nothing: Verify does.
type Reader struct {
	db *sql.DB
	entries
}

// OpenReader opens a journal for reading.
func OpenReader(ctx context.Context, path string) (*Reader, error) {
	db, err := openCopy(path)
	if err != nil {
		return nil, fmt.Errorf("open journal %s: %w", path, err)
	}
	empty, err := identify(ctx, db)
	if err == nil && empty {
		err = fmt.Errorf("%w: the file is empty", journal.ErrForeign)
	}
	if err != nil {
		return nil, fmt.Errorf("open journal %s: %w", path, errors.Join(err, db.Close()))
	}
	return &Reader{db, entries{func() *sql.DB { return db }, journal.Row.Entry}}, nil
}

// Find returns the entry of an evaluation, or an error that wraps journal.ErrNotFound.
func (r *Reader) Find(ctx context.Context, evaluationID string) (journal.Entry, error) {
	return r.find(ctx, evaluationID)
}

// Entries iterates over what the filter selects.
func (r *Reader) Entries(ctx context.Context, f journal.Filter) iter.Seq2[journal.Entry, error] {
	return r.iterate(ctx, f)
}

// Close closes the file.
func (r *Reader) Close() error { return r.db.Close() }
