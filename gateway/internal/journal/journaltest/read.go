package journaltest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gateway/internal/journal"
	"github.com/countersign/countersign/gateway/internal/pim"
)

// sameRequest is record n under the request key of record 0.
func sameRequest(n int) journal.Record {
	r := Record(n)
	r.RequestKey = Record(0).RequestKey
	return r
}

func (b *bench) answered(t *testing.T, requestKey string) []string {
	t.Helper()
	answers, err := b.Answered(t.Context(), requestKey)
	if err != nil {
		t.Fatalf("Answered: %v", err)
	}
	ids := []string{}
	for _, a := range answers {
		ids = append(ids, a.EvaluationID)
	}
	return ids
}

func repeatsAnswers(t *testing.T, b *bench) {
	t.Helper()
	b.append(t, Record(0))
	b.pass(time.Minute)
	b.append(t, sameRequest(1))
	got, err := b.Answered(t.Context(), Record(0).RequestKey)
	if err != nil {
		t.Fatal(err)
	}
	want := []journal.Answered{
		{Digest: Record(1).Digest, Answer: Record(1).Answer, EvaluationID: "evaluation-1", At: start().Add(time.Minute)},
		{Digest: Record(0).Digest, Answer: Record(0).Answer, EvaluationID: "evaluation-0", At: start()},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func forgetsAfterWindow(t *testing.T, b *bench) {
	t.Helper()
	b.append(t, Record(0))
	b.pass(b.settings.Window)
	if got := b.answered(t, Record(0).RequestKey); len(got) != 1 {
		t.Errorf("at the end of the window there are %v", got)
	}
	b.pass(time.Nanosecond)
	if got := b.answered(t, Record(0).RequestKey); len(got) != 0 {
		t.Errorf("after the window there are %v", got)
	}
}

func repeatsAfterRestart(t *testing.T, b *bench) {
	t.Helper()
	b.append(t, Record(0))
	b.restart(t)
	b.append(t, sameRequest(1))
	want := []string{"evaluation-1", "evaluation-0"}
	if diff := cmp.Diff(want, b.answered(t, Record(0).RequestKey)); diff != "" {
		t.Error(diff)
	}
}

func keepsRequestsApart(t *testing.T, b *bench) {
	t.Helper()
	nameless := Record(1)
	nameless.RequestKey = ""
	b.append(t, Record(0), nameless)
	for _, key := range []string{"", "%", Record(0).RequestKey + " ", Record(0).RequestKey[:10]} {
		if got := b.answered(t, key); len(got) != 0 {
			t.Errorf("Answered(%q) = %v", key, got)
		}
	}
}

func ids(numbers ...int) []string {
	names := []string{}
	for _, n := range numbers {
		names = append(names, fmt.Sprintf("evaluation-%d", n))
	}
	return names
}

func iteratesInOrder(t *testing.T, b *bench) {
	t.Helper()
	b.append(t, Record(3), Record(1), Record(2))
	if diff := cmp.Diff(ids(3, 1, 2), b.list(t, journal.Filter{})); diff != "" {
		t.Errorf("ascending: %s", diff)
	}
	if diff := cmp.Diff(ids(2, 1, 3), b.list(t, journal.Filter{NewestFirst: true})); diff != "" {
		t.Errorf("newest first: %s", diff)
	}
}

func iteratesOverPages(t *testing.T, b *bench) {
	t.Helper()
	const entries = 600
	all, third := []int{}, []int{}
	for n := range entries {
		b.append(t, Record(n))
		all = append(all, n)
		if n%3 == 1 {
			third = append(third, n)
		}
	}
	if diff := cmp.Diff(ids(all...), b.list(t, journal.Filter{})); diff != "" {
		t.Errorf("all: %s", diff)
	}
	if diff := cmp.Diff(ids(third...), b.list(t, journal.Filter{Outcome: pim.Approved})); diff != "" {
		t.Errorf("approved: %s", diff)
	}
	if got := b.list(t, journal.Filter{NewestFirst: true, Limit: 300}); len(got) != 300 || got[299] != "evaluation-300" {
		t.Errorf("newest first: %d entries", len(got))
	}
}

func filters(t *testing.T, b *bench) {
	t.Helper()
	for n := range 9 {
		b.append(t, Record(n))
		b.pass(time.Minute)
	}
	at := func(minutes int) time.Time { return start().Add(time.Duration(minutes) * time.Minute) }
	for name, test := range map[string]struct {
		filter journal.Filter
		want   []string
	}{
		"after":             {journal.Filter{After: 7}, ids(7, 8)},
		"before":            {journal.Filter{Before: 3}, ids(0, 1)},
		"between":           {journal.Filter{After: 2, Before: 5, NewestFirst: true}, ids(3, 2)},
		"since":             {journal.Filter{Since: at(7)}, ids(7, 8)},
		"until":             {journal.Filter{Until: at(2)}, ids(0, 1)},
		"a while":           {journal.Filter{Since: at(2), Until: at(4), NewestFirst: true}, ids(3, 2)},
		"no time":           {journal.Filter{Since: at(30)}, ids()},
		"after all of them": {journal.Filter{After: 9}, ids()},
		"outcome":           {journal.Filter{Outcome: pim.AutoApproved}, ids(2, 5, 8)},
		"no such outcome":   {journal.Filter{Outcome: "granted"}, ids()},
		"principal":         {journal.Filter{Principal: "principal-1"}, ids(1, 4, 7)},
		"limit":             {journal.Filter{Limit: 2}, ids(0, 1)},
		"limit, from new":   {journal.Filter{Limit: 2, NewestFirst: true}, ids(8, 7)},
		"everything": {
			journal.Filter{After: 1, Before: 9, Since: at(1), Until: at(8), Outcome: pim.Approved, Principal: "principal-1", Limit: 2, NewestFirst: true},
			ids(7, 4),
		},
		"contradiction": {journal.Filter{Outcome: pim.Denied, Principal: "principal-1"}, ids()},
	} {
		if diff := cmp.Diff(test.want, b.list(t, test.filter)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func stopsIterating(t *testing.T, b *bench) {
	t.Helper()
	b.append(t, Record(0), Record(1), Record(2))
	for e, err := range b.Entries(t.Context(), journal.Filter{}) {
		if err != nil || e.EvaluationID != "evaluation-0" {
			t.Fatalf("first entry is %s, %v", e.EvaluationID, err)
		}
		// Appending meanwhile must not wait for the reader.
		b.append(t, Record(3))
		break
	}
}

func (b *bench) checkChain(t *testing.T, entries int64) {
	t.Helper()
	var last journal.Entry
	for e, err := range b.Entries(t.Context(), journal.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Seq != last.Seq+1 || last.Seq > 0 && e.Prev != last.Hash || !e.Intact {
			t.Fatalf("entry %d does not follow entry %d", e.Seq, last.Seq)
		}
		last = e
	}
	if last.Seq != entries {
		t.Errorf("there are %d entries, want %d", last.Seq, entries)
	}
}

func linksEntries(t *testing.T, b *bench) {
	t.Helper()
	b.append(t, Record(0), Record(1), Record(2))
	b.checkChain(t, 3)
}

func goesOnAfterRestart(t *testing.T, b *bench) {
	t.Helper()
	for n := range 5 {
		b.append(t, Record(n))
		b.restart(t)
	}
	b.checkChain(t, 5)
}
