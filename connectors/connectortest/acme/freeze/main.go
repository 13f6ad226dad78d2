// Command freeze is a whole connector of a vendor: it answers a capability of the vendor's own, whether a
// team may change anything now, from a calendar in its configuration.
package main

import (
	"context"

	"github.com/countersign/countersign/connectors/connectortest/acme/freeze/v1"
	"github.com/countersign/countersign/connectors/finding"
	"github.com/countersign/countersign/connectors/serve"
)

func main() {
	serve.Main(serve.Connector[*freezev1.Config, calendar]{
		Name: "acme-freeze", Version: "1.0.0", Vendor: "Acme",
		Open:         open,
		Capabilities: []serve.Capability[calendar]{serve.Unary(freezev1.FreezeService_GetFreeze_FullMethodName, calendar.GetFreeze)},
	})
}

// calendar holds the freezes by team.
type calendar map[string]*freezev1.Freeze

func open(_ context.Context, config *freezev1.Config) (calendar, error) {
	c := calendar{}
	for _, f := range config.GetFreezes() {
		c[f.GetTeam()] = f
	}
	return c, nil
}

// GetFreeze reads the freeze of one team. What the calendar does not hold, such as a budget, stays unset
// and is unknown; what it knows to be absent is declared none.
func (c calendar) GetFreeze(ctx context.Context, r *freezev1.GetFreezeRequest) (*freezev1.GetFreezeResponse, error) {
	f, frozen := c[r.GetTeam()]
	if !frozen {
		finding.None(ctx, "until", "reason", "owners", "exceptions")
		return &freezev1.GetFreezeResponse{Frozen: &frozen}, nil
	}
	if f.GetUntil() == nil {
		finding.None(ctx, "until")
	}
	answer := &freezev1.GetFreezeResponse{
		Frozen: &frozen, Until: f.GetUntil(), Owners: f.GetOwners(), Exceptions: f.GetExceptions(),
		Budget: f.Budget, Contact: f.GetContact(), BypassCode: f.BypassCode,
	}
	if f.GetReason() != freezev1.FreezeReason_FREEZE_REASON_UNSPECIFIED {
		answer.Reason = f.GetReason().Enum()
	}
	return answer, nil
}
