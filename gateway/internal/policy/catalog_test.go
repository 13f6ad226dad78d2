package policy_test

import (
	"testing"
	"time"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/policy"
)

// The connectors that the policies of these tests ask.
func connectors() []policy.Connector {
	return []policy.Connector{
		{Name: "directory", Capabilities: []pim.Capability{principal()}},
		{Name: "itsm", Capabilities: []pim.Capability{ticket(), vendorAsset()}},
		{Name: "hr", Capabilities: []pim.Capability{employment()}},
		{Name: "rota", Capabilities: []pim.Capability{oncall()}},
	}
}

func field(name string, kind pim.Kind, s pim.Sensitivity) pim.Field {
	return pim.Field{Name: name, Type: pim.Type{Kind: kind}, Sensitivity: s, Doc: "The " + name + "."}
}

func words(name string, s pim.Sensitivity, words ...string) pim.Field {
	return pim.Field{Name: name, Type: pim.Type{Kind: pim.Enum, Name: "Words", Words: words}, Sensitivity: s}
}

func required(f pim.Field) pim.Field {
	f.Required = true
	return f
}

func principal() pim.Capability {
	return pim.Capability{
		Method: "countersign.principal.v1.PrincipalService/GetPrincipal", Word: "principal",
		Arguments: []pim.Field{required(field("id", pim.String, pim.Requester))},
		Facts: []pim.Field{
			field("mail", pim.String, pim.Requester), field("employee_number", pim.String, pim.Requester),
			field("enabled", pim.Bool, pim.Requester), field("manager", pim.String, pim.ThirdParty),
			field("risk_token", pim.String, pim.Secret),
		},
	}
}

func ticket() pim.Capability {
	text := pim.Type{Kind: pim.String}
	return pim.Capability{
		Method: "countersign.ticket.v1.TicketService/GetTicket", Word: "ticket",
		Arguments: []pim.Field{required(field("number", pim.String, pim.Public))},
		Facts: []pim.Field{
			field("number", pim.String, pim.Public), words("kind", pim.Public, "incident", "change", "request"),
			words("approval", pim.Public, "pending", "approved", "rejected"), field("priority", pim.Int, pim.Public),
			field("window_start", pim.Timestamp, pim.Public), field("window_end", pim.Timestamp, pim.Public),
			field("title", pim.String, pim.Requester), field("assignee_email", pim.String, pim.ThirdParty),
			{Name: "configuration_items", Type: pim.Type{Kind: pim.List, Elem: &text}, Sensitivity: pim.Public},
			{Name: "labels", Type: pim.Type{Kind: pim.Map, Elem: &text}, Sensitivity: pim.Public},
		},
	}
}

func employment() pim.Capability {
	return pim.Capability{
		Method: "countersign.employment.v1.EmploymentService/GetEmployment", Word: "employment",
		Arguments: []pim.Field{field("employee_number", pim.String, pim.Requester), field("email", pim.String, pim.Requester)},
		Facts:     []pim.Field{words("state", pim.Requester, "active", "leave", "terminated"), field("on_leave", pim.Bool, pim.Requester)},
	}
}

func oncall() pim.Capability {
	return pim.Capability{
		Method: "countersign.oncall.v1.OnCallService/GetOnCall", Word: "oncall",
		Arguments: []pim.Field{
			required(field("email", pim.String, pim.Requester)), field("service", pim.String, pim.Public),
			field("level", pim.Int, pim.Public), words("via", pim.Public, "schedule", "override"),
		},
		Facts: []pim.Field{field("on_call", pim.Bool, pim.Requester), field("level", pim.Int, pim.Requester)},
	}
}

// vendorAsset is a vendor's own capability: it has no word, and a fact that is a message.
func vendorAsset() pim.Capability {
	owner := pim.Type{Kind: pim.Message, Name: "acme.Owner", Fields: []pim.Field{
		field("team", pim.String, pim.Public), field("phone", pim.String, pim.ThirdParty),
	}}
	return pim.Capability{
		Method:    "acme.asset.v1.AssetService/GetAsset",
		Arguments: []pim.Field{required(field("id", pim.String, pim.Public))},
		Facts: []pim.Field{
			{Name: "owner", Type: owner, Sensitivity: pim.Public},
			{Name: "owners", Type: pim.Type{Kind: pim.List, Elem: &owner}, Sensitivity: pim.Public},
			field("critical", pim.Bool, ""),
		},
	}
}

const (
	owner        = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
	globalAdmin  = "62e90394-69f5-4237-9190-012177145e10"
	subscription = "/subscriptions/6f1c0000-0000-0000-0000-000000000001"
)

func arrival() time.Time { return time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) }

// ownerActivation is a two-hour activation of Owner in a resource group of the subscription.
func ownerActivation() pim.Activation {
	return pim.Activation{
		Provider: pim.AzureResource, Stage: pim.PreApproval, Action: pim.SelfActivate,
		TenantID: "tenant", RequestID: "request", PrincipalID: "person", RoleID: owner, Scope: subscription + "/resourcegroups/pay",
		StartsAt: arrival(), Duration: 2 * time.Hour, Ticket: pim.Ticket{Number: "CHG1", System: "servicenow"}, Justification: "release",
	}
}

func load(t testing.TB, text string) *policy.Set {
	t.Helper()
	set, problems := policy.Load([]policy.Source{{File: "policies.yaml", Data: []byte(text)}}, connectors(), policy.Options{})
	if len(problems) > 0 {
		t.Fatalf("load:\n%v", problems)
	}
	return set
}

func known(value any) pim.Fact { return pim.Fact{State: pim.Known, Value: value} }

// answer is a finding with these facts; facts that are not given are unknown.
func answer(facts map[string]pim.Fact) pim.Finding {
	return pim.Finding{Found: true, Facts: facts, ObservedAt: arrival()}
}

func timedOut() pim.Finding {
	return pim.Finding{Fault: pim.Timeout, FaultSource: pim.FromUpstream}
}

// upstreams answer asks by connector. A connector that is not there never answers.
type upstreams map[string]pim.Finding

// gather puts asks until nothing more comes.
func gather(p *policy.Plan, u upstreams) policy.Findings {
	found := policy.Findings{}
	for progress := true; progress; {
		progress = false
		asks, foregone := p.Next(found)
		for _, f := range foregone {
			found[f.Ask.Key()] = f
			progress = true
		}
		for _, ask := range asks {
			if f, ok := u[ask.Connector]; ok {
				f.Ask = ask
				found[ask.Key()] = f
				progress = true
			}
		}
	}
	return found
}
