// Command pagerduty is the PagerDuty connector: whether somebody is on call, and which open incident
// somebody is working on. It only reads.
package main

import (
	"context"

	"google.golang.org/grpc/status"

	"github.com/countersign/countersign/connectors/serve"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
	incidentv1 "github.com/countersign/countersign/proto/countersign/incident/v1"
	oncallv1 "github.com/countersign/countersign/proto/countersign/oncall/v1"
	pagerdutyv1 "github.com/countersign/countersign/proto/countersign/plugins/pagerduty/v1"
)

func main() { serve.Main(connector()) }

func connector() serve.Connector[*pagerdutyv1.Config, *account] {
	return serve.Connector[*pagerdutyv1.Config, *account]{
		Name:     "pagerduty",
		Version:  "1.0.0",
		Vendor:   "Countersign",
		Open:     open,
		Validate: validate,
		Health:   health,
		Capabilities: []serve.Capability[*account]{
			serve.Unary(oncallv1.OnCallService_GetOnCall_FullMethodName, (*account).GetOnCall),
			serve.Unary(incidentv1.IncidentService_GetIncident_FullMethodName, (*account).GetIncident),
		},
	}
}

func open(_ context.Context, c *pagerdutyv1.Config) (*account, error) { return newAccount(c) }

// health reads one user and one on-call entry: the two rights without which nothing can be answered.
func health(ctx context.Context, a *account) (*connectorv1.CheckHealthResponse, error) {
	for _, collection := range []string{"users", "oncalls"} {
		if err := a.probe(ctx, collection); err != nil {
			return &connectorv1.CheckHealthResponse{Status: statusOf(err), Message: status.Convert(err).Message()}, nil
		}
	}
	return &connectorv1.CheckHealthResponse{
		Status:  connectorv1.HealthStatus_HEALTH_STATUS_OK,
		Message: "read one user and one on-call entry",
	}, nil
}

func statusOf(err error) connectorv1.HealthStatus {
	if isDenied(err) {
		return connectorv1.HealthStatus_HEALTH_STATUS_CREDENTIALS_REFUSED
	}
	return connectorv1.HealthStatus_HEALTH_STATUS_UNREACHABLE
}
