package journaltest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gateway/internal/journal"
	"github.com/countersign/countersign/gateway/internal/pim"
)

func findsWhatWasAppended(t *testing.T, b *bench) {
	t.Helper()
	r := Record(1)
	b.append(t, Record(0), r, Record(2))
	got := b.find(t, r.Evaluation.ID)
	if got.Seq != 2 || !got.Time.Equal(start()) || !got.Intact {
		t.Errorf("entry is number %d of %s, intact %t", got.Seq, got.Time, got.Intact)
	}
	if got.EvaluationID != r.Evaluation.ID || got.RequestKey != r.RequestKey || got.Digest != r.Digest {
		t.Errorf("columns are %q %q %q", got.EvaluationID, got.RequestKey, got.Digest)
	}
	if !bytes.Equal(got.Answer, r.Answer) {
		t.Errorf("answer is %q, want %q", got.Answer, r.Answer)
	}
	want := r.Evaluation
	want.Activation.Justification = ""
	want.Findings[0].Facts["priority"] = pim.Fact{State: pim.Known, Value: json.Number("2")}
	want.Findings[0].Facts["window_start"] = pim.Fact{State: pim.Known, Value: start().Format(time.RFC3339Nano)}
	if diff := cmp.Diff(want, got.Evaluation); diff != "" {
		t.Errorf("evaluation: %s", diff)
	}
}

func knowsNoOther(t *testing.T, b *bench) {
	t.Helper()
	b.append(t, Record(1))
	if _, err := b.Find(t.Context(), "evaluation-2"); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("Find: %v, want ErrNotFound", err)
	}
}

func keepsNumbers(t *testing.T, b *bench) {
	t.Helper()
	r := Record(1)
	values := map[string]any{"least": int64(math.MinInt64), "most": uint64(math.MaxUint64), "odd": int64(1<<53 + 1), "tenth": 0.1}
	kinds := map[string]pim.Kind{"least": pim.Int, "most": pim.Uint, "odd": pim.Int, "tenth": pim.Double}
	for name, value := range values {
		r.Evaluation.Findings[0].Facts[name] = pim.Fact{State: pim.Known, Value: value}
	}
	b.append(t, r)
	facts := b.find(t, r.Evaluation.ID).Evaluation.Findings[0].Facts
	for name, want := range values {
		if got, ok := (pim.Type{Kind: kinds[name]}).Restore(facts[name].Value); !ok || got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// keepsAnyText is about the columns; JSON has no way to keep bytes that are not UTF-8.
func keepsAnyText(t *testing.T, b *bench) {
	t.Helper()
	for i, text := range []string{"", "a\x00b", "\x00", "\xff\xfe", "'; DROP TABLE entries; --", "naïve ☃ \u2028", "<&>"} {
		r := Record(i)
		r.RequestKey, r.Digest, r.Answer = "key "+text, text, []byte(text)
		r.Evaluation.Activation.PrincipalID = text
		r.Evaluation.Decision.Reasons = []string{text}
		b.append(t, r)
		if e := b.find(t, r.Evaluation.ID); !e.Intact || e.RequestKey != r.RequestKey || e.Digest != text || string(e.Answer) != text {
			t.Errorf("%q comes back as %q %q %q, intact %t", text, e.RequestKey, e.Digest, e.Answer, e.Intact)
		}
		if answers, err := b.Answered(t.Context(), r.RequestKey); err != nil || len(answers) != 1 {
			t.Errorf("Answered(%q) = %v, %v", r.RequestKey, answers, err)
		}
	}
	r := Record(100)
	r.Answer = nil
	b.append(t, r)
}

func recordsOnce(t *testing.T, b *bench) {
	t.Helper()
	b.append(t, Record(1))
	other := Record(1)
	other.Answer = []byte("another")
	err := b.Append(t.Context(), other)
	if !errors.Is(err, journal.ErrDuplicate) || !errors.Is(err, journal.ErrUnavailable) {
		t.Errorf("Append: %v, want ErrDuplicate and ErrUnavailable", err)
	}
	if got := b.find(t, "evaluation-1"); !bytes.Equal(got.Answer, Record(1).Answer) {
		t.Errorf("answer is now %q", got.Answer)
	}
	b.append(t, Record(2))
	if got := b.find(t, "evaluation-2"); got.Seq != 2 {
		t.Errorf("the next entry has number %d, want 2", got.Seq)
	}
}

func refusesWithoutID(t *testing.T, b *bench) {
	t.Helper()
	r := Record(1)
	r.Evaluation.ID = ""
	if err := b.Append(t.Context(), r); !errors.Is(err, journal.ErrUnavailable) {
		t.Errorf("Append: %v, want ErrUnavailable", err)
	}
	b.append(t, Record(2))
}

func recordsInfiniteFacts(t *testing.T, b *bench) {
	t.Helper()
	r := Record(1)
	r.Evaluation.Findings[0].Facts["load"] = pim.Fact{State: pim.Known, Value: []any{math.Inf(-1), 1.5}}
	b.append(t, r)
	got := b.find(t, r.Evaluation.ID).Evaluation.Findings[0].Facts["load"].Value
	want := []any{math.Inf(-1), 1.5}
	if got, ok := (pim.Type{Kind: pim.List, Elem: &pim.Type{Kind: pim.Double}}).Restore(got); !ok || !cmp.Equal(got, any(want)) {
		t.Errorf("fact is %v, want %v", got, want)
	}
}

func hidesJustification(t *testing.T, b *bench) {
	t.Helper()
	r, same := Record(1), Record(2)
	r.Evaluation.Activation.Justification = "Ärger mit chg0030001, PAY-77 und PAY-77 (#4711)"
	same.Evaluation.Activation.Justification = r.Evaluation.Activation.Justification
	b.append(t, r, same, Record(3))
	first, second, third := b.find(t, "evaluation-1"), b.find(t, "evaluation-2"), b.find(t, "evaluation-3")
	if bytes.Contains(first.Body, []byte("Ärger")) || first.Evaluation.Activation.Justification != "" {
		t.Errorf("the text is in %s", first.Body)
	}
	want := journal.Justification{Hash: first.Justification.Hash, Length: 47, Tickets: []string{"#4711", "CHG0030001", "PAY-77"}}
	if diff := cmp.Diff(want, first.Justification); diff != "" || len(want.Hash) != 64 {
		t.Errorf("justification: %s", diff)
	}
	if first.Justification.Hash != second.Justification.Hash || first.Justification.Hash == third.Justification.Hash {
		t.Error("hashes do not tell equal texts from different ones")
	}
}

func keepsJustification(t *testing.T, b *bench) {
	t.Helper()
	b.settings.KeepJustification = true
	b.restart(t)
	r := Record(1)
	b.append(t, r)
	got := b.find(t, r.Evaluation.ID)
	if got.Evaluation.Activation.Justification != r.Evaluation.Activation.Justification || got.Justification.Length == 0 {
		t.Errorf("justification is %q, %+v", got.Evaluation.Activation.Justification, got.Justification)
	}
}

func hidesJustificationInArguments(t *testing.T, b *bench) {
	t.Helper()
	r := Record(1)
	text := r.Evaluation.Activation.Justification
	r.Evaluation.Findings[0].Ask.Arguments = map[string]any{"quote": "He says: " + text, "nested": []any{map[string]any{"text": text}}, "number": "CHG0000001"}
	b.append(t, r)
	got := b.find(t, r.Evaluation.ID)
	if bytes.Contains(got.Body, []byte(text)) {
		t.Errorf("the text is in %s", got.Body)
	}
	if got.Evaluation.Findings[0].Ask.Arguments["number"] != "CHG0000001" {
		t.Errorf("other arguments changed: %v", got.Evaluation.Findings[0].Ask.Arguments)
	}
	if r.Evaluation.Findings[0].Ask.Arguments["quote"] != "He says: "+text {
		t.Error("the caller's evaluation changed")
	}
}

func servesManyCallers(t *testing.T, b *bench) {
	t.Helper()
	const callers, each = 64, 8
	var group sync.WaitGroup
	for caller := range callers {
		group.Go(func() {
			for i := range each {
				r := Record(caller*each + i)
				if err := b.Append(t.Context(), r); err != nil {
					t.Errorf("Append: %v", err)
				}
				if e, err := b.Find(t.Context(), r.Evaluation.ID); err != nil || !e.Intact {
					t.Errorf("Find right after Append: %v", err)
				}
			}
		})
	}
	group.Wait()
	if got := len(b.list(t, journal.Filter{})); got != callers*each {
		t.Errorf("there are %d entries, want %d", got, callers*each)
	}
}

func givesUpWithCaller(t *testing.T, b *bench) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := b.Append(ctx, Record(1))
	if !errors.Is(err, journal.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("Append: %v, want ErrUnavailable and context.Canceled", err)
	}
	b.append(t, Record(2))
	// An answer that was not given must not be there to be repeated.
	if got := b.list(t, journal.Filter{}); len(got) != 1 || got[0] != "evaluation-2" {
		t.Errorf("there are %v, want what somebody waited for", got)
	}
}

func saysThatItCanBeWritten(t *testing.T, b *bench) {
	t.Helper()
	b.append(t, Record(1))
	if err := b.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
	if got := b.list(t, journal.Filter{}); len(got) != 1 {
		t.Errorf("Check added an entry: %v", got)
	}
}

func refusesOnceClosed(t *testing.T, b *bench) {
	t.Helper()
	b.close(t)
	for name, err := range map[string]error{"Append": b.Append(t.Context(), Record(1)), "Check": b.Check(t.Context())} {
		if !errors.Is(err, journal.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", name, err)
		}
	}
	if _, err := b.Answered(t.Context(), "key"); err == nil {
		t.Error("Answered succeeds")
	}
	for _, err := range b.Entries(t.Context(), journal.Filter{}) {
		if err == nil {
			t.Error("Entries succeeds")
		}
	}
}

// closesWhileInUse looks for records that were acknowledged around Close and are not there.
func closesWhileInUse(t *testing.T, b *bench) {
	t.Helper()
	var group sync.WaitGroup
	acknowledged := make([]bool, 200)
	for i := range acknowledged {
		group.Go(func() { acknowledged[i] = b.Append(t.Context(), Record(i)) == nil })
		if i == len(acknowledged)/2 {
			group.Go(func() { b.close(t) })
		}
	}
	group.Wait()
	b.close(t)
	b.restart(t)
	for i, ok := range acknowledged {
		if ok {
			b.find(t, fmt.Sprintf("evaluation-%d", i))
		}
	}
}
