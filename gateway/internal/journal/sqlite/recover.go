package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/countersign/countersign/gateway/internal/journal"
)

// fail gives the handle up: what the kernel could not write it may have forgotten, and a second sync
// of the same pages would succeed without writing them.
func (s *Store) fail(err error) {
	s.down.Store(&outage{err: err})
	w := s.writer
	if w.db != nil {
		_ = w.db.Close() // the error that counts is the first
		w.db = nil
	}
	w.backoff = min(max(2*w.backoff, firstRetry), longestRetry)
	w.retry = time.After(w.backoff)
	s.logError("journal cannot be written", slog.Any("error", err), slog.Duration("retry_in", w.backoff))
}

// reopen makes a fresh start after an error. Reading goes on through the old connections until then.
func (s *Store) reopen() {
	ctx := context.Background()
	w, err := s.reopened(ctx)
	if err != nil {
		s.fail(err)
		return
	}
	// The wait grows on until a record has been written.
	w.backoff = s.writer.backoff
	s.writer = w
	s.down.Store(nil)
	s.settings.Logger.LogAttrs(ctx, slog.LevelInfo, "journal can be written again", slog.Int64("entries", w.head.Seq))
}

func (s *Store) reopened(ctx context.Context) (*writer, error) {
	w, err := s.openWriter(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.resume(ctx, w); err != nil {
		return nil, errors.Join(err, w.db.Close())
	}
	return w, nil
}

func (s *Store) resume(ctx context.Context, w *writer) error {
	if err := s.checkAnchor(ctx, w.db); err != nil {
		return err
	}
	if err := rewrite(ctx, w.db); err != nil {
		return err
	}
	readers, err := openReaders(s.settings.Path)
	if err != nil {
		return err
	}
	if old := s.readers.Swap(readers); old != nil {
		_ = old.Close() // they have nothing to lose
	}
	return nil
}

// rewrite copies the whole write-ahead log into the database file and syncs that. What was read back
// after the error may have been in the kernel's memory only; now it is written and synced for real.
func rewrite(ctx context.Context, db *sql.DB) error {
	var busy, log, copied int
	if err := db.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &copied); err != nil {
		return fmt.Errorf("rewrite: %w", err)
	}
	if busy != 0 {
		return errors.New("rewrite: somebody is reading")
	}
	return nil
}

// verifyTail follows the chain from the last checkpoint but one to its end, and returns the end and
// the last checkpoint. All that is read has to bear this journal's seal or signature, so that nothing
// a stranger wrote is ever continued and signed.
func (s *Store) verifyTail(ctx context.Context, db *sql.DB) (journal.Head, journal.Checkpoint, error) {
	from, last, err := s.lastCheckpoints(ctx, db)
	if err != nil {
		return journal.Head{}, last, err
	}
	head := from.Head
	if err := s.expect(ctx, db, head, "checkpoint"); err != nil {
		return head, last, err
	}
	for row, err := range rowsAfter(ctx, db, head.Seq) {
		if err != nil {
			return head, last, err
		}
		if head, err = s.keys.Follow(head, &row); err != nil {
			return head, last, err
		}
		if head.Seq == last.Head.Seq && head.Hash != last.Head.Hash {
			return head, last, fmt.Errorf("%w: entry %d is not the one that was signed", journal.ErrTampered, head.Seq)
		}
	}
	if head.Seq < last.Head.Seq {
		return head, last, fmt.Errorf("%w: the last checkpoint counts %d entries and there are %d", journal.ErrTampered, last.Head.Seq, head.Seq)
	}
	return head, last, nil
}

// lastCheckpoints returns the last checkpoint and the one before it, or the last twice.
func (s *Store) lastCheckpoints(ctx context.Context, db *sql.DB) (journal.Checkpoint, journal.Checkpoint, error) {
	var before, last journal.Checkpoint
	filed, err := checkpoints(ctx, db, "ORDER BY size DESC LIMIT 2")
	if err == nil && len(filed) == 0 {
		err = fmt.Errorf("%w: there are no checkpoints", journal.ErrTampered)
	}
	for i, f := range filed {
		c, openErr := s.openCheckpoint(f.Signed)
		err = errors.Join(err, openErr)
		if i == 0 {
			last = c
		}
		before = c
	}
	return before, last, err
}

func (s *Store) openCheckpoint(signed string) (journal.Checkpoint, error) {
	c, err := journal.OpenCheckpoint(signed, s.keys.Public())
	if err != nil {
		return c, fmt.Errorf("%w: %w (or the key file is another journal's)", journal.ErrTampered, err)
	}
	if c.JournalID != s.id {
		return c, fmt.Errorf("%w: a checkpoint is of journal %s and this is %s", journal.ErrTampered, c.JournalID, s.id)
	}
	return c, nil
}

// expect checks that the chain has the head somewhere.
func (s *Store) expect(ctx context.Context, db *sql.DB, head journal.Head, who string) error {
	if head.Seq == 0 {
		if head != journal.Genesis(s.id) {
			return fmt.Errorf("%w: its beginning is not the one that a %s vouches for", journal.ErrTampered, who)
		}
		return nil
	}
	var hash []byte
	err := db.QueryRowContext(ctx, "SELECT hash FROM entries WHERE seq = ?", head.Seq).Scan(&hash)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("%w: a %s counts %d entries, and there is no such entry", journal.ErrTampered, who, head.Seq)
	case err != nil:
		return err
	case journal.HashFrom(hash) != head.Hash:
		return fmt.Errorf("%w: entry %d is not the one that a %s vouches for", journal.ErrTampered, head.Seq, who)
	}
	return nil
}
