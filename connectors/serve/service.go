package serve

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"

	"github.com/countersign/countersign/connectors/finding"
	"github.com/countersign/countersign/connectors/internal/handshake"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// service is a connector as the gateway sees it.
type service[C proto.Message, I any] struct {
	connectorv1.UnimplementedConnectorServiceServer
	connector   Connector[C, I]
	description *connectorv1.DescribeResponse
	log         *slog.Logger
	slot        slot[I]
	configuring sync.Mutex
}

// Describe returns what was built from the descriptors at start.
func (s *service[C, I]) Describe(context.Context, *connectorv1.DescribeRequest) (*connectorv1.DescribeResponse, error) {
	return s.description, nil
}

// ValidateConfig finds everything that is wrong with a configuration.
func (s *service[C, I]) ValidateConfig(_ context.Context, r *connectorv1.ValidateConfigRequest) (*connectorv1.ValidateConfigResponse, error) {
	_, diagnostics := s.read(r.GetConfig())
	return &connectorv1.ValidateConfigResponse{Diagnostics: diagnostics}, nil
}

// Configure runs the checks of ValidateConfig, opens an instance and puts it in force.
func (s *service[C, I]) Configure(ctx context.Context, r *connectorv1.ConfigureRequest) (*connectorv1.ConfigureResponse, error) {
	s.configuring.Lock()
	defer s.configuring.Unlock()
	config, diagnostics := s.read(r.GetConfig())
	if refused(diagnostics) {
		return nil, invalid(diagnostics)
	}
	instance, err := s.connector.Open(ctx, config)
	if err != nil {
		return nil, notOpened(err)
	}
	s.slot.replace(&tenant[I]{instance: instance})
	return &connectorv1.ConfigureResponse{}, nil
}

// CheckHealth asks the instance in force for the state of its upstream.
func (s *service[C, I]) CheckHealth(ctx context.Context, _ *connectorv1.CheckHealthRequest) (*connectorv1.CheckHealthResponse, error) {
	t := s.slot.acquire()
	if t == nil {
		return nil, notConfigured()
	}
	defer s.slot.release(t)
	if s.connector.Health == nil {
		return &connectorv1.CheckHealthResponse{Message: "this connector has no health check"}, nil
	}
	health, err := s.connector.Health(ctx, t.instance)
	if err != nil {
		return nil, s.fault("CheckHealth", err)
	}
	return health, nil
}

// read decodes a configuration and finds what is wrong with it.
func (s *service[C, I]) read(raw []byte) (C, []*connectorv1.Diagnostic) {
	var zero C
	config, _ := zero.ProtoReflect().New().Interface().(C)
	if err := proto.Unmarshal(raw, config); err != nil {
		return config, []*connectorv1.Diagnostic{{
			Severity: connectorv1.Severity_SEVERITY_ERROR,
			Summary:  "the configuration cannot be decoded as " + string(config.ProtoReflect().Descriptor().FullName()),
		}}
	}
	diagnostics := diagnose(missing(config.ProtoReflect(), ""))
	if len(config.ProtoReflect().GetUnknown()) > 0 {
		diagnostics = append(diagnostics, &connectorv1.Diagnostic{
			Severity: connectorv1.Severity_SEVERITY_ERROR,
			Summary:  "the configuration has settings that this version does not know",
		})
	}
	if s.connector.Validate != nil {
		diagnostics = append(diagnostics, s.connector.Validate(config)...)
	}
	return config, diagnostics
}

// answer runs one capability.
func (s *service[C, I]) answer(ctx context.Context, c Capability[I], request proto.Message) (proto.Message, error) {
	t := s.slot.acquire()
	if t == nil {
		return nil, notConfigured()
	}
	defer s.slot.release(t)
	if gaps := missing(request.ProtoReflect(), ""); len(gaps) > 0 {
		return nil, finding.BadQuestion("argument %s is missing", gaps[0].path)
	}
	ctx, recorder := finding.WithRecorder(ctx)
	response, err := c.call(ctx, t.instance, request)
	if err != nil {
		return nil, s.fault(c.method, err)
	}
	return s.complete(c, recorder, response)
}

// complete names what is unknown. It works on a copy: a capability may answer from its cache.
func (s *service[C, I]) complete(c Capability[I], recorder *finding.Recorder, response proto.Message) (proto.Message, error) {
	if !response.ProtoReflect().IsValid() {
		return nil, s.broken(c.method, errors.New("capability returned neither an answer nor an error"))
	}
	response = proto.Clone(response)
	if err := recorder.Complete(response, time.Now()); err != nil {
		return nil, s.broken(c.method, err)
	}
	if size := proto.Size(response); size > handshake.MaxMessage {
		return nil, s.broken(c.method, errors.New("answer is longer than 4 MiB"))
	}
	return response, nil
}

// fault lets through what says what it means and hides the text of everything else.
func (s *service[C, I]) fault(method string, err error) error {
	if _, ok := status.FromError(err); ok {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return finding.Timeout("no answer in time")
	}
	return s.broken(method, err)
}

func (s *service[C, I]) broken(method string, err error) error {
	s.log.Error("capability failed", slog.String("method", method), slog.Any("error", err))
	return status.Error(codes.Internal, "internal error; the connector's log has it")
}

func notConfigured() error {
	return status.Error(codes.FailedPrecondition, "the connector has no configuration yet")
}

func notOpened(err error) error {
	if _, ok := status.FromError(err); ok {
		return err
	}
	return status.Errorf(codes.FailedPrecondition, "open: %v", err)
}

func refused(diagnostics []*connectorv1.Diagnostic) bool {
	for _, d := range diagnostics {
		if d.GetSeverity() != connectorv1.Severity_SEVERITY_WARNING {
			return true
		}
	}
	return false
}

// maxDetails bounds the diagnostics that travel in a status, which is sent as a header.
const maxDetails = 8

func invalid(diagnostics []*connectorv1.Diagnostic) error {
	refusal := status.New(codes.InvalidArgument, "the configuration is not usable")
	var details []protoadapt.MessageV1
	for _, d := range diagnostics[:min(len(diagnostics), maxDetails)] {
		details = append(details, protoadapt.MessageV1Of(d))
	}
	if detailed, err := refusal.WithDetails(details...); err == nil {
		refusal = detailed
	}
	return refusal.Err()
}
