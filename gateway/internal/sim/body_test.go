package sim_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/sim"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const (
	requestID = "911bab8a-6912-4de2-9dc0-2648ede7dd6d"
	principal = "3cce9d87-3986-4f19-8335-7ed075408ca2"
	unitID    = "dc626e71-4837-40eb-be4a-bc29d88a1178"
	groupID   = "2b5ed229-4072-478d-9504-a047ebd4b07d"
	userAdmin = "fe930be7-5e62-47db-91af-98c3a49a38b1"
	owner     = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
	payments  = "/subscriptions/dfa2a084-766f-4003-8ae1-c4aeb893a99f"
)

func activation(provider pim.Provider) pim.Activation {
	a := pim.Activation{
		Provider: provider, Stage: pim.PreApproval, Action: pim.SelfActivate, RequestID: requestID,
		PrincipalID: principal, RequestedBy: principal,
		StartsAt: time.Date(2026, 9, 14, 8, 52, 32, 648585100, time.UTC), Duration: 2 * time.Hour,
		Ticket: pim.Ticket{Number: "CHG0042317", System: "ServiceNow"}, Justification: "CHG0042317: reset registrations",
	}
	switch provider {
	case pim.EntraRole:
		a.RoleID, a.Scope = userAdmin, "/"
	case pim.Group:
		a.GroupID, a.Access = groupID, pim.Member
	case pim.AzureResource:
		a.RoleID, a.Scope = owner, payments
	}
	return a
}

func TestBodiesHaveTheShapesPIMSends(t *testing.T) {
	t.Parallel()
	unit, resourceGroup, unlimited, deactivation := activation(pim.EntraRole), activation(pim.AzureResource), activation(pim.EntraRole), activation(pim.EntraRole)
	unit.Scope = "/administrativeunits/" + unitID
	resourceGroup.Scope = payments + "/resourcegroups/rg-payments-prod"
	unlimited.Duration = 0
	deactivation.Action = pim.SelfDeactivate
	for name, c := range map[string]struct {
		activation pim.Activation
		spelling   sim.Spelling
	}{
		"entra_role":            {activation(pim.EntraRole), sim.Spelling{}},
		"entra_role_documented": {activation(pim.EntraRole), sim.Spelling{Form: sim.Documented}},
		"entra_role_unit":       {unit, sim.Spelling{}},
		"entra_role_unlimited":  {unlimited, sim.Spelling{}},
		"entra_role_deactivate": {deactivation, sim.Spelling{}},
		"group":                 {activation(pim.Group), sim.Spelling{}},
		"group_documented":      {activation(pim.Group), sim.Spelling{Form: sim.Documented}},
		"group_context_type":    {activation(pim.Group), sim.Spelling{ContextType: true, Enums: sim.Pascal}},
		"azure":                 {activation(pim.AzureResource), sim.Spelling{Requester: sim.Requester{Name: "User", Email: "user@contoso.example"}}},
		"azure_documented":      {activation(pim.AzureResource), sim.Spelling{Form: sim.Documented}},
		"azure_resource_group":  {resourceGroup, sim.Spelling{BareRole: true, Enums: sim.Camel}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden(t, name+".json", indented(t, mustBody(t, c.activation, c.spelling)))
		})
	}
}

func mustBody(t *testing.T, a pim.Activation, s sim.Spelling) []byte {
	t.Helper()
	body, err := sim.Body(a, s)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func indented(t *testing.T, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		t.Fatal(err)
	}
	b.WriteByte('\n')
	return b.Bytes()
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", "body", name)
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestDurationsHaveTheirForms(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		form sim.DurationForm
		d    time.Duration
		want string
	}{
		{sim.Hours, 8 * time.Hour, `"duration":"PT8H"`},
		{sim.Hours, 24 * time.Hour, `"duration":"P1D"`},
		{sim.Hours, 24*time.Hour + 30*time.Minute + 5*time.Second, `"duration":"P1DT30M5S"`},
		{sim.Hours, 90 * time.Minute, `"duration":"PT1H30M"`},
		{sim.Minutes, 8 * time.Hour, `"duration":"PT480M"`},
		{sim.TimeSpan, 8 * time.Hour, `"duration":"08:00:00"`},
		{sim.TimeSpan, 24*time.Hour + 30*time.Minute, `"duration":"1.00:30:00"`},
		{sim.EndTime, 2 * time.Hour, `"type":"afterDateTime","endDateTime":"2026-09-14T10:52:32.6485851Z","duration":null`},
		{sim.Hours, 0, `"type":"noExpiration","endDateTime":null,"duration":null`},
	} {
		a := activation(pim.EntraRole)
		a.Duration = c.d
		if body := mustBody(t, a, sim.Spelling{Durations: c.form}); !strings.Contains(string(body), c.want) {
			t.Errorf("%s %s: want %s in %s", c.form, c.d, c.want, body)
		}
	}
}

func TestNoTicketHasItsForms(t *testing.T) {
	t.Parallel()
	for form, want := range map[sim.NoTicketForm]string{
		sim.NullMembers: `"ticketInfo":{"ticketNumber":null,"ticketSystem":null}`,
		sim.NullTicket:  `"ticketInfo":null`, sim.EmptyMembers: `"ticketInfo":{"ticketNumber":"","ticketSystem":""}`,
	} {
		for _, provider := range []pim.Provider{pim.EntraRole, pim.Group, pim.AzureResource} {
			a := activation(provider)
			a.Ticket = pim.Ticket{}
			if body := mustBody(t, a, sim.Spelling{NoTicket: form}); !strings.Contains(string(body), want) {
				t.Errorf("%s: want %s in %s", provider, want, body)
			}
			if body := mustBody(t, a, sim.Spelling{NoTicket: sim.AbsentTicket}); strings.Contains(string(body), "ticketInfo") {
				t.Errorf("%s: a ticket in %s", provider, body)
			}
		}
	}
}

func TestTwinPutsASecondMember(t *testing.T) {
	t.Parallel()
	if got, want := string(sim.Twin("PrincipalId", "x")([]byte(`{"principalId":"y"}`))), `{"PrincipalId":"x","principalId":"y"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := string(sim.Twin("a", 1)([]byte(`[]`))); got != `[]` {
		t.Errorf("no object became %s", got)
	}
}

func TestExtraMembersAreSent(t *testing.T) {
	t.Parallel()
	body := mustBody(t, activation(pim.Group), sim.Spelling{Extra: map[string]any{"stage": "preApproval", "future": []int{1}}})
	if !strings.HasSuffix(string(body), `,"future":[1],"stage":"preApproval"}`) {
		t.Errorf("no extra members in %s", body)
	}
}

func TestUnknownProviderHasNoBody(t *testing.T) {
	t.Parallel()
	if _, err := sim.Body(pim.Activation{Provider: "devices"}, sim.Spelling{}); err == nil {
		t.Error("a body without a shape")
	}
}

func TestScopesAreSpelledAsTheAPIsDo(t *testing.T) {
	t.Parallel()
	for normal, want := range map[string]string{
		payments: payments,
		"/providers/microsoft.management/managementgroups/contoso": "/providers/Microsoft.Management/managementGroups/contoso",
		payments + "/resourcegroups/rg-1":                          payments + "/resourceGroups/rg-1",
	} {
		if got := sim.ARMScope(normal); got != want {
			t.Errorf("ARM scope %s, want %s", got, want)
		}
	}
	if got := sim.GraphScope("/administrativeunits/" + unitID); got != "/administrativeUnits/"+unitID {
		t.Errorf("directory scope %s", got)
	}
}

func TestWhatStartsOnArrivalHasNoStart(t *testing.T) {
	t.Parallel()
	for _, provider := range []pim.Provider{pim.EntraRole, pim.Group, pim.AzureResource} {
		a := activation(provider)
		a.StartsOnArrival = true
		if body := mustBody(t, a, sim.Spelling{}); !strings.Contains(string(body), `"startDateTime":null`) {
			t.Errorf("%s: a start in %s", provider, body)
		}
	}
}
