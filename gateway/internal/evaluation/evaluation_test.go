package evaluation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign/countersign/gateway/internal/evaluation"
	"github.com/countersign/countersign/gateway/internal/gather"
	"github.com/countersign/countersign/gateway/internal/journal"
	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/policy"
)

const tenant = "aaaabbbb-0000-cccc-1111-dddd2222eeee"

// memory is a journal whose disk can be slow or broken.
type memory struct {
	mu      sync.Mutex
	records []journal.Record
	err     error
	delay   time.Duration
	// unreadable is the error of reading alone.
	unreadable error
}

func (m *memory) Append(ctx context.Context, r journal.Record) error {
	m.mu.Lock()
	delay, err := m.delay, m.err
	m.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		// Like the real one: the record may be written all the same.
		err = errors.Join(journal.ErrUnavailable, ctx.Err())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records = append(m.records, r)
	return err
}

func (m *memory) Answered(_ context.Context, key string) ([]journal.Answered, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var answers []journal.Answered
	for _, r := range slices.Backward(m.records) {
		if r.RequestKey == key {
			answers = append(answers, journal.Answered{Digest: r.Digest, Answer: r.Answer, EvaluationID: r.Evaluation.ID, At: r.Evaluation.DecidedAt})
		}
	}
	return answers, m.unreadable
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

func (m *memory) all() []journal.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]journal.Record(nil), m.records...)
}

// gatherer stands for the connectors: it waits and then finds what it was told.
type gatherer struct {
	wait  time.Duration
	deaf  bool
	panic bool
	calls int
	mu    sync.Mutex
}

func (g *gatherer) Gather(ctx context.Context, _ gather.Plan) map[pim.AskKey]pim.Finding {
	g.mu.Lock()
	g.calls++
	g.mu.Unlock()
	if g.panic {
		panic("bug")
	}
	if g.deaf {
		time.Sleep(g.wait)
		return nil
	}
	select {
	case <-time.After(g.wait):
	case <-ctx.Done():
	}
	return nil
}

const allowing = `
policies:
  - name: short
    applies_to: {entra_roles: {roles: ["*"]}}
    rules: [{name: short, require: 'activation.duration <= duration("4h")', reason: Too long.}]
    otherwise: approve
`

const rehearsing = `
policies:
  - name: rehearsal
    mode: shadow
    applies_to: {entra_roles: {roles: ["*"]}}
    otherwise: deny
`

func load(t *testing.T, text string) *policy.Set {
	t.Helper()
	set, problems := policy.Load([]policy.Source{{File: "policies.yaml", Data: []byte(text)}}, nil, policy.Options{})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return set
}

type house struct {
	journal  *memory
	gatherer *gatherer
	*evaluation.Evaluator
}

func build(t *testing.T, policies string, s evaluation.Settings) *house {
	t.Helper()
	h := &house{journal: &memory{}, gatherer: &gatherer{}}
	set := load(t, policies)
	s.Policies = func() *policy.Set { return set }
	s.Gatherer, s.Journal = h.gatherer, h.journal
	if s.Budget.Stop == 0 {
		s.Budget = evaluation.NewBudget(6500 * time.Millisecond)
	}
	h.Evaluator = evaluation.New(s)
	return h
}

func body(id, duration string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"action":"selfActivate","principalId":"3cce9d87-3986-4f19-8335-7ed075408ca2",`+
		`"roleDefinitionId":"fe930be7-5e62-47db-91af-98c3a49a38b1","directoryScopeId":"/",`+
		`"scheduleInfo":{"startDateTime":"2026-09-14T08:52:32Z","expiration":{"type":"afterDuration","duration":%q}}}`, id, duration)
}

const someID = "911bab8a-6912-4de2-9dc0-2648ede7dd6d"

func delivery(body []byte) evaluation.Callout {
	return evaluation.Callout{Stage: pim.PreApproval, Caller: pim.Caller{TenantID: tenant}, Body: body, ReceivedAt: time.Now()}
}

func outcome(t *testing.T, answer []byte) string {
	t.Helper()
	var a struct {
		EvaluationOutcome string
		EvaluationID      string `json:"evaluationId"`
	}
	if err := json.Unmarshal(answer, &a); err != nil || a.EvaluationID == "" {
		t.Fatalf("answer %s: %v", answer, err)
	}
	return a.EvaluationOutcome
}

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

func TestDeliveriesThatDidNotArriveAreNotRepeatsOfEachOther(t *testing.T) {
	t.Parallel()
	h := build(t, allowing, evaluation.Settings{})
	torn := evaluation.Callout{Stage: pim.PreApproval, Problem: errors.New("torn"), ReceivedAt: time.Now()}
	if a, b := h.Answer(torn), h.Answer(torn); bytes.Equal(a, b) {
		t.Errorf("two deliveries share %s", a)
	}
}

func TestWithoutAnIDARepeatIsOneOnlyWhileItCanBeDelivered(t *testing.T) {
	t.Parallel()
	for name, restart := range map[string]bool{"in memory": false, "from the journal": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				anonymous := bytes.Replace(body(someID, "PT2H"), []byte(`"id":"`+someID+`",`), nil, 1)
				h := build(t, allowing, evaluation.Settings{Repeats: 30 * time.Second})
				first := h.Answer(delivery(anonymous))
				if restart {
					records := h.journal.all()
					h = build(t, allowing, evaluation.Settings{Repeats: 30 * time.Second})
					h.journal.records = records
				}
				time.Sleep(20 * time.Second)
				if again := h.Answer(delivery(anonymous)); !bytes.Equal(first, again) {
					t.Error("a retry got another answer")
				}
				time.Sleep(20 * time.Second)
				if later := h.Answer(delivery(anonymous)); bytes.Equal(first, later) {
					t.Error("a new activation got the answer of an old one")
				}
			})
		})
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

func TestRepeatsShareOneEvaluationAndItsBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := build(t, allowing, evaluation.Settings{})
		h.gatherer.wait = time.Second
		answers := make([][]byte, 10)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() { answers[i] = h.Answer(delivery(body(someID, "PT2H"))) })
		}
		all.Wait()
		for _, answer := range answers[1:] {
			if !bytes.Equal(answers[0], answer) {
				t.Fatalf("%s and %s differ", answers[0], answer)
			}
		}
		if h.gatherer.calls != 1 || len(h.journal.all()) != 1 {
			t.Errorf("gathered %d times, recorded %d times, want once", h.gatherer.calls, len(h.journal.all()))
		}
		restarted := build(t, allowing, evaluation.Settings{})
		restarted.journal.records = h.journal.all()
		if again := restarted.Answer(delivery(body(someID, "PT2H"))); !bytes.Equal(answers[0], again) {
			t.Errorf("after a restart %s, before %s", again, answers[0])
		}
	})
}

func TestOtherBodyUnderTheSameKeyIsEvaluatedAndFlagged(t *testing.T) {
	t.Parallel()
	for name, restart := range map[string]bool{"in memory": false, "from the journal": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t, allowing, evaluation.Settings{})
			if got := outcome(t, h.Answer(delivery(body(someID, "PT2H")))); got != "Approved" {
				t.Fatalf("outcome %s, want Approved", got)
			}
			if restart {
				records := h.journal.all()
				h = build(t, allowing, evaluation.Settings{})
				h.journal.records = records
			}
			if got := outcome(t, h.Answer(delivery(body(someID, "PT8H")))); got != "Denied" {
				t.Fatalf("the second body got %s; it must be decided on its own", got)
			}
			records := h.journal.all()
			if last := records[len(records)-1]; !last.Evaluation.Conflict {
				t.Error("the conflict is not flagged")
			}
		})
	}
}

func TestStageSeparatesRequests(t *testing.T) {
	t.Parallel()
	h := build(t, allowing, evaluation.Settings{})
	post := delivery(body(someID, "PT2H"))
	post.Stage = pim.PostApproval
	if a, b := h.Answer(delivery(body(someID, "PT2H"))), h.Answer(post); bytes.Equal(a, b) {
		t.Error("one answer for two stages")
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
