package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/countersign/countersign/gateway/internal/journal"
	"github.com/countersign/countersign/gateway/internal/journal/journaltest"
	"github.com/countersign/countersign/gateway/internal/journal/sqlite"
)

const (
	entries         = 45
	checkpointEvery = 10 // checkpoints at 0, 10, 20, 30, 40 and, from Close, 45
)

// specimen is a closed journal to be tampered with, and what an auditor has of it.
type specimen struct {
	dir      string
	settings journal.Settings
	public   string
	anchors  []string
}

func newSpecimen(t testing.TB) specimen {
	t.Helper()
	dir := t.TempDir()
	s := specimen{dir: dir, settings: journal.Settings{
		Path: filepath.Join(dir, "journal.db"), KeyFile: filepath.Join(dir, "journal.key"),
		CheckpointFile: filepath.Join(dir, "checkpoints"), CheckpointEvery: checkpointEvery,
	}}
	store := open(t, s.settings)
	for n := 1; n <= entries; n++ {
		mustAppend(t, store, n)
	}
	mustClose(t, store)
	s.public = read(t, s.settings.KeyFile+".pub")
	s.anchors = journal.SplitCheckpoints(read(t, s.settings.CheckpointFile))
	return s
}

func mustAppend(t testing.TB, store *sqlite.Store, n int) {
	t.Helper()
	if err := store.Append(t.Context(), journaltest.Record(n)); err != nil {
		t.Fatal(err)
	}
}

func mustClose(t testing.TB, store *sqlite.Store) {
	t.Helper()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// fataler is what testing.T and rapid.T have in common.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// tampered is a copy of the specimen in the hands of somebody who can write to it.
type tampered struct {
	fataler
	path string
	db   *sql.DB
}

func (s specimen) tamper(t fataler, tamper func(tampered)) string {
	t.Helper()
	dir, err := os.MkdirTemp(s.dir, "copy")
	if err != nil {
		t.Fatal(err)
	}
	c := tampered{fataler: t, path: filepath.Join(dir, "journal.db")}
	text, err := os.ReadFile(s.settings.Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if c.db, err = sql.Open("sqlite", c.path+"?_pragma=synchronous(OFF)"); err != nil {
		t.Fatal(err)
	}
	tamper(c)
	if err := c.db.Close(); err != nil {
		t.Fatal(err)
	}
	return c.path
}

func (c tampered) exec(statement string, arguments ...any) {
	c.Helper()
	if _, err := c.db.Exec(statement, arguments...); err != nil {
		c.Fatalf("%s: %v", statement, err)
	}
}

func (c tampered) row(seq int64) journal.Row {
	c.Helper()
	var r journal.Row
	var prev, seal, hash []byte
	err := c.db.QueryRow("SELECT seq, at, evaluation_id, request_key, digest, outcome, principal, answer, body, prev, seal, hash FROM entries WHERE seq = ?", seq).
		Scan(&r.Seq, &r.At, &r.EvaluationID, &r.RequestKey, &r.Digest, &r.Outcome, &r.Principal, &r.Answer, &r.Body, &prev, &seal, &hash)
	if err != nil {
		c.Fatal(err)
	}
	r.Prev, r.Seal, r.Hash = journal.HashFrom(prev), journal.HashFrom(seal), journal.HashFrom(hash)
	return r
}

func (c tampered) put(r journal.Row) {
	c.Helper()
	c.exec("INSERT OR REPLACE INTO entries VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", r.Seq, r.At, r.EvaluationID, r.RequestKey, r.Digest,
		r.Outcome, r.Principal, r.Answer, r.Body, r.Prev[:], r.Seal[:], r.Hash[:])
}

// shift makes room for an entry.
func (c tampered) shift(from int) {
	c.Helper()
	c.exec("UPDATE entries SET seq = -seq - 1 WHERE seq >= ?", from)
	c.exec("UPDATE entries SET seq = -seq WHERE seq < 0")
}

// forge links a row after another with a stranger's key, so that its hash is right and its seal is not.
func (c tampered) forge(stranger *journal.Keys, before journal.Row, r journal.Row) journal.Row {
	stranger.Append(journal.Head{Seq: before.Seq, Hash: before.Hash}, time.Unix(0, r.At), &r)
	return r
}

// ctx is for what outlives a test or has none.
func ctx() context.Context { return context.Background() }

func (s specimen) verify(t fataler, path string, anchors []string) journal.Report {
	t.Helper()
	report, err := sqlite.Verify(ctx(), path, s.public, journal.VerifyOptions{Anchors: anchors})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func (s specimen) strangersKeys(t *testing.T) *journal.Keys {
	t.Helper()
	stranger, err := journal.LoadOrCreateKeys(filepath.Join(t.TempDir(), "stranger.key"))
	if err != nil {
		t.Fatal(err)
	}
	return stranger
}

func TestVerifyFindsNothingWrongWithAnHonestJournal(t *testing.T) {
	t.Parallel()
	s := newSpecimen(t)
	for name, anchors := range map[string][]string{"alone": nil, "with anchors": s.anchors} {
		report := s.verify(t, s.settings.Path, anchors)
		if report.FirstBad != nil || report.Entries != entries || report.UncoveredTail != 0 || report.Head == (journal.Hash{}) {
			t.Errorf("%s: %+v", name, report)
		}
		if want := int64(entries); anchors == nil && (report.Checkpoints != 6 || report.UnanchoredTail != want) {
			t.Errorf("%s: %+v", name, report)
		}
		if anchors != nil && (report.Checkpoints != 12 || report.UnanchoredTail != 0) {
			t.Errorf("%s: %+v", name, report)
		}
	}
}

// TestVerifyNamesEveryChangedByte changes random bytes of random entries, column after column.
func TestVerifyNamesEveryChangedByte(t *testing.T) {
	t.Parallel()
	s := newSpecimen(t)
	for _, column := range []string{
		"at", "evaluation_id", "request_key", "digest", "outcome", "principal", "answer", "body", "prev", "seal", "hash",
	} {
		t.Run(column, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(uint64(len(column)), 1))
			for range 20 {
				seq := 1 + random.Int64N(entries)
				path := s.tamper(t, func(c tampered) { c.changeByte(random, "entries", column, "seq", seq) })
				bad := s.verify(t, path, nil).FirstBad
				if bad == nil || bad.Seq != seq || bad.Kind != journal.Changed {
					t.Fatalf("first bad is %v, want entry %d", bad, seq)
				}
				if want := fmt.Sprintf("evaluation-%d", seq); column != "evaluation_id" && bad.EvaluationID != want {
					t.Fatalf("first bad is %v, want %s", bad, want)
				}
			}
		})
	}
}

// changeByte flips bits of one byte of one value, whatever its type.
func (c tampered) changeByte(random *rand.Rand, table, column, key string, value int64) {
	c.Helper()
	var kind string
	var stored []byte
	query := fmt.Sprintf("SELECT typeof(%s), CAST(%s AS BLOB) FROM %s WHERE %s = ?", column, column, table, key)
	if err := c.db.QueryRow(query, value).Scan(&kind, &stored); err != nil {
		c.Fatal(err)
	}
	change := byte(1 + random.IntN(255))
	if column == "evaluation_id" {
		change |= 0x80 // never the id of another entry, which the table refuses
	}
	if kind == "integer" {
		bits := int64(change) << (8 * random.IntN(7))
		// SQL has no exclusive or.
		c.exec(fmt.Sprintf("UPDATE %[1]s SET %[2]s = (%[2]s | ?1) - (%[2]s & ?1) WHERE %[3]s = ?2", table, column, key), bits, value)
		return
	}
	stored[random.IntN(len(stored))] ^= change
	c.exec(fmt.Sprintf("UPDATE %s SET %s = CAST(? AS %s) WHERE %s = ?", table, column, kind, key), stored, value)
}

func TestVerifyNamesChangedNumbers(t *testing.T) {
	t.Parallel()
	s := newSpecimen(t)
	rapid.Check(t, func(t *rapid.T) {
		seq := rapid.Int64Range(1, entries).Draw(t, "seq")
		other := rapid.OneOf(rapid.Int64Range(entries+1, 1<<40), rapid.Int64Range(-1<<40, 0)).Draw(t, "other")
		path := s.tamper(t, func(c tampered) { c.exec("UPDATE entries SET seq = ? WHERE seq = ?", other, seq) })
		if bad := s.verify(t, path, nil).FirstBad; bad == nil || bad.Seq != min(seq, other) {
			t.Fatalf("entry %d became %d, and first bad is %v", seq, other, bad)
		}
	})
}

func TestVerifyNamesChangedCheckpoints(t *testing.T) {
	t.Parallel()
	s := newSpecimen(t)
	random := rand.New(rand.NewPCG(3, 4))
	for range 30 {
		size := random.Int64N(5) * checkpointEvery
		path := s.tamper(t, func(c tampered) { c.changeByte(random, "checkpoints", "note", "size", size) })
		if bad := s.verify(t, path, nil).FirstBad; bad == nil || bad.Seq != size || bad.Kind != journal.BadCheckpoint {
			t.Fatalf("first bad is %v, want checkpoint %d", bad, size)
		}
	}
}

func TestVerifyNamesRemovedEntries(t *testing.T) {
	t.Parallel()
	s := newSpecimen(t)
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Int64Range(1, entries).Draw(t, "first")
		last := rapid.Int64Range(first, entries).Draw(t, "last")
		path := s.tamper(t, func(c tampered) { c.exec("DELETE FROM entries WHERE seq BETWEEN ? AND ?", first, last) })
		want := journal.Missing
		if last == entries {
			want = journal.Truncated
		}
		if bad := s.verify(t, path, nil).FirstBad; bad == nil || bad.Seq != first || bad.Kind != want {
			t.Fatalf("first bad is %v, want %s at %d", bad, want, first)
		}
	})
}

func TestVerifyNamesSwappedEntries(t *testing.T) {
	t.Parallel()
	s := newSpecimen(t)
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Int64Range(1, entries-1).Draw(t, "first")
		second := rapid.Int64Range(first+1, entries).Draw(t, "second")
		path := s.tamper(t, func(c tampered) {
			c.exec("UPDATE entries SET seq = -1 WHERE seq = ?", first)
			c.exec("UPDATE entries SET seq = ? WHERE seq = ?", first, second)
			c.exec("UPDATE entries SET seq = ? WHERE seq = -1", second)
		})
		bad := s.verify(t, path, nil).FirstBad
		if bad == nil || bad.Seq != first || bad.Kind != journal.Reordered || bad.EvaluationID != fmt.Sprintf("evaluation-%d", second) {
			t.Fatalf("%d and %d were swapped, and first bad is %v", first, second, bad)
		}
	})
}
