package sqlite_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/countersign/countersign/gateway/internal/journal"
	"github.com/countersign/countersign/gateway/internal/journal/sqlite"
)

func TestReaderReadsBesideTheGateway(t *testing.T) {
	t.Parallel()
	s := newSpecimen(t)
	store := open(t, s.settings)
	mustAppend(t, store, entries+1)
	reader, err := sqlite.OpenReader(t.Context(), s.settings.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	mustAppend(t, store, entries+2)
	if e, err := reader.Find(t.Context(), "evaluation-47"); err != nil || !e.Intact || e.Seq != entries+2 {
		t.Errorf("Find: entry %d, intact %t, %v", e.Seq, e.Intact, err)
	}
	if _, err := reader.Find(t.Context(), "another"); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("Find: %v, want ErrNotFound", err)
	}
	count := 0
	for _, err := range reader.Entries(t.Context(), journal.Filter{NewestFirst: true}) {
		if err != nil {
			t.Fatal(err)
		}
		count++
	}
	if count != entries+2 {
		t.Errorf("there are %d entries, want %d", count, entries+2)
	}
}

func TestReaderNeedsAJournal(t *testing.T) {
	t.Parallel()
	if _, err := sqlite.OpenReader(t.Context(), filepath.Join(t.TempDir(), "none.db")); err == nil {
		t.Error("a file that is not there is read")
	}
	if _, err := sqlite.OpenReader(t.Context(), database(t, "CREATE TABLE users (id INTEGER)").Path); !errors.Is(err, journal.ErrForeign) {
		t.Errorf("another database: %v, want ErrForeign", err)
	}
}

func TestReaderMarksChangedEntries(t *testing.T) {
	t.Parallel()
	s := newSpecimen(t)
	path := s.tamper(t, func(c tampered) { c.exec("UPDATE entries SET outcome = 'approved' WHERE seq = 3") })
	reader, err := sqlite.OpenReader(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	for e, err := range reader.Entries(t.Context(), journal.Filter{}) {
		if err != nil || e.Intact != (e.Seq != 3) {
			t.Errorf("entry %d is intact %t, %v", e.Seq, e.Intact, err)
		}
	}
}
