package main

import (
	"encoding/json"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/countersign/countersign/connectors/finding"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// nullable tells a member that is null, which PagerDuty means, from one that is missing.
type nullable[T any] struct {
	given bool
	value *T
}

// UnmarshalJSON is called for members that are there, null included.
func (n *nullable[T]) UnmarshalJSON(data []byte) error {
	n.given = true
	return json.Unmarshal(data, &n.value)
}

func isMissing(err error) bool { return status.Code(err) == codes.NotFound }

func isDenied(err error) bool {
	kind, _, _ := finding.Of(err)
	return kind == connectorv1.FaultKind_FAULT_KIND_DENIED
}
