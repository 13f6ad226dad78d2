package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/countersign/countersign/connectors/connectortest"
	"github.com/countersign/countersign/gateway/internal/fleet"
	"github.com/countersign/countersign/gateway/internal/gather"
	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/policy"
)

const onCallPolicy = `
policies:
  - name: on-call
    applies_to: {groups: {ids: ["*"]}}
    ask: {duty: {connector: roster, capability: oncall, args: {email: "'ada@example.com'", service: "'PAYMENTS'"}}}
    rules: [{name: on-call, auto_approve: duty.on_call}]
    otherwise: approve
`

const rota = `
shifts:
  - {email: ada@example.com, service: PAYMENTS, level: 1, permanent: true, via: direct}
`

// TestFactsThatAreNoLongerSoNeverSkipAPerson: a file that cannot be read any more keeps its facts, which
// then are good enough for PIM's normal workflow and for nothing else.
func TestFactsThatAreNoLongerSoNeverSkipAPerson(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "rota.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(rota)
	path, digest := connectortest.Build(t, module+"/plugins/roster")
	f, problems := fleet.Start(t.Context(), []fleet.Spec{{
		Name: "roster", Path: path, SHA256: digest, Allow: []string{"oncall"},
		Settings: map[string]any{"shifts_file": file, "poll_every": "1s"},
	}}, fleet.Options{})
	if f == nil {
		t.Fatal(problems)
	}
	defer f.Close(t.Context())
	g := gather.New(f, gather.Settings{})
	defer g.Close()
	offer := f.Offers()[0]
	set, wrong := policy.Load([]policy.Source{{File: "p.yaml", Data: []byte(onCallPolicy)}},
		[]policy.Connector{{Name: offer.Connector, Capabilities: offer.Capabilities}}, policy.Options{})
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	decide := func() pim.Decision {
		plan := set.Plan(pim.Activation{Provider: pim.Group, Stage: pim.PreApproval, Action: pim.SelfActivate, Access: pim.Member}, time.Now())
		return plan.Decide(g.Gather(t.Context(), plan))
	}
	if got := decide().Returned; got != pim.AutoApproved {
		t.Fatalf("with a good file %s, want auto_approved", got)
	}
	write("shifts: [")
	deadline := time.Now().Add(30 * time.Second)
	for decide().Returned == pim.AutoApproved {
		if time.Now().After(deadline) {
			t.Fatal("still auto-approved half a minute after the file broke")
		}
		time.Sleep(250 * time.Millisecond)
	}
	if d := decide(); d.Returned != pim.Approved || !d.Rules[0].Stale {
		t.Errorf("decision %+v, want an approval on stale facts", d)
	}
}
