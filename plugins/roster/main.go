// Command roster is the connector for organisations that keep their own lists: who somebody is, how
// somebody is employed and who is on call, from YAML or CSV files that the operator writes. It asks nobody
// and changes nothing.
package main

import (
	"context"
	"log/slog"
	_ "time/tzdata" // Containers often have no time zones of their own.

	"github.com/countersign/countersign/connectors/serve"
	employmentv1 "github.com/countersign/countersign/proto/countersign/employment/v1"
	oncallv1 "github.com/countersign/countersign/proto/countersign/oncall/v1"
	rosterv1 "github.com/countersign/countersign/proto/countersign/plugins/roster/v1"
	principalv1 "github.com/countersign/countersign/proto/countersign/principal/v1"
)

func main() { serve.Main(connector()) }

func connector() serve.Connector[*rosterv1.Config, *roster] {
	return serve.Connector[*rosterv1.Config, *roster]{
		Name:     "roster",
		Version:  "1.0.0",
		Vendor:   "Countersign",
		Open:     open,
		Validate: validate,
		Health:   health,
		Capabilities: []serve.Capability[*roster]{
			serve.Unary(principalv1.PrincipalService_GetPrincipal_FullMethodName, (*roster).GetPrincipal),
			serve.Unary(employmentv1.EmploymentService_GetEmployment_FullMethodName, (*roster).GetEmployment),
			serve.Unary(oncallv1.OnCallService_GetOnCall_FullMethodName, (*roster).GetOnCall),
		},
	}
}

// open refuses files that are not in order: at the beginning there is no good content to fall back on.
func open(ctx context.Context, c *rosterv1.Config) (*roster, error) {
	r, err := newRoster(c, slog.Default())
	if err != nil {
		return nil, err
	}
	r.watch(ctx)
	return r, nil
}
