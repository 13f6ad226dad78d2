package main

import (
	"context"
	"net/url"

	"google.golang.org/grpc/status"

	"github.com/countersign/countersign/connectors/finding"
	"github.com/countersign/countersign/connectors/upstream"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// health reads one user, whoever it is, and looks whether the property shows that only User.Read.All
// shows.
func health(ctx context.Context, d *directory) (*connectorv1.CheckHealthResponse, error) {
	var page struct {
		Value []object `json:"value"`
	}
	_, err := d.client.JSON(ctx, upstream.Request{
		Path:  upstream.Path("v1.0", "users"),
		Query: url.Values{"$top": {"1"}, "$select": {"id,accountEnabled"}},
	}, &page)
	if err != nil {
		return &connectorv1.CheckHealthResponse{Status: healthOf(err), Message: status.Convert(err).Message()}, nil
	}
	if len(page.Value) == 0 || page.Value[0].enabled() == nil {
		return &connectorv1.CheckHealthResponse{
			Status:  connectorv1.HealthStatus_HEALTH_STATUS_DEGRADED,
			Message: "read users without accountEnabled; has User.Read.All been granted?",
		}, nil
	}
	return &connectorv1.CheckHealthResponse{Status: connectorv1.HealthStatus_HEALTH_STATUS_OK, Message: d.summary()}, nil
}

func (d *directory) summary() string {
	if d.leaveDateReadable {
		return "read one user; leave dates count as readable"
	}
	return "read one user; an empty leave date counts as unknown until leave_date_readable is set"
}

func healthOf(err error) connectorv1.HealthStatus {
	if kind, _, _ := finding.Of(err); kind == connectorv1.FaultKind_FAULT_KIND_DENIED {
		return connectorv1.HealthStatus_HEALTH_STATUS_CREDENTIALS_REFUSED
	}
	return connectorv1.HealthStatus_HEALTH_STATUS_UNREACHABLE
}
