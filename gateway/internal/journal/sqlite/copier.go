package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/countersign/countersign/gateway/internal/journal"
)

const (
	// copyRetry is the wait before another try after the copy could not be written.
	copyRetry = 30 * time.Second
	// tailLength is how much of the end of the copy is read at the start: some two hundred checkpoints.
	tailLength = 64 << 10
)

// copier appends the checkpoints to a file outside the journal. It is apart from the writer: a file
// that hangs must not keep anybody waiting for an answer.
type copier struct {
	path    string
	size    int64 // of the last checkpoint in the file; -1 if there is none
	signal  chan struct{}
	stopped chan struct{}
}

func (s *Store) startCopier(ctx context.Context) (*copier, error) {
	last, err := s.anchored()
	if err != nil {
		return nil, err
	}
	if err := s.checkAnchor(ctx, s.writer.db); err != nil {
		return nil, err
	}
	c := &copier{path: s.settings.CheckpointFile, size: last.Head.Seq, signal: make(chan struct{}, 1), stopped: make(chan struct{})}
	if last.JournalID == "" {
		c.size = -1
	}
	c.wake()
	go s.copyAlong(c) //nolint:contextcheck // it outlives the context of Open
	return c, nil
}

// anchored reads the last checkpoint of the copy, the zero Checkpoint if there is none.
func (s *Store) anchored() (journal.Checkpoint, error) {
	if s.settings.CheckpointFile == "" {
		return journal.Checkpoint{}, nil
	}
	text, err := readTail(s.settings.CheckpointFile)
	if err != nil {
		return journal.Checkpoint{}, fmt.Errorf("checkpoint file: %w", err)
	}
	notes := journal.SplitCheckpoints(text)
	if len(notes) == 0 {
		return journal.Checkpoint{}, nil
	}
	last, err := s.openCheckpoint(notes[len(notes)-1])
	if err != nil {
		return last, fmt.Errorf("checkpoint file %s: %w", s.settings.CheckpointFile, err)
	}
	return last, nil
}

// checkAnchor refuses a journal that lacks what the copy vouches for, such as yesterday's backup.
func (s *Store) checkAnchor(ctx context.Context, db *sql.DB) error {
	last, err := s.anchored()
	if err != nil || last.JournalID == "" {
		return err
	}
	if err := s.expect(ctx, db, last.Head, "checkpoint in "+s.settings.CheckpointFile); err != nil {
		return fmt.Errorf("%w (after restoring a backup, keep both files as evidence and begin a new journal)", err)
	}
	return nil
}

func readTail(path string) (string, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-tailLength), tailLength))
	return string(text), err
}

// wake makes the copier look for new checkpoints.
func (c *copier) wake() {
	select {
	case c.signal <- struct{}{}:
	default:
	}
}

// copyAlong is the copier goroutine. It ends after the writer, with what that signed last.
func (s *Store) copyAlong(c *copier) {
	defer close(c.stopped)
	for {
		var retry <-chan time.Time
		if err := s.copyNew(c); err != nil {
			s.logError("checkpoint file cannot be written", slog.String("path", c.path), slog.Any("error", err))
			retry = time.After(copyRetry)
		}
		select {
		case <-c.signal:
		case <-retry:
		case <-s.stopped:
			if err := s.copyNew(c); err != nil {
				s.logError("last checkpoint is not in the checkpoint file", slog.String("path", c.path), slog.Any("error", err))
			}
			return
		}
	}
}

func (s *Store) copyNew(c *copier) error {
	filed, err := checkpoints(context.Background(), s.readers.Load(), "WHERE size > ? ORDER BY size", c.size)
	if err != nil || len(filed) == 0 {
		return err
	}
	var text strings.Builder
	for _, f := range filed {
		text.WriteString(f.Signed + "\n")
	}
	if err := appendSynced(c.path, text.String()); err != nil {
		return err
	}
	c.size = filed[len(filed)-1].Size
	return nil
}

// appendSynced begins on a new line, for a crash may have cut the last one short.
func appendSynced(path, text string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644) //nolint:gosec // to be read and shipped by others
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size() > 0 {
		text = missingNewline(f, info.Size()) + text
	}
	if err == nil {
		_, err = f.WriteString(text)
	}
	return errors.Join(err, f.Sync(), f.Close(), journal.SyncDir(filepath.Dir(path)))
}

func missingNewline(f *os.File, size int64) string {
	last := make([]byte, 1)
	if _, err := f.ReadAt(last, size-1); err == nil && last[0] == '\n' {
		return ""
	}
	return "\n"
}
