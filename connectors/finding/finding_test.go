package finding_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/countersign/countersign/connectors/finding"
	calendarv1 "github.com/countersign/countersign/proto/countersign/calendar/v1"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
	ticketv1 "github.com/countersign/countersign/proto/countersign/ticket/v1"
)

func TestWhatIsNotMentionedIsUnknown(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	ctx, recorder := finding.WithRecorder(t.Context())
	finding.None(ctx, "window_start", "configuration_items")
	finding.Attempt(ctx, "first")
	finding.Attempt(ctx, strings.Repeat("x", 200))
	number := "CHG1"
	answer := &ticketv1.GetTicketResponse{Number: &number}
	if err := recorder.Complete(answer, now); err != nil {
		t.Fatal(err)
	}
	o := answer.GetObservation()
	for _, known := range []string{"number", "window_start", "configuration_items", "observation"} {
		if slices.Contains(o.GetUnknownFields(), known) {
			t.Errorf("%s is named unknown", known)
		}
	}
	for _, unknown := range []string{"kind", "window_end", "conflicts", "active"} {
		if !slices.Contains(o.GetUnknownFields(), unknown) {
			t.Errorf("%s is not named unknown", unknown)
		}
	}
	if !o.GetObservedAt().AsTime().Equal(now) || o.GetAttempts() != 2 || len(o.GetUpstreamRequestId()) != 128 {
		t.Errorf("observation %v", o)
	}
}

func TestWhatTheConnectorSaysItselfStands(t *testing.T) {
	t.Parallel()
	ctx, recorder := finding.WithRecorder(t.Context())
	read := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	finding.ObservedAt(ctx, read)
	number := "CHG1"
	answer := &ticketv1.GetTicketResponse{Number: &number, Observation: &connectorv1.Observation{UnknownFields: []string{"number"}}}
	if err := recorder.Complete(answer, time.Now()); err != nil {
		t.Fatal(err)
	}
	if o := answer.GetObservation(); !slices.Contains(o.GetUnknownFields(), "number") || !o.GetObservedAt().AsTime().Equal(read) {
		t.Errorf("observation %v", o)
	}
	own := timestamppb.New(read.Add(time.Hour))
	again := &ticketv1.GetTicketResponse{Observation: &connectorv1.Observation{ObservedAt: own}}
	if err := recorder.Complete(again, time.Now()); err != nil || !again.GetObservation().GetObservedAt().AsTime().Equal(own.AsTime()) {
		t.Errorf("observation %v: %v", again.GetObservation(), err)
	}
}

func TestContradictionsAreBugs(t *testing.T) {
	t.Parallel()
	number := "CHG1"
	for name, none := range map[string]string{"none and set": "number", "no such field": "nubmer"} {
		ctx, recorder := finding.WithRecorder(t.Context())
		finding.None(ctx, none)
		if err := recorder.Complete(&ticketv1.GetTicketResponse{Number: &number}, time.Now()); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	_, recorder := finding.WithRecorder(t.Context())
	if err := recorder.Complete(&calendarv1.GetCalendarRequest{}, time.Now()); err == nil {
		t.Error("a message without an observation is completed")
	}
}

func TestFaultsTravelAsStatuses(t *testing.T) {
	t.Parallel()
	const upstream, connector, question = connectorv1.FaultSource_FAULT_SOURCE_UPSTREAM, connectorv1.FaultSource_FAULT_SOURCE_CONNECTOR, connectorv1.FaultSource_FAULT_SOURCE_QUESTION
	for _, c := range []struct {
		err    error
		kind   connectorv1.FaultKind
		source connectorv1.FaultSource
	}{
		{finding.Unavailable("x"), connectorv1.FaultKind_FAULT_KIND_UNAVAILABLE, upstream},
		{finding.Timeout("x"), connectorv1.FaultKind_FAULT_KIND_TIMEOUT, upstream},
		{finding.Denied("x"), connectorv1.FaultKind_FAULT_KIND_DENIED, upstream},
		{finding.Malformed("x"), connectorv1.FaultKind_FAULT_KIND_MALFORMED, upstream},
		{finding.Ambiguous("x"), connectorv1.FaultKind_FAULT_KIND_AMBIGUOUS, question},
		{finding.Busy("x"), connectorv1.FaultKind_FAULT_KIND_BUSY, upstream},
		{finding.BadQuestion("x"), connectorv1.FaultKind_FAULT_KIND_MALFORMED, question},
		{status.Error(codes.Unavailable, "x"), connectorv1.FaultKind_FAULT_KIND_UNAVAILABLE, upstream},
		{status.Error(codes.Unauthenticated, "x"), connectorv1.FaultKind_FAULT_KIND_DENIED, upstream},
		{status.Error(codes.InvalidArgument, "x"), connectorv1.FaultKind_FAULT_KIND_MALFORMED, question},
		{status.Error(codes.FailedPrecondition, "x"), connectorv1.FaultKind_FAULT_KIND_UNAVAILABLE, connector},
		{status.Error(codes.Internal, "x"), connectorv1.FaultKind_FAULT_KIND_MALFORMED, connector},
		{status.Error(codes.Unimplemented, "x"), connectorv1.FaultKind_FAULT_KIND_MALFORMED, connector},
		{fmt.Errorf("call: %w", context.DeadlineExceeded), connectorv1.FaultKind_FAULT_KIND_TIMEOUT, upstream},
		{errors.New("x"), connectorv1.FaultKind_FAULT_KIND_MALFORMED, connector},
	} {
		// As the gateway sees it: after the wire.
		err := status.FromProto(status.Convert(c.err).Proto()).Err()
		if errors.Is(c.err, context.DeadlineExceeded) {
			err = c.err
		}
		kind, source, isFault := finding.Of(err)
		if kind != c.kind || source != c.source || !isFault {
			t.Errorf("%v: %v by %v (%v), want %v by %v", c.err, kind, source, isFault, c.kind, c.source)
		}
	}
	for _, knowledge := range []error{nil, finding.NotFound("x")} {
		if _, _, isFault := finding.Of(knowledge); isFault {
			t.Errorf("%v is taken for a fault", knowledge)
		}
	}
}
