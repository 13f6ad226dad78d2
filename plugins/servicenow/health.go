package main

import (
	"context"
	"net/url"
	"strings"

	"google.golang.org/grpc/status"

	"github.com/countersign/countersign/connectors/finding"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// health reads one record of the first table that shows any, and names the columns that are hidden in
// it: a hidden record looks like "not found" and a hidden column like "unknown" when a ticket is asked
// for. An instance may allow few requests an hour, so that no more tables are read than needed.
func health(ctx context.Context, i *instance) (*connectorv1.CheckHealthResponse, error) {
	for _, t := range i.tables {
		rows, err := i.list(ctx, t.GetTable(), url.Values{
			"sysparm_fields": {strings.Join(essential(), ",")},
			"sysparm_limit":  {"1"},
		})
		if err != nil {
			return &connectorv1.CheckHealthResponse{Status: healthOf(err), Message: status.Convert(err).Message()}, nil
		}
		if len(rows) > 0 {
			return seen(t.GetTable(), rows[0]), nil
		}
	}
	return &connectorv1.CheckHealthResponse{
		Status: connectorv1.HealthStatus_HEALTH_STATUS_DEGRADED, Message: "cannot see any record of the configured tables",
	}, nil
}

func seen(table string, row record) *connectorv1.CheckHealthResponse {
	var hidden []string
	for _, column := range essential() {
		if !row.cell(column).readable {
			hidden = append(hidden, table+"."+column)
		}
	}
	if len(hidden) > 0 {
		return &connectorv1.CheckHealthResponse{
			Status: connectorv1.HealthStatus_HEALTH_STATUS_DEGRADED, Message: "cannot see " + strings.Join(hidden, ", "),
		}
	}
	return &connectorv1.CheckHealthResponse{Status: connectorv1.HealthStatus_HEALTH_STATUS_OK, Message: "read one record of " + table}
}

// essential are the columns without which no policy about tickets works.
func essential() []string { return []string{"number", "sys_class_name", "state", "approval", "active"} }

func healthOf(err error) connectorv1.HealthStatus {
	if kind, _, _ := finding.Of(err); kind == connectorv1.FaultKind_FAULT_KIND_DENIED {
		return connectorv1.HealthStatus_HEALTH_STATUS_CREDENTIALS_REFUSED
	}
	return connectorv1.HealthStatus_HEALTH_STATUS_UNREACHABLE
}
