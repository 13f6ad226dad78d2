package world_test

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/sim/world"
)

// oracle answers asks from the people and tickets of a world, as connectors would that make no mistake.
// Whether an upstream can be reached it finds out by trying.
type oracle struct{ world *world.World }

func upstreamOf(connector string) (world.Upstream, bool) {
	u, ok := map[string]world.Upstream{
		"directory": world.Graph, "itsm": world.ITSM, "rota": world.Rota, "hr": world.HR,
	}[connector]
	return u, ok
}

func (o oracle) Ask(ctx context.Context, ask pim.Ask) pim.Finding {
	f := pim.Finding{Ask: ask, ObservedAt: time.Now()}
	if err := o.Probe(ctx, ask.Connector); err != nil {
		f.Fault, f.FaultSource = pim.Unavailable, pim.FromUpstream
		if ctx.Err() != nil {
			f.Fault = pim.Timeout
		}
		return f
	}
	facts := o.facts(ask)
	f.Found = facts != nil
	f.Facts = map[string]pim.Fact{}
	for name, value := range facts {
		f.Facts[name] = pim.Fact{State: pim.Known, Value: value}
		if value == nil {
			f.Facts[name] = pim.Fact{State: pim.None}
		}
	}
	return f
}

func (o oracle) Probe(ctx context.Context, connector string) error {
	u, ok := upstreamOf(connector)
	if !ok {
		return nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, o.world.URL(u)+"/", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

func (o oracle) facts(ask pim.Ask) map[string]any {
	text := func(name string) string {
		value, _ := ask.Arguments[name].(string)
		return value
	}
	word := strings.Split(ask.Capability, ".")[1]
	switch word {
	case "principal":
		return personFacts(find(func(p world.Person) bool { return p.ID == text("id") }))
	case "employment":
		return workerFacts(find(func(p world.Person) bool { return p.Employee != "" && p.Employee == text("employee_number") }))
	case "ticket":
		return ticketFacts(text("number"))
	case "oncall":
		return dutyFacts(text("email"), text("schedule"))
	case "incident":
		if strings.HasPrefix(text("email"), "ben.") {
			return map[string]any{"number": "4711", "severity": int64(1)}
		}
	}
	return nil
}

func find(is func(world.Person) bool) *world.Person {
	for _, p := range world.People() {
		if is(p) {
			return &p
		}
	}
	return nil
}

func personFacts(p *world.Person) map[string]any {
	if p == nil {
		return nil
	}
	facts := map[string]any{
		"kind": "user", "user_type": "member", "account_enabled": true, "mail": p.Mail, "employee_number": any(p.Employee),
	}
	if p.Guest {
		facts["user_type"], facts["employee_number"] = "guest", nil
	}
	return facts
}

func workerFacts(p *world.Person) map[string]any {
	if p == nil {
		return nil
	}
	facts := map[string]any{"state": "active", "worker_type": "employee"}
	if p.Status == "Contractor" {
		facts["worker_type"] = "contingent"
	}
	if p.Left {
		facts["state"] = "terminated"
	}
	if p.OnLeave {
		facts["state"] = "leave"
	}
	return facts
}

func ticketFacts(number string) map[string]any {
	for _, t := range world.Tickets() {
		if t.Number == number {
			return factsOf(t)
		}
	}
	return nil
}

func factsOf(t world.Ticket) map[string]any {
	facts := map[string]any{
		"number": t.Number, "assignee_email": t.Assignee.Mail, "active": true, "kind": "change", "change_type": "normal",
		"approval": "approved", "status": "implementing",
		"window_start": time.Now().Add(t.From), "window_end": time.Now().Add(t.Until),
	}
	switch {
	case t.Incident:
		facts["kind"], facts["change_type"], facts["window_start"], facts["window_end"] = "incident", nil, nil, nil
		facts["approval"], facts["status"] = nil, "open"
	case t.Closed:
		facts["active"], facts["status"] = false, "closed"
	case t.Unapproved:
		facts["approval"], facts["status"] = "pending", "open"
	case t.Standard:
		facts["change_type"] = "standard"
	}
	return facts
}

func dutyFacts(email, schedule string) map[string]any {
	name, _, _ := strings.Cut(email, ".")
	switch {
	case schedule == "identity" && name == "hiro":
		return map[string]any{"on_call": true, "level": int64(1), "ends_at": time.Now().Add(11 * time.Hour)}
	case schedule == "" && name == "ben":
		return map[string]any{"on_call": true, "level": int64(1)}
	case schedule == "" && name == "hiro":
		return map[string]any{"on_call": true, "level": int64(2)}
	}
	return map[string]any{"on_call": false, "level": nil, "ends_at": nil}
}
