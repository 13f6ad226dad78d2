package sim_test

import (
	"testing"

	"github.com/countersign/countersign/gateway/internal/entra"
	"github.com/countersign/countersign/gateway/internal/sim"
)

func verifier(t *testing.T, tenant *sim.Tenant) *entra.Verifier {
	t.Helper()
	v, err := entra.New(t.Context(), entra.Settings{
		Authority: tenant.Authority(), TenantID: tenant.ID(), ClientID: tenant.ClientID(), AppIDURI: tenant.AppIDURI(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	return v
}

func TestTheGatewayAcceptsWhatPIMSends(t *testing.T) {
	t.Parallel()
	tenant := startTenant(t, sim.TenantOptions{})
	v := verifier(t, tenant)
	for name, o := range map[string]sim.TokenOptions{
		"version 2.0":                   {},
		"version 1.0":                   {Version: sim.Version1},
		"version 1.0 for the client id": {Version: sim.Version1, Audience: tenant.ClientID()},
		"version 2.0 marked app-only":   {Claims: map[string]any{"idtyp": "app"}},
		"claims that nobody knows":      {Claims: map[string]any{"xms_ftd": "opaque"}},
	} {
		caller, err := v.Verify(t.Context(), []string{"Bearer " + mustToken(t, tenant, o)})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if caller.AppID != sim.PIMAppID || caller.TenantID != tenant.ID() || caller.ObjectID != tenant.PIMObjectID() {
			t.Errorf("%s: caller %+v", name, caller)
		}
	}
}

func TestTheGatewayLearnsANewKey(t *testing.T) {
	t.Parallel()
	tenant := startTenant(t, sim.TenantOptions{})
	v := verifier(t, tenant)
	if err := tenant.Keys().Rotate(); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), []string{"Bearer " + mustToken(t, tenant, sim.TokenOptions{})}); err != nil {
		t.Error(err)
	}
}

func TestTheGatewayRefusesEveryWrongToken(t *testing.T) {
	t.Parallel()
	tenant := startTenant(t, sim.TenantOptions{})
	stranger := newTenant(t, sim.TenantOptions{
		Authority: tenant.Authority(), Keys: tenant.Keys(), ClientID: tenant.ClientID(), AppIDURI: tenant.AppIDURI(),
	})
	wrong, err := tenant.WrongTokens()
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{sim.Version1, sim.Version2} {
		token := mustToken(t, stranger, sim.TokenOptions{Version: version})
		wrong = append(wrong, sim.WrongToken{Name: "another tenant with the same keys, version " + version, Token: token})
	}
	v := verifier(t, tenant)
	for _, w := range wrong {
		if caller, err := v.Verify(t.Context(), []string{"Bearer " + w.Token}); err == nil {
			t.Errorf("%s: accepted as %+v", w.Name, caller)
		}
	}
}
