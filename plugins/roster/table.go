package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/countersign/countersign/connectors/finding"
)

// settling is for how long a file must have been left alone before its new content counts, so that a file
// that is being written is not taken for a shorter one.
const settling = 250 * time.Millisecond

// table is the records of one file: the last good ones, and since when they are known to be so.
type table[T any] struct {
	name   string
	path   string
	format format
	decode func(d *decoder, entries []entry) []T

	mu       sync.Mutex
	current  content[T]
	verified time.Time
	trouble  error
}

// content is the records of a file and the digest of its bytes.
type content[T any] struct {
	records []T
	sum     [sha256.Size]byte
}

// format is what has to be known to read any of the files.
type format struct {
	// limit is the largest size in bytes.
	limit int64
	// zone is where dates without a time are; nil refuses them.
	zone *time.Location
}

func newTable[T any](name, path string, f format, decode func(*decoder, []entry) []T) *table[T] {
	return &table[T]{name: name, path: path, format: f, decode: decode}
}

func (t *table[T]) parse(data []byte) ([]T, error) {
	d := &decoder{report: &report{file: t.path}, zone: t.format.zone}
	records := t.decode(d, entriesOf(d.report, t.name, data))
	return records, d.err()
}

// errSettling says that a file has just been written and is read again shortly.
var errSettling = errors.New("the file is being written")

// refresh reads the file. Good content replaces the old at once; with anything else the old content stays
// and is no longer verified. Changed says whether something is worth a line in the log. Nobody waits while
// it reads: only what it found is put in under the lock. It is not called concurrently.
func (t *table[T]) refresh(now time.Time) (changed bool, err error) {
	if t.path == "" {
		return false, nil
	}
	data, err := t.read(now)
	if errors.Is(err, errSettling) {
		return false, err
	}
	next := content[T]{sum: sha256.Sum256(data)}
	fresh := err == nil && (t.isNew() || !t.has(next.sum))
	if fresh {
		next.records, err = t.parse(data)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	changed = fresh && err == nil || text(err) != text(t.trouble)
	t.trouble = err
	if err == nil && fresh {
		t.current = next
	}
	if err == nil {
		t.verified = now
	}
	return changed, err
}

func (t *table[T]) has(sum [sha256.Size]byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current.sum == sum
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (t *table[T]) read(now time.Time) ([]byte, error) {
	r := report{file: t.path}
	info, err := os.Stat(t.path)
	switch {
	case err != nil:
		r.add(place{}, "cannot be read: %v", cause(err))
	case !info.Mode().IsRegular():
		r.add(place{}, "is no file")
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o002 != 0:
		r.add(place{}, "can be written by everybody on this machine; remove that permission")
	case info.Size() > t.format.limit:
		r.add(place{}, "is larger than %d bytes (setting max_bytes)", t.format.limit)
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	if age := now.Sub(info.ModTime()); !t.isNew() && age >= 0 && age < settling {
		return nil, errSettling
	}
	data, err := readAtMost(t.path, t.format.limit)
	if err != nil {
		r.add(place{}, "cannot be read: %v", cause(err))
	}
	return data, r.err()
}

// isNew says whether nothing has been read yet.
func (t *table[T]) isNew() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.verified.IsZero()
}

func readAtMost(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("larger than %d bytes", limit)
	}
	return data, err
}

// cause is a file error without the path, which the problem names already.
func cause(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Err
	}
	return err
}

// get returns the records and since when they are known to be so. Records that have not been verified for
// longer than an age are a fault.
func (t *table[T]) get(now time.Time, maxAge time.Duration) ([]T, time.Time, error) {
	if t.path == "" {
		return nil, time.Time{}, finding.BadQuestion("no file of %s is configured", t.name)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if age := now.Sub(t.verified); age >= maxAge {
		return nil, time.Time{}, finding.Unavailable("the file of %s has not been in order since %s", t.name, t.verified.UTC().Format(time.RFC3339))
	}
	return t.current.records, t.verified, nil
}

// state says whether the records are still in use, and what is wrong with the file.
func (t *table[T]) state(now time.Time, maxAge time.Duration) (usable bool, trouble error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.path == "" || now.Sub(t.verified) < maxAge, t.trouble
}
