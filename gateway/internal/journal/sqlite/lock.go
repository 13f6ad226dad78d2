package sqlite

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/countersign/countersign/gateway/internal/journal"
)

// lock keeps a second process away from a journal. SQLite's own locks would let two writers take
// turns, and each would number and link its entries after a head that is no longer the last.
type lock struct{ file *os.File }

func acquire(journalPath string) (*lock, error) {
	path := journalPath + ".lock"
	f, err := openLocked(path)
	switch {
	case err != nil && isHeld(err):
		return nil, fmt.Errorf("%w by %s", journal.ErrLocked, holder(path))
	case err != nil:
		return nil, fmt.Errorf("lock: %w", err)
	}
	l := &lock{file: f}
	if err := l.sign(); err != nil {
		return nil, errors.Join(fmt.Errorf("lock: %w", err), l.release())
	}
	return l, nil
}

// sign says who holds the lock.
func (l *lock) sign() error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err = fmt.Fprintf(l.file, "process %d on %s since %s\n", os.Getpid(), host, time.Now().UTC().Format(time.RFC3339))
	return err
}

// release lets the next process in. The file stays: removing it could remove another's lock.
func (l *lock) release() error { return l.file.Close() }

func holder(path string) string {
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if name := strings.TrimSpace(string(text)); err == nil && name != "" {
		return name
	}
	return "another process"
}
