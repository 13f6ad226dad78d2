package finding

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// NotFound says that the upstream was asked and knows nothing by these arguments. That is knowledge,
// not a fault: the fact "found" becomes false and every other fact none. Never return it for an
// answer that a missing permission could have produced.
func NotFound(format string, args ...any) error {
	return status.Errorf(codes.NotFound, format, args...)
}

// Unavailable says that the upstream, or the way to it, does not work.
func Unavailable(format string, args ...any) error {
	return fault(codes.Unavailable, &connectorv1.Fault{Kind: connectorv1.FaultKind_FAULT_KIND_UNAVAILABLE, Source: upstream}, format, args)
}

// Timeout says that the upstream did not answer in time.
func Timeout(format string, args ...any) error {
	return fault(codes.DeadlineExceeded, &connectorv1.Fault{Kind: connectorv1.FaultKind_FAULT_KIND_TIMEOUT, Source: upstream}, format, args)
}

// Denied says that the upstream refused the connector's credentials or rights.
func Denied(format string, args ...any) error {
	return fault(codes.PermissionDenied, &connectorv1.Fault{Kind: connectorv1.FaultKind_FAULT_KIND_DENIED, Source: upstream}, format, args)
}

// Malformed says that the upstream's answer cannot be trusted to mean what was asked.
func Malformed(format string, args ...any) error {
	return fault(codes.DataLoss, &connectorv1.Fault{Kind: connectorv1.FaultKind_FAULT_KIND_MALFORMED, Source: upstream}, format, args)
}

// Ambiguous says that more than one record fits the question.
func Ambiguous(format string, args ...any) error {
	return fault(codes.FailedPrecondition, &connectorv1.Fault{Kind: connectorv1.FaultKind_FAULT_KIND_AMBIGUOUS, Source: question}, format, args)
}

// Busy says that the upstream has too much to do, or limits our rate.
func Busy(format string, args ...any) error {
	return fault(codes.ResourceExhausted, &connectorv1.Fault{Kind: connectorv1.FaultKind_FAULT_KIND_BUSY, Source: upstream}, format, args)
}

// BadQuestion says that the arguments make no sense to this connector, such as an on-call service it
// is not configured for.
func BadQuestion(format string, args ...any) error {
	return fault(codes.InvalidArgument, &connectorv1.Fault{Kind: connectorv1.FaultKind_FAULT_KIND_MALFORMED, Source: question}, format, args)
}

const (
	upstream  = connectorv1.FaultSource_FAULT_SOURCE_UPSTREAM
	connector = connectorv1.FaultSource_FAULT_SOURCE_CONNECTOR
	question  = connectorv1.FaultSource_FAULT_SOURCE_QUESTION
)

func fault(code codes.Code, detail *connectorv1.Fault, format string, args []any) error {
	s, err := status.New(code, fmt.Sprintf(format, args...)).WithDetails(detail)
	if err != nil {
		return status.Errorf(code, format, args...)
	}
	return s.Err()
}

// Of reads the fault that an error stands for. It is none for nil and for an error that means "not
// found". An error that says nothing about itself is judged by its gRPC code.
func Of(err error) (kind connectorv1.FaultKind, source connectorv1.FaultSource, isFault bool) {
	if err == nil || status.Code(err) == codes.NotFound {
		return 0, 0, false
	}
	for _, detail := range status.Convert(err).Details() {
		f, ok := detail.(*connectorv1.Fault)
		if ok && f.GetKind() != connectorv1.FaultKind_FAULT_KIND_UNSPECIFIED {
			return f.GetKind(), f.GetSource(), true
		}
	}
	kind, source = ofCode(err)
	return kind, source, true
}

func ofCode(err error) (connectorv1.FaultKind, connectorv1.FaultSource) {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return connectorv1.FaultKind_FAULT_KIND_TIMEOUT, upstream
	}
	switch status.Code(err) {
	case codes.DeadlineExceeded, codes.Canceled:
		return connectorv1.FaultKind_FAULT_KIND_TIMEOUT, upstream
	case codes.Unavailable:
		return connectorv1.FaultKind_FAULT_KIND_UNAVAILABLE, upstream
	case codes.PermissionDenied, codes.Unauthenticated:
		return connectorv1.FaultKind_FAULT_KIND_DENIED, upstream
	case codes.ResourceExhausted:
		return connectorv1.FaultKind_FAULT_KIND_BUSY, upstream
	case codes.InvalidArgument, codes.OutOfRange:
		return connectorv1.FaultKind_FAULT_KIND_MALFORMED, question
	case codes.FailedPrecondition:
		return connectorv1.FaultKind_FAULT_KIND_UNAVAILABLE, connector
	default:
		return connectorv1.FaultKind_FAULT_KIND_MALFORMED, connector
	}
}
