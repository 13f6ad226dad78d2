package fleet

import (
	"context"
	"fmt"

	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// UpstreamState is what a connector says of its upstream.
type UpstreamState string

// The states of an upstream.
const (
	UpstreamOK UpstreamState = "ok"
	// UpstreamDegraded means that it answers, but that facts will be missing.
	UpstreamDegraded    UpstreamState = "degraded"
	UpstreamUnreachable UpstreamState = "unreachable"
	// CredentialsRefused means that it is there and does not accept the connector.
	CredentialsRefused UpstreamState = "credentials_refused"
	// UpstreamNotChecked means that the connector cannot tell: it has no health check.
	UpstreamNotChecked UpstreamState = "not_checked"
	// UpstreamUnknown means that the connector did not answer.
	UpstreamUnknown UpstreamState = "unknown"
)

// Health is the state of a connector's upstream, for an operator.
type Health struct {
	State UpstreamState
	// Message says what was tried and what came of it; it may be empty.
	Message string
}

// Health asks a connector for the state of its upstream.
func (f *Fleet) Health(ctx context.Context, connector string) Health {
	m, ok := f.members[connector]
	if !ok {
		return Health{State: UpstreamUnknown, Message: fmt.Sprintf("there is no connector %s", connector)}
	}
	health, err := m.process.CheckHealth(ctx)
	if err != nil {
		return Health{State: UpstreamUnknown, Message: bounded(detail(err))}
	}
	return Health{State: upstreamState(health.GetStatus()), Message: bounded(health.GetMessage())}
}

// Probe returns nil if there is no reason to believe that a connector's upstream would not answer. A
// connector without a health check is taken at its process' word.
func (f *Fleet) Probe(ctx context.Context, connector string) error {
	switch h := f.Health(ctx, connector); h.State {
	case UpstreamOK, UpstreamDegraded, UpstreamNotChecked:
		return nil
	default:
		return fmt.Errorf("connector %s: upstream %s: %s", connector, h.State, h.Message)
	}
}

func upstreamState(status connectorv1.HealthStatus) UpstreamState {
	switch status {
	case connectorv1.HealthStatus_HEALTH_STATUS_OK:
		return UpstreamOK
	case connectorv1.HealthStatus_HEALTH_STATUS_DEGRADED:
		return UpstreamDegraded
	case connectorv1.HealthStatus_HEALTH_STATUS_UNREACHABLE:
		return UpstreamUnreachable
	case connectorv1.HealthStatus_HEALTH_STATUS_CREDENTIALS_REFUSED:
		return CredentialsRefused
	case connectorv1.HealthStatus_HEALTH_STATUS_UNSPECIFIED:
		return UpstreamNotChecked
	default:
		return UpstreamUnknown
	}
}
