// Package sqlite keeps a journal in a SQLite file. It uses a driver that is written in Go alone.
//
// One goroutine writes; whatever callers hand in while a commit is on its way goes into the next
// transaction together. Every commit is synced to the disk before the callers hear of it. After an
// error nothing more is written through the handle, since the kernel may have forgotten what it
// could not write: the file is opened anew, its end is verified, and everything is synced again.
//
// The folder has to be on a local disk: SQLite's write-ahead log needs shared memory, and locks on
// network file systems cannot be relied on.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"github.com/countersign/countersign/gateway/internal/journal"
)

// queueLength bounds how many records wait for the writer: 16 transactions.
const queueLength = 1024

// Store is a journal in a SQLite file.
type Store struct {
	settings journal.Settings
	keys     *journal.Keys
	codec    *journal.Codec
	lock     *lock
	id       string

	readers atomic.Pointer[sql.DB]
	// down says why nothing can be written; nil if it can.
	down  atomic.Pointer[outage]
	queue chan *request

	closing chan struct{} // closed to end the goroutines
	stopped chan struct{} // closed when the writer has ended
	writer  *writer       // the writer goroutine's own until stopped
	copier  *copier       // nil without a checkpoint file
	once    sync.Once
	closed  error
}

var _ journal.Journal = (*Store)(nil)

type outage struct{ err error }

// Open opens the journal, or begins one if there is no file. It fails if another process has it
// (journal.ErrLocked), if it is something else (journal.ErrForeign), if its end is not as this
// gateway wrote it or it lacks entries that the checkpoint file counts (journal.ErrTampered), and if
// a record could not be written durably.
func Open(ctx context.Context, s journal.Settings) (*Store, error) {
	store, err := open(ctx, s.WithDefaults())
	if err != nil {
		return nil, fmt.Errorf("open journal %s: %w", s.Path, err)
	}
	return store, nil
}

func open(ctx context.Context, settings journal.Settings) (*Store, error) {
	keys, err := openKeys(settings)
	if err != nil {
		return nil, err
	}
	held, err := acquire(settings.Path)
	if err != nil {
		return nil, err
	}
	s := &Store{
		settings: settings, keys: keys, codec: journal.NewCodec(settings, keys), lock: held,
		queue: make(chan *request, queueLength), closing: make(chan struct{}), stopped: make(chan struct{}),
	}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.release(), held.release())
	}
	return s, nil
}

// openKeys makes a key only for a new journal: entries under a new key would look forged.
func openKeys(s journal.Settings) (*journal.Keys, error) {
	info, err := os.Stat(s.Path)
	switch {
	case err == nil && info.Size() > 0:
		return journal.LoadKeys(s.KeyFile)
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return nil, err
	}
	return journal.LoadOrCreateKeys(s.KeyFile)
}

func (s *Store) start(ctx context.Context) error {
	if err := ensureFile(s.settings.Path); err != nil {
		return err
	}
	var err error
	if s.writer, err = s.openWriter(ctx); err != nil {
		return err
	}
	readers, err := openReaders(s.settings.Path)
	if err != nil {
		return err
	}
	s.readers.Store(readers)
	if s.settings.CheckpointFile != "" {
		if s.copier, err = s.startCopier(ctx); err != nil {
			return err
		}
	}
	go s.run() //nolint:contextcheck // it outlives the context of Open
	return nil
}

// Close writes what was accepted, signs a last checkpoint and closes the files.
func (s *Store) Close() error {
	s.once.Do(func() {
		close(s.closing)
		<-s.stopped
		if s.copier != nil {
			<-s.copier.stopped
		}
		if err := errors.Join(s.release(), s.lock.release()); err != nil {
			s.closed = fmt.Errorf("close journal %s: %w", s.settings.Path, err)
		}
	})
	return s.closed
}

// release closes the database; the writer comes last, since the last to close empties the log.
func (s *Store) release() error {
	var err error
	if readers := s.readers.Load(); readers != nil {
		err = readers.Close()
	}
	if s.writer != nil && s.writer.db != nil {
		err = errors.Join(err, s.writer.db.Close())
	}
	return err
}

func (s *Store) logError(message string, attrs ...slog.Attr) {
	s.settings.Logger.LogAttrs(context.Background(), slog.LevelError, message, attrs...) //nolint:sloglint // the callers' messages are constant
}

// unavailable wraps why a record is not known to be on disk.
func unavailable(err error) error { return fmt.Errorf("%w: %w", journal.ErrUnavailable, err) }
