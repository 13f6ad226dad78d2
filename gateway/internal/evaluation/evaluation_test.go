package evaluation_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign/countersign/gateway/internal/evaluation"
	"github.com/countersign/countersign/gateway/internal/journal"
	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/policy"
)

func TestDecisionIsRecordedBeforeItIsAnswered(t *testing.T) {
	t.Parallel()
	h := build(t, allowing, evaluation.Settings{})
	answer := h.Answer(delivery(body(someID, "PT2H")))
	if got := outcome(t, answer); got != "Approved" {
		t.Fatalf("outcome %s, want Approved", got)
	}
	records := h.journal.all()
	if len(records) != 1 || !bytes.Equal(records[0].Answer, answer) {
		t.Fatalf("recorded %d entries, want the one that was answered", len(records))
	}
}

func TestWithoutARecordNothingIsGranted(t *testing.T) {
	t.Parallel()
	h := build(t, allowing, evaluation.Settings{})
	h.journal.err = journal.ErrUnavailable
	if got := outcome(t, h.Answer(delivery(body(someID, "PT2H")))); got != "Denied" {
		t.Errorf("outcome %s, want Denied", got)
	}
}

func TestWhatCouldNotBeRecordedIsRecordedOnceItCan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := build(t, allowing, evaluation.Settings{})
		h.journal.fail(journal.ErrUnavailable)
		answer := h.Answer(delivery(body(someID, "PT2H")))
		time.Sleep(time.Minute)
		h.journal.fail(nil)
		time.Sleep(time.Minute)
		if records := h.journal.all(); len(records) != 1 || !bytes.Equal(records[0].Answer, answer) {
			t.Errorf("%d records, want what was answered", len(records))
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestFailuresLockNobodyOutOfARehearsal(t *testing.T) {
	t.Parallel()
	h := build(t, rehearsing, evaluation.Settings{})
	h.journal.err = journal.ErrUnavailable
	if got := outcome(t, h.Answer(delivery(body(someID, "PT2H")))); got != "Approved" {
		t.Errorf("outcome %s, want Approved", got)
	}
}

func TestMalformedBodyIsDeniedAndRecorded(t *testing.T) {
	t.Parallel()
	h := build(t, allowing, evaluation.Settings{})
	for name, c := range map[string]evaluation.Callout{
		"no JSON":     delivery([]byte("{")),
		"case twins":  delivery([]byte(`{"principalId":"a","PrincipalId":"b"}`)),
		"bad arrival": {Stage: pim.PreApproval, Problem: errors.New("torn"), ReceivedAt: time.Now()},
	} {
		if got := outcome(t, h.Answer(c)); got != "Denied" {
			t.Errorf("%s: outcome %s, want Denied", name, got)
		}
	}
	for _, r := range h.journal.all() {
		if r.Evaluation.Decision.Cause != "malformed_callout" {
			t.Errorf("cause %q, want malformed_callout", r.Evaluation.Decision.Cause)
		}
	}
	if n := len(h.journal.all()); n != 3 {
		t.Errorf("%d records, want 3", n)
	}
}

func TestHardStopAnswersWhateverElseRuns(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*house){
		"deaf connectors": func(h *house) { h.gatherer.deaf, h.gatherer.wait = true, time.Hour },
		"slow journal":    func(h *house) { h.journal.delay = 8 * time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := build(t, allowing, evaluation.Settings{})
				spoil(h)
				begun := time.Now()
				first := h.Answer(delivery(body(someID, "PT2H")))
				if took := time.Since(begun); took > 6500*time.Millisecond {
					t.Errorf("answered after %v, want within 6.5s", took)
				}
				if got := outcome(t, first); got != "Denied" {
					t.Errorf("outcome %s, want Denied", got)
				}
				if err := h.Close(); err != nil {
					t.Fatal(err)
				}
				records := h.journal.all()
				if len(records) == 0 || !bytes.Equal(records[len(records)-1].Answer, first) {
					t.Errorf("the last of %d records is not what was answered", len(records))
				}
				if again := h.Answer(delivery(body(someID, "PT2H"))); !bytes.Equal(first, again) {
					t.Errorf("a repeat was told %s, not %s", again, first)
				}
			})
		})
	}
}

func TestPanicInAPolicyIsADenialAndTheGatewayLives(t *testing.T) {
	t.Parallel()
	h := build(t, allowing, evaluation.Settings{})
	right := h.Policies
	var broken atomic.Bool
	broken.Store(true)
	h.Policies = func() *policy.Set {
		if broken.Load() {
			panic("bug")
		}
		return right()
	}
	if got := outcome(t, h.Answer(delivery(body(someID, "PT2H")))); got != "Denied" {
		t.Errorf("outcome %s, want Denied", got)
	}
	broken.Store(false)
	if got := outcome(t, h.Answer(delivery(body("22222222-2222-4222-8222-222222222222", "PT2H")))); got != "Approved" {
		t.Errorf("afterwards %s, want Approved", got)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if records := h.journal.all(); len(records) != 2 {
		t.Errorf("%d records, want both answers", len(records))
	}
}

func TestJournalThatCannotBeReadGrantsNothing(t *testing.T) {
	t.Parallel()
	h := build(t, allowing, evaluation.Settings{})
	h.journal.unreadable = errors.New("one entry was tampered with")
	if got := outcome(t, h.Answer(delivery(body(someID, "PT2H")))); got != "Denied" {
		t.Errorf("outcome %s, want Denied: PIM may have been told something else before", got)
	}
	if h.gatherer.calls != 0 {
		t.Error("connectors were asked")
	}
}

func TestPanicIsADenial(t *testing.T) {
	t.Parallel()
	h := build(t, allowing, evaluation.Settings{})
	h.gatherer.panic = true
	if got := outcome(t, h.Answer(delivery(body(someID, "PT2H")))); got != "Denied" {
		t.Errorf("outcome %s, want Denied", got)
	}
}

func TestOverloadIsDeniedAndRecorded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := build(t, allowing, evaluation.Settings{InFlight: 1})
		h.gatherer.wait = time.Second
		var first sync.WaitGroup
		first.Go(func() { h.Answer(delivery(body(someID, "PT2H"))) })
		synctest.Wait()
		begun := time.Now()
		shed := h.Answer(delivery(body("22222222-2222-4222-8222-222222222222", "PT2H")))
		if got := outcome(t, shed); got != "Denied" {
			t.Errorf("outcome %s, want Denied", got)
		}
		if took := time.Since(begun); took != 100*time.Millisecond {
			t.Errorf("shed after %v, want 100ms", took)
		}
		first.Wait()
		if n := len(h.journal.all()); n != 2 {
			t.Errorf("%d records, want 2", n)
		}
	})
}

func TestUnknownMembersAreReportedOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := build(t, allowing, evaluation.Settings{Logger: slog.New(slog.NewJSONHandler(&log, nil))})
	for i := range 3 {
		id := fmt.Sprintf("%08d-1111-4111-8111-111111111111", i)
		text := bytes.Replace(body(id, "PT2H"), []byte("{"), []byte(`{"correlationId":"x",`), 1)
		if got := outcome(t, h.Answer(delivery(text))); got != "Approved" {
			t.Fatalf("outcome %s, want Approved", got)
		}
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), `"member":"correlationId"`); n != 1 {
		t.Errorf("reported %d times, want once", n)
	}
}

func TestFullQueueIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := build(t, allowing, evaluation.Settings{InFlight: 1, Queue: 1})
		h.gatherer.wait = time.Second
		var others sync.WaitGroup
		for i := range 2 {
			others.Go(func() { h.Answer(delivery(body(fmt.Sprintf("%08d-1111-4111-8111-111111111111", i), "PT2H"))) })
			synctest.Wait()
		}
		begun := time.Now()
		h.Answer(delivery(body(someID, "PT2H")))
		if took := time.Since(begun); took != 0 {
			t.Errorf("waited %v behind a full queue", took)
		}
		others.Wait()
	})
}

func TestGivingUpAccessIsApprovedWhateverFails(t *testing.T) {
	t.Parallel()
	h := build(t, allowing, evaluation.Settings{})
	h.journal.err = journal.ErrUnavailable
	giveUp := []byte(`{"id":"` + someID + `","action":"selfDeactivate","principalId":"3cce9d87-3986-4f19-8335-7ed075408ca2",` +
		`"roleDefinitionId":"fe930be7-5e62-47db-91af-98c3a49a38b1","directoryScopeId":"/"}`)
	if got := outcome(t, h.Answer(delivery(giveUp))); got != "Approved" {
		t.Errorf("outcome %s, want Approved", got)
	}
}

func TestBudgetLeavesTimeForRecordAndAnswer(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{time.Second, 5 * time.Second, 10 * time.Second, time.Minute} {
		due := min(timeout*65/100, 15*time.Second)
		b := evaluation.NewBudget(due)
		if b.Facts <= due/2 || b.Stop-b.Facts < 100*time.Millisecond || due-b.Stop < 19*time.Millisecond {
			t.Errorf("timeout %v, due %v: %+v", timeout, due, b)
		}
	}
}
