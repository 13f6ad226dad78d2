package sqlite_test

import (
	"database/sql"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/gateway/internal/journal"
	"github.com/countersign/countersign/gateway/internal/journal/journaltest"
	"github.com/countersign/countersign/gateway/internal/journal/sqlite"
)

// attack is one way to tamper, and what verification says of it without and with anchors.
type attack struct {
	do           func(tampered)
	alone        *journal.Fault
	withAnchors  *journal.Fault
	openTampered bool // the gateway refuses to go on from there
}

func fault(kind journal.FaultKind, seq int64, evaluationID string) *journal.Fault {
	return &journal.Fault{Seq: seq, Kind: kind, EvaluationID: evaluationID}
}

func attacks(s specimen, stranger *journal.Keys) map[string]attack {
	return map[string]attack{
		"insert a copy at the end": {
			do: func(c tampered) {
				r := c.row(7)
				r.Seq, r.EvaluationID = entries+1, "copy"
				c.put(r)
			},
			alone: fault(journal.Changed, entries+1, "copy"), withAnchors: fault(journal.Changed, entries+1, "copy"), openTampered: true,
		},
		"insert an entry with a right hash": {
			do: func(c tampered) {
				c.shift(17)
				r := c.row(3)
				r.EvaluationID = "forged"
				c.put(c.forge(stranger, c.row(16), r))
			},
			alone: fault(journal.Inserted, 17, "forged"), withAnchors: fault(journal.Inserted, 17, "forged"), openTampered: true,
		},
		"move everything up by one": {
			do:    func(c tampered) { c.shift(1) },
			alone: fault(journal.Missing, 1, ""), withAnchors: fault(journal.Missing, 1, ""), openTampered: true,
		},
		"change an entry and its hash": {
			do: func(c tampered) {
				r := c.row(17)
				r.Outcome = "approved"
				c.put(c.forge(stranger, c.row(16), r))
			},
			alone: fault(journal.Changed, 17, "evaluation-17"), withAnchors: fault(journal.Changed, 17, "evaluation-17"),
		},
		"change the last entry and its hash": {
			do: func(c tampered) {
				r := c.row(entries)
				r.Outcome = "approved"
				c.put(c.forge(stranger, c.row(entries-1), r))
			},
			alone: fault(journal.Forked, 41, "evaluation-41"), withAnchors: fault(journal.Forked, 41, "evaluation-41"), openTampered: true,
		},
		"write everything anew from somewhere": {
			do:    func(c tampered) { c.rewrite(stranger, 17) },
			alone: fault(journal.Forked, 11, "evaluation-11"), withAnchors: fault(journal.Forked, 11, "evaluation-11"), openTampered: true,
		},
		"write everything anew and sign it with another key": {
			do: func(c tampered) {
				c.rewrite(stranger, 17)
				c.sign(stranger, s, 20, 30, 40, entries)
			},
			alone: fault(journal.BadCheckpoint, 20, ""), withAnchors: fault(journal.Forked, 11, "evaluation-11"), openTampered: true,
		},
		"cut entries off": {
			do:    func(c tampered) { c.exec("DELETE FROM entries WHERE seq > 33") },
			alone: fault(journal.Truncated, 34, ""), withAnchors: fault(journal.Truncated, 34, ""), openTampered: true,
		},
		"cut entries off with the checkpoints that count them": {
			do: func(c tampered) {
				c.exec("DELETE FROM entries WHERE seq > 33")
				c.exec("DELETE FROM checkpoints WHERE size > 33")
			},
			alone: nil, withAnchors: fault(journal.Truncated, 34, ""),
		},
		"cut everything off": {
			do: func(c tampered) {
				c.exec("DELETE FROM entries")
				c.exec("DELETE FROM checkpoints WHERE size > 0")
			},
			alone: nil, withAnchors: fault(journal.Truncated, 1, ""),
		},
		"remove a checkpoint from between": {
			do:    func(c tampered) { c.exec("DELETE FROM checkpoints WHERE size = 20") },
			alone: fault(journal.BadCheckpoint, 30, ""), withAnchors: fault(journal.BadCheckpoint, 30, ""),
		},
		"remove all checkpoints": {
			do:    func(c tampered) { c.exec("DELETE FROM checkpoints") },
			alone: fault(journal.BadCheckpoint, 0, ""), withAnchors: fault(journal.BadCheckpoint, 0, ""), openTampered: true,
		},
		"file a checkpoint under another size": {
			do:    func(c tampered) { c.exec("UPDATE checkpoints SET size = 21 WHERE size = 20") },
			alone: fault(journal.BadCheckpoint, 21, ""), withAnchors: fault(journal.BadCheckpoint, 21, ""),
		},
		"give the journal another id": {
			do:    func(c tampered) { c.exec("UPDATE journal SET id = 'another'") },
			alone: fault(journal.BadCheckpoint, 0, ""), withAnchors: fault(journal.BadCheckpoint, 0, ""), openTampered: true,
		},
		"take the journal's id": {
			do:    func(c tampered) { c.exec("DELETE FROM journal") },
			alone: fault(journal.BadCheckpoint, 0, ""), withAnchors: fault(journal.BadCheckpoint, 0, ""), openTampered: true,
		},
		"add a trigger": {
			do: func(c tampered) {
				c.exec("CREATE TRIGGER t AFTER INSERT ON entries WHEN NEW.outcome = 'denied' BEGIN UPDATE entries SET outcome = 'approved' WHERE seq = NEW.seq; END")
			},
			alone: fault(journal.BadForm, 0, ""), withAnchors: fault(journal.BadForm, 0, ""), openTampered: true,
		},
		"put a view in place of the entries": {
			do: func(c tampered) {
				c.exec("ALTER TABLE entries RENAME TO hidden")
				c.exec("CREATE VIEW entries AS SELECT * FROM hidden WHERE seq < 10")
			},
			alone: fault(journal.BadForm, 0, ""), withAnchors: fault(journal.BadForm, 0, ""), openTampered: true,
		},
	}
}

// rewrite changes an entry and links everything after it anew.
func (c tampered) rewrite(stranger *journal.Keys, from int64) {
	before := c.row(from - 1)
	for seq := from; seq <= entries; seq++ {
		r := c.row(seq)
		r.Outcome = "approved"
		before = c.forge(stranger, before, r)
		c.put(before)
	}
}

// sign replaces checkpoints by ones that a stranger signed.
func (c tampered) sign(stranger *journal.Keys, s specimen, sizes ...int64) {
	first, err := journal.OpenCheckpoint(s.anchors[0], s.public)
	if err != nil {
		c.Fatal(err)
	}
	for _, size := range sizes {
		head := journal.Head{Seq: size, Hash: c.row(size).Hash}
		signed, err := stranger.Sign(journal.Checkpoint{JournalID: first.JournalID, Head: head, Time: first.Time})
		if err != nil {
			c.Fatal(err)
		}
		c.exec("UPDATE checkpoints SET note = ? WHERE size = ?", signed, size)
	}
}

func TestVerifyFindsAttacks(t *testing.T) {
	t.Parallel()
	s := newSpecimen(t)
	for name, attack := range attacks(s, s.strangersKeys(t)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := s.tamper(t, attack.do)
			for who, test := range map[string]struct {
				anchors []string
				want    *journal.Fault
			}{"alone": {nil, attack.alone}, "with anchors": {s.anchors, attack.withAnchors}} {
				bad := s.verify(t, path, test.anchors).FirstBad
				if bad != nil {
					t.Logf("%s: %s", who, bad)
					bad.What = ""
				}
				if !equal(bad, test.want) {
					t.Errorf("%s: first bad is %v, want %v", who, bad, test.want)
				}
			}
			s.checkOpen(t, path, attack.openTampered)
		})
	}
}

func equal(a, b *journal.Fault) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

// checkOpen opens a tampered copy as the gateway does, without a checkpoint file.
func (s specimen) checkOpen(t *testing.T, path string, tampered bool) {
	t.Helper()
	settings := s.settings
	settings.Path, settings.CheckpointFile = path, ""
	store, err := sqlite.Open(t.Context(), settings)
	if err == nil {
		mustClose(t, store)
	}
	if got := err != nil && strings.Contains(err.Error(), journal.ErrTampered.Error()); got != tampered {
		t.Errorf("Open: %v, want tampered %t", err, tampered)
	}
}

func TestVerifyRefusesAnotherKey(t *testing.T) {
	t.Parallel()
	s := newSpecimen(t)
	s.public = s.strangersKeys(t).Public()
	if bad := s.verify(t, s.settings.Path, nil).FirstBad; bad == nil || bad.Kind != journal.BadCheckpoint {
		t.Errorf("first bad is %v", bad)
	}
	if _, err := sqlite.Verify(t.Context(), s.settings.Path, "not a key", journal.VerifyOptions{}); err == nil {
		t.Error("a text that is no key is taken for one")
	}
}

func TestVerifyRefusesAnchorsOfAnotherJournal(t *testing.T) {
	t.Parallel()
	s, other := newSpecimen(t), newSpecimen(t)
	if bad := s.verify(t, s.settings.Path, other.anchors).FirstBad; bad == nil || bad.Kind != journal.BadCheckpoint {
		t.Errorf("first bad is %v", bad)
	}
}

// TestYesterdaysCopyIsRefused is about a journal put back to an earlier state with which the gateway
// went on: both branches are signed with the right key.
func TestYesterdaysCopyIsRefused(t *testing.T) {
	t.Parallel()
	s := newSpecimen(t)
	yesterday := s.tamper(t, func(tampered) {})
	store := open(t, s.settings)
	for n := entries + 1; n <= entries+20; n++ {
		mustAppend(t, store, n)
	}
	mustClose(t, store)
	anchors := journal.SplitCheckpoints(read(t, s.settings.CheckpointFile))

	settings := s.settings
	settings.Path = yesterday
	if _, err := sqlite.Open(t.Context(), settings); err == nil || !strings.Contains(err.Error(), "tampered") {
		t.Errorf("Open with the checkpoint file: %v, want ErrTampered", err)
	}
	settings.CheckpointFile = ""
	store = open(t, settings)
	for n := 1000; n < 1040; n++ {
		mustAppend(t, store, n)
	}
	mustClose(t, store)
	if bad := s.verify(t, yesterday, nil).FirstBad; bad != nil {
		t.Errorf("alone it is found: %v", bad)
	}
	bad := s.verify(t, yesterday, anchors).FirstBad
	if bad == nil || bad.Seq != entries+1 || bad.Kind != journal.Forked || bad.EvaluationID != "evaluation-1000" {
		t.Errorf("first bad is %v, want the first entry that is not the other's", bad)
	}
}

// TestForgedTailIsNotContinued is about entries after the last checkpoint, which the public key
// cannot tell apart: the gateway does not sign them.
func TestForgedTailIsNotContinued(t *testing.T) {
	t.Parallel()
	s := newSpecimen(t)
	stranger := s.strangersKeys(t)
	path := s.tamper(t, func(c tampered) {
		r := c.row(1)
		r.EvaluationID, r.RequestKey, r.At = "forged", "key", r.At+1
		c.put(c.forge(stranger, c.row(entries), r))
	})
	report := s.verify(t, path, s.anchors)
	if report.FirstBad != nil || report.UncoveredTail != 1 {
		t.Errorf("report is %+v, want one entry that is not covered", report)
	}
	s.checkOpen(t, path, true)
}

// TestForgedAnswersAreNotRepeated writes to the file under a running gateway.
func TestForgedAnswersAreNotRepeated(t *testing.T) {
	t.Parallel()
	s := newSpecimen(t)
	store := open(t, s.settings)
	stranger := s.strangersKeys(t)
	db, err := sql.Open("sqlite", s.settings.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	c := tampered{fataler: t, db: db}
	r := c.row(entries)
	r.EvaluationID, r.RequestKey = "forged", "key"
	c.put(c.forge(stranger, c.row(entries), r))
	answers, err := store.Answered(t.Context(), "key")
	if err == nil || !strings.Contains(err.Error(), "tampered") || len(answers) != 0 {
		t.Errorf("Answered = %v, %v, want ErrTampered", answers, err)
	}
	if e, err := store.Find(t.Context(), "forged"); err != nil || e.Intact {
		t.Errorf("Find = %v, %v, want an entry that is not intact", e.Intact, err)
	}
	// The number that the stranger took is no longer free, and what he wrote is not continued.
	if err := store.Append(t.Context(), journaltest.Record(2000)); err == nil {
		t.Error("the journal goes on after a forged entry")
	}
}

// TestVerifyReadsAJournalInUse runs while entries are written.
func TestVerifyReadsAJournalInUse(t *testing.T) {
	t.Parallel()
	s := newSpecimen(t)
	store := open(t, s.settings)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 1000; n < 1300; n++ {
			if err := store.Append(ctx(), journaltest.Record(n)); err != nil {
				t.Error(err)
			}
		}
	}()
	for range 10 {
		if bad := s.verify(t, s.settings.Path, s.anchors).FirstBad; bad != nil {
			t.Errorf("first bad is %v", bad)
		}
	}
	<-done
}

// TestVerifyNeverFailsOnRandomDamage flips bytes of the file itself: nothing may panic, and what is
// reported as sound must be sound.
func TestVerifyNeverFailsOnRandomDamage(t *testing.T) {
	t.Parallel()
	s := newSpecimen(t)
	text := []byte(read(t, s.settings.Path))
	path := filepath.Join(t.TempDir(), "journal.db")
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		damaged := append([]byte{}, text...)
		damaged[random.IntN(len(damaged))] ^= byte(1 + random.IntN(255))
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		report, err := sqlite.Verify(t.Context(), path, s.public, journal.VerifyOptions{Anchors: s.anchors})
		if err == nil && report.FirstBad == nil && report.Entries != entries {
			t.Fatalf("sound with %d entries", report.Entries)
		}
	}
}
