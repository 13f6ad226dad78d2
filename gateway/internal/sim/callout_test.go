package sim_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countersign/countersign/gateway/internal/callout"
	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/sim"
)

func spellings() map[string]sim.Spelling {
	return map[string]sim.Spelling{
		"native":       {},
		"documented":   {Form: sim.Documented},
		"camel":        {Enums: sim.Camel},
		"pascal":       {Enums: sim.Pascal},
		"minutes":      {Durations: sim.Minutes},
		"time span":    {Durations: sim.TimeSpan},
		"end time":     {Durations: sim.EndTime},
		"null ticket":  {NoTicket: sim.NullTicket},
		"empty ticket": {NoTicket: sim.EmptyMembers},
		"no ticket":    {NoTicket: sim.AbsentTicket},
		"bare role":    {BareRole: true},
		"context type": {ContextType: true},
		"requester":    {Requester: sim.Requester{Name: "Mallory", Email: "boss@contoso.example"}},
	}
}

// variants are activations that differ in what a decision can rest on.
func variants(provider pim.Provider) map[string]pim.Activation {
	plain := activation(provider)
	unlimited, ticketless, deactivation, extension := plain, plain, plain, plain
	unlimited.Duration = 0
	ticketless.Ticket = pim.Ticket{}
	deactivation.Action, deactivation.Duration = pim.SelfDeactivate, 0
	extension.Action = pim.SelfExtend
	all := map[string]pim.Activation{
		"plain": plain, "unlimited": unlimited, "ticketless": ticketless, "deactivation": deactivation, "extension": extension,
	}
	for name, scope := range map[string]string{"unit": "/administrativeunits/" + unitID, "application": "app:/" + unitID} {
		if provider == pim.EntraRole {
			a := plain
			a.Scope = scope
			all[name] = a
		}
	}
	for name, scope := range map[string]string{
		"resource group":   payments + "/resourcegroups/rg-payments-prod",
		"management group": "/providers/microsoft.management/managementgroups/contoso",
	} {
		if provider == pim.AzureResource {
			a := plain
			a.Scope = scope
			all[name] = a
		}
	}
	return all
}

func TestTheGatewayReadsEveryBodyAsMeant(t *testing.T) {
	t.Parallel()
	caller := pim.Caller{TenantID: "aaaabbbb-0000-4ccc-9111-dddd2222eeee"}
	for _, provider := range []pim.Provider{pim.EntraRole, pim.Group, pim.AzureResource} {
		for variant, want := range variants(provider) {
			for name, spelling := range spellings() {
				t.Run(string(provider)+"/"+variant+"/"+name, func(t *testing.T) {
					t.Parallel()
					got, err := callout.Decode(mustBody(t, want, spelling), pim.PreApproval, caller, want.StartsAt)
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(meant(want, spelling, caller), got, cmpopts.IgnoreFields(pim.Activation{}, "StartsOnArrival", "EndGiven")); diff != "" {
						t.Error(diff)
					}
				})
			}
		}
	}
}

// meant is what remains of an activation in a body: the documented forms leave some of it out. What gives
// up access has no schedule, so that it starts on arrival.
func meant(a pim.Activation, s sim.Spelling, caller pim.Caller) pim.Activation {
	a.TenantID = caller.TenantID
	if s.Form == sim.Documented {
		a.RequestedBy = ""
		if a.Provider == pim.AzureResource {
			a.RequestID = ""
		}
	}
	return a
}

func TestTheGatewayRefusesTwins(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"principalId", "PrincipalId", "PRINCIPALID"} {
		body := sim.Twin(name, unitID)(mustBody(t, activation(pim.EntraRole), sim.Spelling{}))
		if got, err := callout.Decode(body, pim.PreApproval, pim.Caller{}, time.Now()); err == nil {
			t.Errorf("%s: read as %+v", name, got)
		}
	}
}

func TestTheGatewayReportsExtraMembersOnly(t *testing.T) {
	t.Parallel()
	body := mustBody(t, activation(pim.AzureResource), sim.Spelling{Extra: map[string]any{"stage": "preApproval"}})
	got, err := callout.Decode(body, pim.PreApproval, pim.Caller{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"stage"}, got.UnknownMembers); diff != "" {
		t.Error(diff)
	}
}
