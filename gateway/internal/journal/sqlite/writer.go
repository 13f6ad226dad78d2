package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/countersign/countersign/gateway/internal/journal"
)

const (
	insertEntry = `INSERT INTO entries (seq, at, evaluation_id, request_key, digest, outcome, principal, answer, body, prev, seal, hash)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (evaluation_id) DO NOTHING`
	insertCheckpoint = `INSERT INTO checkpoints (size, note) VALUES (?, ?)`
	writeProbe       = `INSERT INTO probe (singleton, at) VALUES (1, ?) ON CONFLICT (singleton) DO UPDATE SET at = excluded.at`
)

// writer is the handle that writes, and where the chain stands on it.
type writer struct {
	store  *Store
	db     *sql.DB
	insert *sql.Stmt
	files  identity
	head   journal.Head
	signed journal.Checkpoint

	retry   <-chan time.Time // when to open the file anew; nil while it can be written
	backoff time.Duration
}

// openWriter opens the file, verifies its end, and makes sure that it can be written.
func (s *Store) openWriter(ctx context.Context) (*writer, error) {
	db, err := openWriter(ctx, s.settings.Path)
	if err != nil {
		return nil, err
	}
	w := &writer{store: s, db: db}
	if err := w.prepare(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return w, nil
}

func (w *writer) prepare(ctx context.Context) error {
	if err := w.identify(ctx); err != nil {
		return err
	}
	var err error
	if w.head, w.signed, err = w.store.verifyTail(ctx, w.db); err != nil {
		return err
	}
	if w.insert, err = w.db.PrepareContext(ctx, insertEntry); err != nil {
		return err
	}
	if _, err := w.db.ExecContext(ctx, writeProbe, w.store.settings.Now().UnixNano()); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	w.files, err = inode(w.store.settings.Path)
	return err
}

// identify reads the journal's id, and begins the journal if it has none.
func (w *writer) identify(ctx context.Context) error {
	id, err := journalID(ctx, w.db)
	expected := w.store.id
	switch {
	case errors.Is(err, sql.ErrNoRows) && expected == "":
		id, err = w.begin(ctx)
	case err == nil && expected != "" && id != expected:
		err = fmt.Errorf("%w: journal %s is in the place of %s", journal.ErrTampered, id, expected)
	}
	if err != nil {
		return fmt.Errorf("read id: %w", err)
	}
	if expected == "" {
		w.store.id = id
	}
	return nil
}

func journalID(ctx context.Context, db *sql.DB) (string, error) {
	var id string
	err := db.QueryRowContext(ctx, "SELECT id FROM journal").Scan(&id)
	return id, err
}

// begin gives the journal an id, and a checkpoint that binds it to the key before there are entries.
func (w *writer) begin(ctx context.Context) (string, error) {
	var rows int
	if err := w.db.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM entries) + (SELECT count(*) FROM checkpoints)").Scan(&rows); err != nil {
		return "", err
	}
	if rows > 0 {
		return "", fmt.Errorf("%w: it has entries and no id", journal.ErrTampered)
	}
	id := uuid.NewString()
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, "INSERT INTO journal (singleton, id) VALUES (1, ?)", id); err != nil {
		return "", err
	}
	first := journal.Checkpoint{JournalID: id, Head: journal.Genesis(id), Time: w.store.settings.Now()}
	if err := w.file(ctx, tx, first); err != nil {
		return "", err
	}
	return id, tx.Commit()
}

// file signs a checkpoint and stores it.
func (w *writer) file(ctx context.Context, tx *sql.Tx, c journal.Checkpoint) error {
	note, err := w.store.keys.Sign(c)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, insertCheckpoint, c.Head.Seq, note)
	return err
}

// commit writes a batch in one transaction and says of each record what became of it. An error says
// that nothing is known, and that the handle must not be used again.
func (w *writer) commit(batch []*request) ([]error, error) {
	if len(batch) == 0 && w.head.Seq == w.signed.Head.Seq {
		return nil, nil
	}
	ctx := context.Background()
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	results := make([]error, len(batch))
	head, err := w.insertAll(ctx, tx, batch, results)
	if err != nil {
		return nil, fmt.Errorf("insert: %w", err)
	}
	signed, err := w.checkpoint(ctx, tx, head, len(batch) == 0)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	if err := w.files.still(w.store.settings.Path); err != nil {
		return nil, err
	}
	w.head, w.signed, w.backoff = head, signed, 0
	return results, nil
}

func (w *writer) insertAll(ctx context.Context, tx *sql.Tx, batch []*request, results []error) (journal.Head, error) {
	head, insert := w.head, tx.StmtContext(ctx, w.insert)
	for i, r := range batch {
		var err error
		if r.row == nil {
			_, err = tx.ExecContext(ctx, writeProbe, w.store.settings.Now().UnixNano())
		} else {
			head, results[i], err = w.insertOne(ctx, insert, head, r.row)
		}
		if err != nil {
			return head, err
		}
	}
	return head, nil
}

// insertOne returns the head after the row, and apart from an error of the database the row's own.
func (w *writer) insertOne(ctx context.Context, insert *sql.Stmt, head journal.Head, r *journal.Row) (journal.Head, error, error) {
	next := w.store.keys.Append(head, w.store.settings.Now(), r)
	result, err := insert.ExecContext(ctx, r.Seq, r.At, r.EvaluationID, r.RequestKey, r.Digest, r.Outcome, r.Principal,
		r.Answer, r.Body, r.Prev[:], r.Seal[:], r.Hash[:])
	if err != nil {
		return head, nil, err
	}
	inserted, err := result.RowsAffected()
	if err != nil {
		return head, nil, err
	}
	if inserted == 0 {
		return head, unavailable(fmt.Errorf("%w: %s", journal.ErrDuplicate, r.EvaluationID)), nil
	}
	return next, nil, nil
}

// checkpoint signs the head if enough has been added, or, on an occasion, if anything has.
func (w *writer) checkpoint(ctx context.Context, tx *sql.Tx, head journal.Head, occasion bool) (journal.Checkpoint, error) {
	added := head.Seq - w.signed.Head.Seq
	if added == 0 || !occasion && added < int64(w.store.settings.CheckpointEvery) {
		return w.signed, nil
	}
	next := journal.Checkpoint{JournalID: w.store.id, Head: head, Time: w.store.settings.Now().UTC(), Previous: w.signed.Hash()}
	return next, w.file(ctx, tx, next)
}
