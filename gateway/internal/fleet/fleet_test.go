package fleet_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/connectors/connectortest"
	"github.com/countersign/countersign/gateway/internal/fleet"
	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/policy"
)

const (
	vendorPlugin = "github.com/countersign/countersign/connectors/connectortest/acme/freeze"
	getFreeze    = "acme.freeze.v1.FreezeService/GetFreeze"
	canary       = "canary-5f2a8d0e"
)

// spec is the vendor's connector, whose proto no part of the gateway links.
func spec(t testing.TB) fleet.Spec {
	t.Helper()
	path, digest := connectortest.Build(t, vendorPlugin)
	return fleet.Spec{
		Name: "freezes", Path: path, SHA256: digest, Allow: []string{getFreeze},
		Settings: map[string]any{
			"region":    "emea",
			"api_token": "env:TOKEN",
			"freezes": []any{map[string]any{
				"team": "payments", "until": "2026-12-31T22:00:00Z", "reason": "closing",
				"owners": []any{"cto@example.com"}, "exceptions": map[string]any{"ledger": int64(2)},
			}},
		},
	}
}

func secrets(reference string) (string, error) {
	if reference == "env:TOKEN" {
		return canary, nil
	}
	return "", errors.New(reference + " is missing")
}

func start(t *testing.T, specs ...fleet.Spec) *fleet.Fleet {
	t.Helper()
	f, problems := fleet.Start(t.Context(), specs, fleet.Options{Secrets: secrets})
	if f == nil {
		t.Fatal(problems)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := f.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return f
}

func ask(team string) pim.Ask {
	return pim.Ask{Connector: "freezes", Capability: getFreeze, Arguments: map[string]any{"team": team}}
}

func TestVendorsOwnCapabilityWorksLikeOurs(t *testing.T) {
	t.Parallel()
	f := start(t, spec(t))
	got := f.Ask(t.Context(), ask("payments"))
	if got.Fault != pim.NoFault || !got.Found || got.ObservedAt.IsZero() {
		t.Fatalf("finding %+v, want facts", got)
	}
	want := map[string]pim.Fact{
		"frozen":      {State: pim.Known, Value: true},
		"until":       {State: pim.Known, Value: time.Date(2026, 12, 31, 22, 0, 0, 0, time.UTC)},
		"reason":      {State: pim.Known, Value: "closing"},
		"owners":      {State: pim.Known, Value: []any{"cto@example.com"}},
		"budget":      {State: pim.Unknown},
		"contact":     {State: pim.Unknown},
		"exceptions":  {State: pim.Known, Value: map[string]any{"ledger": int64(2)}},
		"bypass_code": {State: pim.Unknown},
	}
	if diff := cmp.Diff(want, got.Facts); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
	quiet := f.Ask(t.Context(), ask("search"))
	if s := quiet.Fact("until").State; s != pim.None {
		t.Errorf("until of a team without a freeze is %s, want none", s)
	}
}

func TestPoliciesAreTypedByTheVendorsDescriptors(t *testing.T) {
	t.Parallel()
	f := start(t, spec(t))
	var connectors []policy.Connector
	for _, o := range f.Offers() {
		connectors = append(connectors, policy.Connector{Name: o.Connector, Capabilities: o.Capabilities})
	}
	load := func(condition string) error {
		text := `
policies:
  - name: freeze
    applies_to: {entra_roles: {roles: ["*"]}}
    ask: {freeze: {connector: freezes, capability: ` + getFreeze + `, args: {team: "'payments'"}}}
    rules: [{name: thawed, require: '` + condition + `'}]
    otherwise: approve
`
		_, problems := policy.Load([]policy.Source{{File: "p.yaml", Data: []byte(text)}}, connectors, policy.Options{})
		return problems.Err()
	}
	if err := load(`!freeze.frozen || freeze.reason == "budget" && freeze.until < now && freeze.exceptions["ledger"] > 0`); err != nil {
		t.Errorf("a right policy: %v", err)
	}
	for condition, want := range map[string]string{
		`freeze.frosen`:              "frosen",
		`freeze.reason == "bugdet"`:  "bugdet",
		`freeze.until == "tomorrow"`: "",
	} {
		if err := load(condition); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one that names %q", condition, err, want)
		}
	}
}

func TestOnlyWhatTheOperatorAllowsIsAsked(t *testing.T) {
	t.Parallel()
	s := spec(t)
	s.Allow = []string{"ticket"}
	if f, problems := fleet.Start(t.Context(), []fleet.Spec{s}, fleet.Options{Secrets: secrets}); f != nil || len(problems) != 1 || problems[0].Path != "allow[0]" {
		t.Errorf("problems %v, want one about allow[0]", problems)
	}
	f := start(t, spec(t))
	other := ask("payments")
	other.Capability = "countersign.connector.v1.ConnectorService/Configure"
	if got := f.Ask(t.Context(), other); got.Fault == pim.NoFault {
		t.Error("a method outside the list was called")
	}
}

func TestEveryProblemOfTheSettingsIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	s := spec(t)
	s.Settings = map[string]any{
		"regoin": "emea", "api_token": canary,
		"freezes": []any{map[string]any{"team": int64(4)}, map[string]any{"team": "a", "until": "soon", "reason": "bored"}},
		"file":    map[string]any{"path": "/x"}, "feed": map[string]any{"url": "https://x"},
	}
	_, problems := fleet.Start(t.Context(), []fleet.Spec{s}, fleet.Options{Secrets: secrets})
	var paths []string
	for _, p := range problems {
		paths = append(paths, p.Path)
		if strings.Contains(p.String(), canary) {
			t.Errorf("%s repeats the secret", p)
		}
	}
	want := []string{"config.api_token", "config.file", "config.freezes[0].team", "config.freezes[1].reason", "config.freezes[1].until", "config.regoin"}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

func TestPluginsOwnDiagnosticsKeepTheirPath(t *testing.T) {
	t.Parallel()
	s := spec(t)
	delete(s.Settings, "region")
	_, problems := fleet.Start(t.Context(), []fleet.Spec{s}, fleet.Options{Secrets: secrets})
	if len(problems) != 1 || problems[0].Path != "config.region" {
		t.Errorf("problems %v, want one about config.region", problems)
	}
}

func TestDeadConnectorCostsItsFactsAndComesBack(t *testing.T) {
	t.Parallel()
	f := start(t, spec(t))
	killed := f.Status()[0].PID
	kill(t, killed)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for {
		got := f.Ask(ctx, ask("payments"))
		if got.Found {
			break
		}
		if got.Fault == pim.NoFault {
			t.Fatalf("finding %+v: a dead connector is no knowledge", got)
		}
		if ctx.Err() != nil {
			t.Fatal("it did not come back")
		}
	}
	if s := f.Status()[0]; s.PID == killed || s.Restarts == 0 {
		t.Errorf("status %+v, want another process", s)
	}
}
