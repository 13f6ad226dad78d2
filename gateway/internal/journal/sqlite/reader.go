package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"

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

// Verify checks a journal, or a copy of one, with the public key alone: the text of the verifier key,
// or of the file that has it. The gateway may be running. The report names the first bad entry; an
// error says that the file could not be read to its end.
func Verify(ctx context.Context, path, publicKey string, o journal.VerifyOptions) (journal.Report, error) {
	report, err := verify(ctx, path, publicKey, o)
	if err != nil {
		return report, fmt.Errorf("verify journal %s: %w", path, err)
	}
	return report, nil
}

func verify(ctx context.Context, path, publicKey string, o journal.VerifyOptions) (report journal.Report, err error) {
	db, err := openCopy(path)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if empty, err := identify(ctx, db); errors.Is(err, journal.ErrTampered) {
		return journal.Report{FirstBad: &journal.Fault{Kind: journal.BadForm, What: err.Error()}}, nil
	} else if err != nil {
		return report, err
	} else if empty {
		return report, fmt.Errorf("%w: the file is empty", journal.ErrForeign)
	}
	c, err := readCopy(ctx, db)
	if err != nil {
		return report, err
	}
	return journal.VerifyCopy(c, publicKey, o)
}

// readCopy reads the checkpoints before the entries: a journal that is being written then has at
// least the entries that they count.
func readCopy(ctx context.Context, db *sql.DB) (journal.Copy, error) {
	id, err := journalID(ctx, db)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return journal.Copy{}, err
	}
	filed, err := checkpoints(ctx, db, "ORDER BY size")
	if err != nil {
		return journal.Copy{}, err
	}
	// The least number is not an entry's; what somebody put there is read from one above it.
	return journal.Copy{JournalID: id, Checkpoints: filed, Rows: rowsAfter(ctx, db, math.MinInt64)}, nil
}

// openCopy opens the file for reading alone. Without a write-ahead log nobody has it open, and it can
// be read from a place where not even a temporary file may be made.
func openCopy(path string) (*sql.DB, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	address := dsn(path, "ro", "query_only(1)")
	if _, err := os.Stat(path + "-wal"); errors.Is(err, os.ErrNotExist) {
		address += "&immutable=1"
	}
	return sql.Open("sqlite", address)
}
