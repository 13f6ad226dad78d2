package world

import (
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/sim"
)

// Roles, groups and scopes that the policies of configs/demo are about.
const (
	userAdministrator     = "fe930be7-5e62-47db-91af-98c3a49a38b1"
	helpdeskAdministrator = "729827e3-9c14-49f7-bb1b-9608f156bbb8"
	globalAdministrator   = "62e90394-69f5-4237-9190-012177145e10"
	securityReader        = "5d6b6bb7-de71-4623-b4af-96380a352509"
	owner                 = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
	contributor           = "b24988ac-6180-42a0-ab88-20f7382dd24c"

	paymentsOperators = "2b5ed229-4072-478d-9504-a047ebd4b07d"
	warehouse         = "/administrativeunits/dc626e71-4837-40eb-be4a-bc29d88a1178"
	production        = "/subscriptions/dfa2a084-766f-4003-8ae1-c4aeb893a99f"
	paymentsGroup     = production + "/resourcegroups/rg-payments-prod"
)

// Scenarios are the activations of the demonstration in the order in which they are told. Those in
// which something is broken come last, since a gateway notices and is careful for a while.
func (w *World) Scenarios() []Scenario {
	var all []Scenario
	for _, drafts := range [][]draft{
		directoryRoles(), denials(), groups(), subscriptions(), otherStages(), w.deliveries(), w.faults(),
	} {
		for _, d := range drafts {
			all = append(all, d.scenario(w.began))
		}
	}
	return all
}

// draft is a scenario in the making.
type draft struct {
	name, role string
	who        Person
	activation pim.Activation
	spelling   sim.Spelling
	edit       func([]byte) []byte
	scene      Scenario
	expect     Expect
}

func (d draft) scenario(began time.Time) Scenario {
	s, a := d.scene, d.activation
	a.RequestID = uuid.NewString()
	a.PrincipalID, a.RequestedBy = d.who.ID, d.who.ID
	// The beginning of the world and not the present, so that a repeat is one even where PIM sends no id.
	a.StartsAt = began
	if a.Stage == "" {
		a.Stage = pim.PreApproval
	}
	if a.Action == "" {
		a.Action = pim.SelfActivate
	}
	d.spelling.Requester = sim.Requester{Name: d.who.Name, Email: d.who.Mail}
	s.Name, s.Who, s.Role, s.Stage, s.Activation, s.Expect = d.name, d.who.Name, d.role, a.Stage, a, d.expect
	s.Request.Body = body(a, d.spelling)
	if d.edit != nil {
		s.Request.Body = d.edit(s.Request.Body)
	}
	return s
}

// body cannot fail for the three providers, which are all there are.
func body(a pim.Activation, s sim.Spelling) []byte {
	text, err := sim.Body(a, s)
	if err != nil {
		panic("world: " + err.Error())
	}
	return text
}

// wants is an activation of a role for an hour.
func wants(provider pim.Provider, number string) pim.Activation {
	a := pim.Activation{Provider: provider, Duration: time.Hour, Justification: "Work on " + number}
	if number != "" {
		a.Ticket = pim.Ticket{Number: number, System: "ServiceNow"}
	}
	return a
}

func directoryRole(role, scope, number string) pim.Activation {
	a := wants(pim.EntraRole, number)
	a.RoleID, a.Scope = role, scope
	return a
}

func resourceRole(role, scope, number string) pim.Activation {
	a := wants(pim.AzureResource, number)
	a.RoleID, a.Scope = role, scope
	return a
}

func membership(access pim.Access, d time.Duration) pim.Activation {
	a := wants(pim.Group, "")
	a.GroupID, a.Access, a.Duration, a.Justification = paymentsOperators, access, d, "Payments are rejected"
	return a
}

func lasting(d time.Duration, a pim.Activation) pim.Activation {
	a.Duration = d
	return a
}

func approved(reason string) Expect { return Expect{Outcome: pim.Approved, ReasonContains: reason} }

func autoApproved(reason string) Expect {
	return Expect{Outcome: pim.AutoApproved, ReasonContains: reason}
}

func denied(reason string) Expect { return Expect{Outcome: pim.Denied, ReasonContains: reason} }
func refused() Expect             { return Expect{Status: http.StatusUnauthorized} }

func directoryRoles() []draft {
	return []draft{
		{
			name: "own-change", role: "User Administrator", who: ada(),
			activation: directoryRole(userAdministrator, "/", adasChange), expect: approved(""),
		},
		{
			name: "unit-scope", role: "User Administrator of unit Warehouse", who: ada(),
			activation: lasting(90*time.Minute, directoryRole(userAdministrator, warehouse, adasChange)),
			spelling:   sim.Spelling{Form: sim.Documented, Durations: sim.Minutes}, expect: approved(""),
		},
		{
			name: "outsider-held", role: "Helpdesk Administrator", who: elif(),
			activation: directoryRole(helpdeskAdministrator, "/", elifsChange), expect: approved("you are not an employee"),
		},
		{
			name: "shadow-only", role: "Security Reader", who: ada(),
			activation: directoryRole(securityReader, "/", ""), expect: approved(""),
		},
	}
}

// denials are User Administrator for each typical reason not to.
func denials() []draft {
	role := func(number string) pim.Activation { return directoryRole(userAdministrator, "/", number) }
	says := func(a pim.Activation, justification string) pim.Activation {
		a.Justification = justification
		return a
	}
	drafts := []draft{
		{name: "no-ticket", who: ada(), activation: role(""), expect: denied("Put the number of your change")},
		{name: "somebody-elses-ticket", who: ada(), activation: role(bensChange), expect: denied(bensChange + " is not assigned to you")},
		{name: "incident-is-no-change", who: ada(), activation: role(adasIncident), expect: denied(adasIncident + " is not a change")},
		{name: "closed-change", who: ada(), activation: role(closedChange), expect: denied(closedChange + " is not an approved, open change")},
		{name: "unapproved-change", who: ada(), activation: role(unapprovedChange), expect: denied(unapprovedChange + " is not an approved, open change")},
		{name: "no-such-ticket", who: ada(), activation: role(noChange), expect: denied(noChange)},
		{name: "hostile-ticket", who: ada(), activation: role(adasChange + "^ORnumber=" + bensChange), expect: denied("")},
		{name: "too-long", who: ada(), activation: lasting(12*time.Hour, says(role(adasChange), "Clean up the registrations of the warehouse")), expect: denied("4 hours or less")},
		{name: "without-end", who: ada(), activation: lasting(0, role(adasChange)), expect: denied("4 hours or less")},
		{name: "says-too-little", who: ada(), activation: lasting(3*time.Hour, says(role(adasChange), "work")), expect: denied("Say in a sentence why")},
		{name: "left-the-company", who: david(), activation: role(davidsChange), expect: denied("HR does not list you")},
		{name: "on-leave", who: grace(), activation: role(gracesChange), expect: denied("HR does not list you")},
		{name: "guest", who: finn(), activation: role(finnsChange), expect: denied("Guests and disabled accounts")},
	}
	for i := range drafts {
		drafts[i].role = "User Administrator"
	}
	return append(drafts, draft{
		name: "no-policy", role: "Global Administrator", who: ada(),
		activation: directoryRole(globalAdministrator, "/", adasChange), expect: denied("No policy allows"),
	})
}

func groups() []draft {
	return []draft{
		{
			name: "on-call-with-p1", role: "member of Payments Operators", who: ben(),
			activation: membership(pim.Member, 2*time.Hour), expect: autoApproved("On call for PAYMENTS"),
		},
		{
			name: "second-line", role: "member of Payments Operators", who: hiro(),
			activation: membership(pim.Member, 2*time.Hour), spelling: sim.Spelling{Enums: sim.Pascal, ContextType: true}, expect: approved(""),
		},
		{
			name: "not-on-call", role: "member of Payments Operators", who: ada(),
			activation: membership(pim.Member, 2*time.Hour), expect: denied("not on call for PAYMENTS"),
		},
		{
			name: "group-owner", role: "owner of Payments Operators", who: hiro(),
			activation: membership(pim.Owner, time.Hour), expect: approved("A person has to approve owners"),
		},
	}
}

func subscriptions() []draft {
	return []draft{
		{
			name: "subscription-owner", role: "Owner of subscription Production", who: carla(),
			activation: resourceRole(owner, production, carlasChange), expect: approved(""),
		},
		{
			name: "resource-group", role: "Contributor of rg-payments-prod", who: carla(),
			activation: resourceRole(contributor, paymentsGroup, standardChange), expect: autoApproved("standard change"),
		},
		{
			name: "held-for-its-length", role: "Contributor of rg-payments-prod", who: carla(),
			activation: lasting(4*time.Hour, resourceRole(contributor, paymentsGroup, standardChange)),
			spelling:   sim.Spelling{Durations: sim.EndTime, BareRole: true, Enums: sim.Camel}, expect: approved("more than 2 hours"),
		},
		{
			name: "window-is-tomorrow", role: "Owner of subscription Production", who: carla(),
			activation: resourceRole(owner, production, tomorrowsChange), expect: denied("not inside the window of your change"),
		},
		{
			name: "outlasts-the-window", role: "Contributor of rg-payments-prod", who: carla(),
			activation: lasting(12*time.Hour, resourceRole(contributor, paymentsGroup, standardChange)), expect: denied("not inside the window of your change"),
		},
	}
}

func otherStages() []draft {
	after := func(a pim.Activation) pim.Activation {
		a.Stage = pim.PostApproval
		return a
	}
	return []draft{
		{
			name: "post-approval", role: "User Administrator, after approval", who: ada(),
			activation: after(directoryRole(userAdministrator, "/", adasChange)), expect: approved(""),
		},
		{
			name: "left-meanwhile", role: "User Administrator, after approval", who: david(),
			activation: after(directoryRole(userAdministrator, "/", davidsChange)), expect: denied("HR does not list you"),
		},
	}
}

// deliveries are about how PIM calls and not about what it asks.
func (w *World) deliveries() []draft {
	token := func(t *sim.Tenant, o sim.TokenOptions) Scenario {
		return Scenario{Token: func() (string, error) { return t.Token(o) }}
	}
	role := directoryRole(userAdministrator, "/", adasChange)
	drafts := []draft{
		{name: "token-v1", role: "User Administrator, v1 token", scene: token(w.Tenant, sim.TokenOptions{Version: sim.Version1}), expect: approved("")},
		{name: "three-copies-twice", role: "User Administrator, 3 copies, twice", scene: Scenario{Request: sim.Request{Copies: 3}, Deliveries: 2}, expect: approved("")},
		{name: "hang-up-and-repeat", role: "User Administrator, PIM hangs up", scene: Scenario{Request: sim.Request{HangUpAfter: 2 * time.Millisecond}}, expect: approved("")},
		{name: "unknown-members", role: "User Administrator, new members", spelling: sim.Spelling{Extra: map[string]any{"correlationId": uuid.NewString(), "stage": "postApproval"}}, expect: approved("")},
		{name: "twin-members", role: "User Administrator, twin members", edit: sim.Twin("PrincipalId", hiro().ID), expect: denied("could not be read")},
		{name: "no-json", role: "User Administrator, no JSON", edit: func([]byte) []byte { return []byte("<request/>") }, expect: denied("could not be read")},
		{name: "wrong-caller", role: "User Administrator, wrong caller", scene: token(w.Tenant, sim.TokenOptions{Caller: uuid.NewString()}), expect: refused()},
		{name: "wrong-tenant", role: "User Administrator, wrong tenant", scene: token(w.Stranger, sim.TokenOptions{}), expect: refused()},
		{name: "forged-token", role: "User Administrator, forged token", scene: token(w.Tenant, sim.TokenOptions{Signature: sim.ForgedKey}), expect: refused()},
		{name: "no-token", role: "User Administrator, no token", scene: Scenario{Token: func() (string, error) { return "", nil }}, expect: refused()},
	}
	for i := range drafts {
		drafts[i].who, drafts[i].activation = ada(), role
	}
	return drafts
}

// faults are activations while something is broken.
func (w *World) faults() []draft {
	while := func(broken func(), mended ...Upstream) Scenario {
		return Scenario{Before: broken, After: func() { w.Mend(mended...) }}
	}
	down := func(upstreams ...Upstream) Scenario { return while(func() { w.Break(upstreams...) }, upstreams...) }
	deactivation := directoryRole(userAdministrator, "/", "")
	deactivation.Action, deactivation.Duration = pim.SelfDeactivate, 0
	rolled := Scenario{Before: func() { w.rollOver() }}
	return []draft{
		{
			name: "signing-key-rolled-over", role: "User Administrator, new signing key", who: ada(), scene: rolled,
			activation: directoryRole(userAdministrator, "/", adasChange), expect: approved(""),
		},
		{
			name: "sign-in-service-down", role: "User Administrator, sign-in down", who: ada(),
			scene: Scenario{
				Before: func() { w.Tenant.SetFault(sim.Fault{Kind: sim.Down}) },
				After:  func() { w.Tenant.SetFault(sim.Fault{}) },
			},
			activation: directoryRole(userAdministrator, "/", adasChange), expect: approved(""),
		},
		{
			name: "hr-down", role: "Helpdesk Administrator, HR down", who: ines(), scene: down(HR),
			activation: directoryRole(helpdeskAdministrator, "/", inesChange), expect: approved("could not be checked: hr"),
		},
		{
			name: "rota-slow", role: "Payments Operators, rota is slow", who: ben(),
			scene:      while(func() { w.Slow(time.Minute, Rota) }, Rota),
			activation: membership(pim.Member, time.Hour), expect: approved("could not be checked: rota"),
		},
		{
			name: "itsm-down", role: "User Administrator, ITSM down", who: ada(), scene: down(ITSM),
			activation: directoryRole(userAdministrator, "/", adasChange), expect: denied("could not be checked: itsm"),
		},
		{
			name: "deactivation-while-all-is-down", role: "giving up the role, everything down", who: ada(), scene: down(Upstreams()...),
			activation: deactivation, expect: approved(""),
		},
	}
}

// rollOver makes the tenant sign with a new key. Only a system without randomness has none, and Go ends
// the program there by itself.
func (w *World) rollOver() {
	if err := w.Tenant.Keys().Rotate(); err != nil {
		panic(fmt.Sprintf("world: roll over signing key: %v", err))
	}
}
