// Package journaltest says what every driver of a journal has to do, as tests that a driver runs.
package journaltest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/gateway/internal/journal"
	"github.com/countersign/countersign/gateway/internal/pim"
)

// Opener opens a journal with the settings. The suite opens the same settings again to restart.
type Opener func(t *testing.T, s journal.Settings) journal.Journal

// Run runs the suite. Each test has a journal of its own.
func Run(t *testing.T, open Opener) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *bench){
		"finds what was appended":               findsWhatWasAppended,
		"knows no other evaluation":             knowsNoOther,
		"keeps numbers exactly":                 keepsNumbers,
		"keeps any text":                        keepsAnyText,
		"records an evaluation once":            recordsOnce,
		"refuses what has no id":                refusesWithoutID,
		"records infinite facts":                recordsInfiniteFacts,
		"repeats answers, newest first":         repeatsAnswers,
		"forgets answers after the window":      forgetsAfterWindow,
		"repeats answers after a restart":       repeatsAfterRestart,
		"keeps requests apart":                  keepsRequestsApart,
		"hides the justification":               hidesJustification,
		"keeps the justification when told":     keepsJustification,
		"hides the justification in arguments":  hidesJustificationInArguments,
		"iterates in order":                     iteratesInOrder,
		"iterates over pages":                   iteratesOverPages,
		"filters":                               filters,
		"stops iterating when told":             stopsIterating,
		"links every entry to the one before":   linksEntries,
		"goes on with the chain after restart":  goesOnAfterRestart,
		"serves many callers":                   servesManyCallers,
		"gives up with its caller":              givesUpWithCaller,
		"says that it can be written":           saysThatItCanBeWritten,
		"refuses everything once closed":        refusesOnceClosed,
		"can be closed twice and while in use":  closesWhileInUse,
		"copies a checkpoint when it is closed": copiesCheckpointOnClose,
		"copies a checkpoint every n entries":   copiesCheckpointEvery,
		"copies a checkpoint after a while":     copiesCheckpointAfterWhile,
		"copies every checkpoint once":          copiesEveryCheckpointOnce,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newBench(t, open))
		})
	}
}

// bench is one journal, its settings and its clock.
type bench struct {
	journal.Journal
	open     Opener
	settings journal.Settings
	elapsed  atomic.Int64
}

// start is when the suite's clock starts.
func start() time.Time { return time.Date(2026, 10, 1, 8, 0, 0, 0, time.UTC) }

func newBench(t *testing.T, open Opener) *bench {
	t.Helper()
	dir := t.TempDir()
	b := &bench{open: open}
	b.settings = journal.Settings{
		Path: filepath.Join(dir, "journal.db"), KeyFile: filepath.Join(dir, "journal.key"),
		CheckpointFile: filepath.Join(dir, "checkpoints"), CheckpointEvery: 1000, CheckpointInterval: time.Hour,
		Window: time.Hour, Now: func() time.Time { return start().Add(time.Duration(b.elapsed.Load())) },
	}
	b.restart(t)
	return b
}

// restart closes the journal and opens it with the settings as they are now.
func (b *bench) restart(t *testing.T) {
	t.Helper()
	if b.Journal != nil {
		b.close(t)
	}
	b.Journal = b.open(t, b.settings)
	t.Cleanup(func() { _ = b.Close() })
}

func (b *bench) close(t *testing.T) {
	t.Helper()
	if err := b.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

func (b *bench) pass(d time.Duration) { b.elapsed.Add(int64(d)) }

func (b *bench) append(t *testing.T, records ...journal.Record) {
	t.Helper()
	for _, r := range records {
		if err := b.Append(t.Context(), r); err != nil {
			t.Fatalf("Append(%s): %v", r.Evaluation.ID, err)
		}
	}
}

func (b *bench) find(t *testing.T, id string) journal.Entry {
	t.Helper()
	e, err := b.Find(t.Context(), id)
	if err != nil {
		t.Fatalf("Find(%s): %v", id, err)
	}
	return e
}

// list returns the ids of the entries that the filter selects.
func (b *bench) list(t *testing.T, f journal.Filter) []string {
	t.Helper()
	ids := []string{}
	for e, err := range b.Entries(t.Context(), f) {
		if err != nil {
			t.Fatalf("Entries: %v", err)
		}
		ids = append(ids, e.EvaluationID)
	}
	return ids
}

// checkpoints reads the copied checkpoints.
func (b *bench) checkpoints(t *testing.T) []journal.Checkpoint {
	t.Helper()
	text, err := os.ReadFile(b.settings.CheckpointFile)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	public, err := os.ReadFile(b.settings.KeyFile + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	var opened []journal.Checkpoint
	for _, signed := range journal.SplitCheckpoints(string(text)) {
		c, err := journal.OpenCheckpoint(signed, string(public))
		if err != nil {
			t.Fatalf("checkpoint %q: %v", signed, err)
		}
		opened = append(opened, c)
	}
	return opened
}

// Record is a record like those of a gateway, different for each n.
func Record(n int) journal.Record {
	a := pim.Activation{
		Provider: pim.EntraRole, Stage: pim.PreApproval, Action: pim.SelfActivate,
		TenantID: "2a6c4b36-5d39-4c5e-8c39-6b8d7f9b7f01", RequestID: fmt.Sprintf("request-%d", n),
		PrincipalID: fmt.Sprintf("principal-%d", n%3), RequestedBy: fmt.Sprintf("principal-%d", n%3),
		RoleID: "62e90394-69f5-4237-9190-012177145e10", Scope: "/", StartsAt: start(), Duration: 2 * time.Hour,
		Ticket:        pim.Ticket{Number: fmt.Sprintf("CHG%07d", n), System: "servicenow"},
		Justification: fmt.Sprintf("Rolling out CHG%07d for the payments team", n),
	}
	e := pim.Evaluation{
		ID: fmt.Sprintf("evaluation-%d", n), ReceivedAt: start(), DecidedAt: start().Add(time.Second),
		Caller:     pim.Caller{TenantID: a.TenantID, AppID: "01fc33a7-78ba-4d2f-a4b7-768e336e890e", TokenVersion: "2.0"},
		RequestKey: a.RequestKey(), Activation: a, Findings: []pim.Finding{finding(n)}, Decision: decision(n),
		Budget: []pim.Span{{Part: "gather", Given: 5 * time.Second, Used: 180 * time.Millisecond}},
	}
	return journal.Record{
		Evaluation: e, RequestKey: a.RequestKey(), Digest: a.Digest(),
		Answer: fmt.Appendf(nil, `{"outcome":%q,"n":%d}`, e.Decision.Returned, n),
	}
}

func finding(n int) pim.Finding {
	return pim.Finding{
		Ask: pim.Ask{
			Connector: "itsm", Capability: "countersign.ticket.v1.TicketService/GetTicket",
			Arguments: map[string]any{"number": fmt.Sprintf("CHG%07d", n)}, MaxAge: time.Minute,
		},
		Found: true,
		Facts: map[string]pim.Fact{
			"kind":         {State: pim.Known, Value: "change"},
			"approval":     {State: pim.Known, Value: "approved"},
			"priority":     {State: pim.Known, Value: int64(2)},
			"window_start": {State: pim.Known, Value: start()},
			"assignee":     {State: pim.None},
			"cab_notes":    {State: pim.Unknown},
		},
		ObservedAt: start(), Took: 120 * time.Millisecond, Attempts: 1, UpstreamRequestID: "d5a0",
	}
}

func decision(n int) pim.Decision {
	outcome := []pim.Outcome{pim.Denied, pim.Approved, pim.AutoApproved}[n%3]
	return pim.Decision{
		Recommended: outcome, Returned: outcome, Reasons: []string{"Your change covers this activation."},
		Policies: []string{"production"}, PolicyRevision: "5f0c",
		Rules: []pim.RuleResult{{
			Policy: "production", Mode: pim.Enforce, Rule: "change-is-open", Kind: pim.Require, Truth: pim.True,
			Used: []string{"ticket.kind", "ticket.approval"}, Decisive: true,
		}},
	}
}
