package evaluation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
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
