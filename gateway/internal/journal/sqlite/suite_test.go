package sqlite_test

import (
	"testing"

	"github.com/countersign/countersign/gateway/internal/journal"
	"github.com/countersign/countersign/gateway/internal/journal/journaltest"
	"github.com/countersign/countersign/gateway/internal/journal/sqlite"
)

func open(t testing.TB, s journal.Settings) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func TestStoreIsAJournal(t *testing.T) {
	t.Parallel()
	journaltest.Run(t, func(t *testing.T, s journal.Settings) journal.Journal {
		t.Helper()
		return open(t, s)
	})
}
