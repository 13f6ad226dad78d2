package journal_test

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/countersign/countersign/gateway/internal/journal"
	"github.com/countersign/countersign/gateway/internal/journal/journaltest"
)

const (
	journalID = "7d0a"
	entries   = 40
	interval  = 10
)

// ledger is a journal in memory.
type ledger struct {
	keys  *journal.Keys
	rows  []journal.Row
	filed []journal.Filed
}

func newLedger(t testing.TB) ledger {
	t.Helper()
	keys, _ := newKeys(t)
	l, codec, head := ledger{keys: keys}, journal.NewCodec(journal.Settings{}, keys), journal.Genesis(journalID)
	previous := journal.Hash{}
	for n := range entries + 1 {
		if n > 0 {
			row, err := codec.Row(journaltest.Record(n))
			if err != nil {
				t.Fatal(err)
			}
			head = keys.Append(head, time.Unix(int64(n), 0), &row)
			l.rows = append(l.rows, row)
		}
		if n%interval == 0 {
			c := journal.Checkpoint{JournalID: journalID, Head: head, Time: time.Unix(int64(n), 0).UTC(), Previous: previous}
			l.filed, previous = append(l.filed, journal.Filed{Size: head.Seq, Signed: sign(t, keys, c)}), c.Hash()
		}
	}
	return l
}

func (l ledger) copy() ledger {
	rows := slices.Clone(l.rows)
	for i := range rows {
		rows[i].Body, rows[i].Answer = slices.Clone(rows[i].Body), slices.Clone(rows[i].Answer)
	}
	return ledger{keys: l.keys, rows: rows, filed: slices.Clone(l.filed)}
}

func (l ledger) verify(t testing.TB, anchors ...string) journal.Report {
	t.Helper()
	report, err := journal.VerifyCopy(journal.Copy{JournalID: journalID, Rows: each(l.rows), Checkpoints: l.filed},
		l.keys.Public(), journal.VerifyOptions{Anchors: anchors})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func each(rows []journal.Row) iter.Seq2[journal.Row, error] {
	return func(yield func(journal.Row, error) bool) {
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	}
}

// flip changes one byte of a text.
func flip(random *rand.Rand, text string) string {
	changed := []byte(text)
	changed[random.IntN(len(changed))] ^= byte(1 + random.IntN(255))
	return string(changed)
}

// tampering changes the rows, and returns the number that has to be named.
type tampering func(random *rand.Rand, l *ledger) int64

func column(change func(random *rand.Rand, r *journal.Row)) tampering {
	return func(random *rand.Rand, l *ledger) int64 {
		i := random.IntN(entries)
		change(random, &l.rows[i])
		return int64(i + 1)
	}
}

func tamperings() map[string]tampering {
	change := func(random *rand.Rand) byte { return byte(1 + random.IntN(255)) }
	return map[string]tampering{
		"at":            column(func(r *rand.Rand, row *journal.Row) { row.At ^= int64(change(r)) << (8 * r.IntN(8)) }),
		"evaluation_id": column(func(r *rand.Rand, row *journal.Row) { row.EvaluationID = flip(r, row.EvaluationID) }),
		"request_key":   column(func(r *rand.Rand, row *journal.Row) { row.RequestKey = flip(r, row.RequestKey) }),
		"digest":        column(func(r *rand.Rand, row *journal.Row) { row.Digest = flip(r, row.Digest) }),
		"outcome":       column(func(r *rand.Rand, row *journal.Row) { row.Outcome = flip(r, row.Outcome) }),
		"principal":     column(func(r *rand.Rand, row *journal.Row) { row.Principal = flip(r, row.Principal) }),
		"answer":        column(func(r *rand.Rand, row *journal.Row) { row.Answer = []byte(flip(r, string(row.Answer))) }),
		"body":          column(func(r *rand.Rand, row *journal.Row) { row.Body[r.IntN(len(row.Body))] ^= change(r) }),
		"prev":          column(func(r *rand.Rand, row *journal.Row) { row.Prev[r.IntN(32)] ^= change(r) }),
		"seal":          column(func(r *rand.Rand, row *journal.Row) { row.Seal[r.IntN(32)] ^= change(r) }),
		"hash":          column(func(r *rand.Rand, row *journal.Row) { row.Hash[r.IntN(32)] ^= change(r) }),
		"delete": func(r *rand.Rand, l *ledger) int64 {
			i := r.IntN(entries)
			l.rows = slices.Delete(l.rows, i, i+1)
			return int64(i + 1)
		},
		"delete and renumber": func(r *rand.Rand, l *ledger) int64 {
			i := r.IntN(entries)
			l.rows = slices.Delete(l.rows, i, i+1)
			renumber(l.rows)
			return int64(i + 1)
		},
		"swap": func(r *rand.Rand, l *ledger) int64 {
			i, j := r.IntN(entries), r.IntN(entries-1)
			if j >= i {
				j++
			}
			l.rows[i], l.rows[j] = l.rows[j], l.rows[i]
			renumber(l.rows)
			return int64(min(i, j) + 1)
		},
		"duplicate": func(r *rand.Rand, l *ledger) int64 {
			i, j := r.IntN(entries), r.IntN(entries+1)
			l.rows = slices.Insert(l.rows, j, l.rows[i])
			renumber(l.rows)
			// A copy right before its original takes the original's place.
			if i == j {
				return int64(j + 2)
			}
			return int64(j + 1)
		},
		"repeat a number": func(r *rand.Rand, l *ledger) int64 {
			i := r.IntN(entries)
			l.rows = slices.Insert(l.rows, i, l.rows[i])
			return int64(i + 1)
		},
		"truncate": func(r *rand.Rand, l *ledger) int64 {
			i := r.IntN(entries)
			l.rows = l.rows[:i]
			return int64(i + 1)
		},
	}
}

func renumber(rows []journal.Row) {
	for i := range rows {
		rows[i].Seq = int64(i + 1)
	}
}

// TestEveryTamperingIsFoundAndNamed tampers ten thousand times at random.
func TestEveryTamperingIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	honest := newLedger(t)
	if report := honest.verify(t); report.FirstBad != nil || report.Entries != entries || report.Checkpoints != 5 {
		t.Fatalf("an honest journal: %+v", report)
	}
	times := 10_000 / len(tamperings())
	if testing.Short() {
		times /= 10
	}
	for name, tamper := range tamperings() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(uint64(len(name)), 5))
			for range times {
				l := honest.copy()
				want := tamper(random, &l)
				if bad := l.verify(t).FirstBad; bad == nil || bad.Seq != want {
					t.Fatalf("first bad is %v, want entry %d", bad, want)
				}
			}
		})
	}
}

// TestTailNeedsAnAnchor is about a journal without the checkpoints after the cut.
func TestTailNeedsAnAnchor(t *testing.T) {
	t.Parallel()
	honest := newLedger(t)
	cut := honest.copy()
	cut.rows, cut.filed = cut.rows[:25], cut.filed[:3]
	report := cut.verify(t)
	if report.FirstBad != nil || report.UncoveredTail != 5 || report.UnanchoredTail != 25 || report.Anchors != 0 {
		t.Errorf("without an anchor: %+v, %v", report, report.FirstBad)
	}
	report = cut.verify(t, honest.filed[2].Signed)
	if report.FirstBad != nil || report.UnanchoredTail != 5 || report.Anchors != 1 {
		t.Errorf("with an older anchor: %+v, %v", report, report.FirstBad)
	}
	bad := cut.verify(t, honest.filed[2].Signed, honest.filed[4].Signed).FirstBad
	if bad == nil || bad.Kind != journal.Truncated || bad.Seq != 26 {
		t.Errorf("with a newer anchor: %v", bad)
	}
}

func TestForkBetweenSignedBranchesIsFound(t *testing.T) {
	t.Parallel()
	honest := newLedger(t)
	fork := honest.copy()
	head := journal.Head{Seq: 20, Hash: fork.rows[19].Hash}
	for i := 20; i < entries; i++ {
		fork.rows[i].Outcome = "approved"
		head = honest.keys.Append(head, time.Unix(1, 0), &fork.rows[i])
	}
	fork.filed = fork.filed[:3]
	if report := fork.verify(t, honest.filed[2].Signed); report.FirstBad != nil {
		t.Errorf("an anchor from before the fork: %v", report.FirstBad)
	}
	bad := fork.verify(t, honest.filed[2].Signed, honest.filed[4].Signed).FirstBad
	if bad == nil || bad.Kind != journal.Forked || bad.Seq != 21 || bad.EvaluationID != "evaluation-21" {
		t.Errorf("an anchor from after it: %v", bad)
	}
}

func TestUnreadableCopyIsAnError(t *testing.T) {
	t.Parallel()
	l, broken := newLedger(t), errors.New("disk")
	rows := func(yield func(journal.Row, error) bool) {
		_ = yield(l.rows[0], nil) && yield(journal.Row{}, broken)
	}
	report, err := journal.VerifyCopy(journal.Copy{JournalID: journalID, Rows: rows, Checkpoints: l.filed}, l.keys.Public(), journal.VerifyOptions{})
	if !errors.Is(err, broken) || report.Entries != 1 || report.FirstBad != nil {
		t.Errorf("%+v, %v", report, err)
	}
	if _, err := journal.VerifyCopy(journal.Copy{}, "", journal.VerifyOptions{}); err == nil {
		t.Error("it verifies without a key")
	}
}

func ExampleFault() {
	fmt.Println(journal.Fault{Seq: 7, EvaluationID: "5f1c", Kind: journal.Changed, What: "its hash is not that of its columns"})
	// Output: changed at 7 (5f1c): its hash is not that of its columns
}
