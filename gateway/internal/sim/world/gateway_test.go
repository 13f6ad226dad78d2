package world_test

import (
	"context"
	"io/fs"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/configs/demo"
	"github.com/countersign/countersign/gateway/internal/entra"
	"github.com/countersign/countersign/gateway/internal/evaluation"
	"github.com/countersign/countersign/gateway/internal/gather"
	"github.com/countersign/countersign/gateway/internal/httpapi"
	"github.com/countersign/countersign/gateway/internal/journal"
	"github.com/countersign/countersign/gateway/internal/policy"
	"github.com/countersign/countersign/gateway/internal/sim/world"
)

// policies are those of the demonstration.
func policies(t *testing.T) *policy.Set {
	t.Helper()
	names, err := fs.Glob(demo.Files(), "policies/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("policies %v: %v", names, err)
	}
	var sources []policy.Source
	for _, name := range names {
		text, err := fs.ReadFile(demo.Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, policy.Source{File: name, Data: text})
	}
	set, problems := policy.Load(sources, connectors(), policy.Options{FactBudget: 2 * time.Second})
	if len(problems) > 0 {
		t.Fatalf("policies:\n%v", problems)
	}
	return set
}

// startGateway starts every room of the serving path but the plugins, whose place the oracle takes, and
// the disk.
func startGateway(t *testing.T, w *world.World) string {
	t.Helper()
	verifier, err := entra.New(t.Context(), entra.Settings{
		Authority: w.Tenant.Authority(), TenantID: w.Tenant.ID(), ClientID: w.Tenant.ClientID(), AppIDURI: w.Tenant.AppIDURI(),
	})
	if err != nil {
		t.Fatal(err)
	}
	set := policies(t)
	gatherer := gather.New(oracle{w}, gather.Settings{Linger: 100 * time.Millisecond})
	evaluator := evaluation.New(evaluation.Settings{
		Policies: func() *policy.Set { return set }, Gatherer: gatherer, Journal: &memory{}, Budget: evaluation.NewBudget(w.Limit()),
	})
	server := httptest.NewServer(httpapi.Callouts{Verifier: verifier, Answerer: evaluator}.Handler())
	t.Cleanup(func() {
		server.Close()
		for name, closing := range map[string]func() error{"evaluator": evaluator.Close, "gatherer": gatherer.Close, "verifier": verifier.Close} {
			if err := closing(); err != nil {
				t.Errorf("close %s: %v", name, err)
			}
		}
	})
	return server.URL
}

// memory is a journal without a disk.
type memory struct {
	mu      sync.Mutex
	records []journal.Record
}

func (m *memory) Append(_ context.Context, r journal.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records = append(m.records, r)
	return nil
}

func (m *memory) Answered(_ context.Context, key string) ([]journal.Answered, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var answers []journal.Answered
	for _, r := range slices.Backward(m.records) {
		if r.RequestKey == key {
			answers = append(answers, journal.Answered{Digest: r.Digest, Answer: r.Answer, EvaluationID: r.Evaluation.ID})
		}
	}
	return answers, nil
}
