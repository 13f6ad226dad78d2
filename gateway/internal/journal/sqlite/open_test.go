package sqlite_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/countersign/countersign/gateway/internal/journal"
	"github.com/countersign/countersign/gateway/internal/journal/journaltest"
	"github.com/countersign/countersign/gateway/internal/journal/sqlite"
)

func settingsIn(dir string) journal.Settings {
	return journal.Settings{Path: filepath.Join(dir, "journal.db"), KeyFile: filepath.Join(dir, "journal.key")}
}

// TestEveryCommitIsSynced goes red if the pragma is anything but FULL: with NORMAL a power cut loses
// acknowledged records, which no kill of the process shows.
func TestEveryCommitIsSynced(t *testing.T) {
	t.Parallel()
	store := open(t, settingsIn(t.TempDir()))
	for pragma, want := range map[string]string{
		"synchronous": "2", "journal_mode": "wal", "fullfsync": "1", "checkpoint_fullfsync": "1", "busy_timeout": "5000", "trusted_schema": "0",
	} {
		if got, err := store.Pragma(t.Context(), pragma); err != nil || got != want {
			t.Errorf("PRAGMA %s is %s, %v, want %s", pragma, got, err, want)
		}
	}
}

func TestDurabilityIsChecked(t *testing.T) {
	t.Parallel()
	for query, fine := range map[string]bool{
		"_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)":    true,
		"_pragma=journal_mode(WAL)&_pragma=synchronous(EXTRA)":   true,
		"_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)":  false,
		"_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)":     false,
		"_pragma=journal_mode(DELETE)&_pragma=synchronous(FULL)": false,
		"_pragma=journal_mode(MEMORY)&_pragma=synchronous(FULL)": false,
	} {
		db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "x.db")+"?"+query)
		if err != nil {
			t.Fatal(err)
		}
		if err := sqlite.CheckDurability(t.Context(), db); (err == nil) != fine {
			t.Errorf("%s: %v, want fine %t", query, err, fine)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// database makes a file with a statement.
func database(t *testing.T, statement string) journal.Settings {
	t.Helper()
	settings := settingsIn(t.TempDir())
	if _, err := journal.LoadOrCreateKeys(settings.KeyFile); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", settings.Path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return settings
}

func TestForeignFilesAreRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	text := settingsIn(t.TempDir())
	if err := os.WriteFile(text.Path, []byte(strings.Repeat("not a database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := journal.LoadOrCreateKeys(text.KeyFile); err != nil {
		t.Fatal(err)
	}
	newer := settingsIn(t.TempDir())
	mustClose(t, open(t, newer))
	db, err := sql.Open("sqlite", newer.Path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "PRAGMA user_version = 2"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for name, settings := range map[string]journal.Settings{
		"another database":    database(t, "CREATE TABLE users (id INTEGER)"),
		"another application": database(t, "PRAGMA application_id = 7"),
		"a later version":     newer,
		"a text":              text,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := read(t, settings.Path)
			if _, err := sqlite.Open(t.Context(), settings); !errors.Is(err, journal.ErrForeign) {
				t.Errorf("Open: %v, want ErrForeign", err)
			}
			if read(t, settings.Path) != before {
				t.Error("the file was changed")
			}
			if _, err := sqlite.Verify(t.Context(), settings.Path, publicKey(t, settings), journal.VerifyOptions{}); !errors.Is(err, journal.ErrForeign) {
				t.Errorf("Verify: %v, want ErrForeign", err)
			}
		})
	}
}

func publicKey(t *testing.T, s journal.Settings) string {
	t.Helper()
	return read(t, s.KeyFile+".pub")
}

func TestJournalIsNotOpenedWithoutItsKey(t *testing.T) {
	t.Parallel()
	settings := settingsIn(t.TempDir())
	mustClose(t, open(t, settings))
	if err := os.Rename(settings.KeyFile, settings.KeyFile+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), settings); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without the key: %v, want that it does not exist", err)
	}
	if _, err := os.Stat(settings.KeyFile); !errors.Is(err, os.ErrNotExist) {
		t.Error("a new key was made for an old journal")
	}
	if _, err := journal.LoadOrCreateKeys(settings.KeyFile); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), settings); !errors.Is(err, journal.ErrTampered) {
		t.Errorf("with another key: %v, want ErrTampered", err)
	}
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	settings := settingsIn(t.TempDir())
	store := open(t, settings)
	mustAppend(t, store, 1)
	for _, path := range []string{settings.Path, settings.Path + "-wal", settings.KeyFile} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
	}
}

func TestJournalOpensTwiceInARowButNotAtOnce(t *testing.T) {
	t.Parallel()
	settings := settingsIn(t.TempDir())
	store := open(t, settings)
	if _, err := sqlite.Open(t.Context(), settings); !errors.Is(err, journal.ErrLocked) {
		t.Errorf("Open: %v, want ErrLocked", err)
	}
	mustClose(t, store)
	mustClose(t, open(t, settings))
}

func TestPathsMayHoldAnything(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "50% of a?b=c&d #1 ö")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	settings := settingsIn(dir)
	store := open(t, settings)
	mustAppend(t, store, 1)
	mustClose(t, store)
	report, err := sqlite.Verify(t.Context(), settings.Path, publicKey(t, settings), journal.VerifyOptions{})
	if err != nil || report.Entries != 1 {
		t.Errorf("Verify: %+v, %v", report, err)
	}
}

// TestReadOnlyCopyCanBeVerified has the copy where nothing can be written, and looks for leftovers.
func TestReadOnlyCopyCanBeVerified(t *testing.T) {
	t.Parallel()
	s := newSpecimen(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "evidence.db")
	if err := os.WriteFile(path, []byte(read(t, s.settings.Path)), 0o400); err != nil {
		t.Fatal(err)
	}
	if bad := s.verify(t, path, s.anchors).FirstBad; bad != nil {
		t.Errorf("first bad is %v", bad)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("verification left %v, %v", files, err)
	}
}

func TestTornCheckpointFileIsGoneOnWith(t *testing.T) {
	t.Parallel()
	s := newSpecimen(t)
	text := read(t, s.settings.CheckpointFile)
	for _, cut := range []int{1, 2, 30, 100, 150, 250} {
		if err := os.WriteFile(s.settings.CheckpointFile, []byte(text[:len(text)-cut]), 0o600); err != nil {
			t.Fatal(err)
		}
		mustClose(t, open(t, s.settings))
		anchors := journal.SplitCheckpoints(read(t, s.settings.CheckpointFile))
		report := s.verify(t, s.settings.Path, anchors)
		if report.FirstBad != nil || report.UnanchoredTail != 0 {
			t.Errorf("%d bytes short: %+v, %v", cut, report, report.FirstBad)
		}
	}
}

func TestCheckpointFileOfAnotherJournalIsRefused(t *testing.T) {
	t.Parallel()
	s, other := newSpecimen(t), newSpecimen(t)
	settings := s.settings
	settings.CheckpointFile = other.settings.CheckpointFile
	if _, err := sqlite.Open(t.Context(), settings); !errors.Is(err, journal.ErrTampered) {
		t.Errorf("Open: %v, want ErrTampered", err)
	}
	// A journal that was removed must not be begun anew as if nothing had been.
	settings = s.settings
	settings.Path = filepath.Join(t.TempDir(), "journal.db")
	if _, err := sqlite.Open(t.Context(), settings); !errors.Is(err, journal.ErrTampered) {
		t.Errorf("Open of a new journal: %v, want ErrTampered", err)
	}
}

func TestCloseLeavesNothingRunning(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	settings := settingsIn(t.TempDir())
	settings.CheckpointFile = filepath.Join(t.TempDir(), "checkpoints")
	store, err := sqlite.Open(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, store, 1)
	for range store.Entries(t.Context(), journal.Filter{}) {
	}
	mustClose(t, store)
	if _, err := os.Stat(settings.Path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the log is still there: %v", err)
	}
	goleak.VerifyNone(t, ignore)
}

// TestQueueIsBounded holds the database's lock so that nothing can be written.
func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	settings := settingsIn(t.TempDir())
	store := open(t, settings)
	db, err := sql.Open("sqlite", settings.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	connection, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := connection.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	const callers = 1500
	results := make(chan error, callers)
	for range callers {
		go func() {
			r := journaltest.Record(1)
			r.Evaluation.ID = uuid.NewString()
			results <- store.Append(ctx(), r)
		}()
	}
	first := <-results // before the lock is given back
	if _, err := connection.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(first, journal.ErrUnavailable) {
		t.Errorf("the first to return got %v, want ErrUnavailable", first)
	}
	written := 0
	for range callers - 1 {
		if err := <-results; err == nil {
			written++
		}
	}
	if written < 1000 || written == callers {
		t.Errorf("%d of %d were written, want what the queue holds", written, callers)
	}
}
