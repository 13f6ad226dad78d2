package serve

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/countersign/countersign/connectors/internal/handshake"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// Server is a connector on a gRPC server, as [Main] serves it. It is exported for package connectortest;
// a connector calls Main.
type Server struct {
	// Description is the connector's account of itself.
	Description *connectorv1.DescribeResponse

	register func(grpc.ServiceRegistrar)
	close    func()
}

// NewServer checks a connector and prepares to serve it. The error names everything that is wrong with
// the connector itself.
func NewServer[C proto.Message, I any](c Connector[C, I], log *slog.Logger) (*Server, error) {
	description, err := describe(c)
	if err != nil {
		return nil, fmt.Errorf("connector %s: %w", c.Name, err)
	}
	s := &service[C, I]{connector: c, description: description, log: log, slot: slot[I]{log: log}}
	return &Server{Description: description, register: s.register, close: s.close}, nil
}

// GRPC returns a new gRPC server with the connector's services on it.
func (s *Server) GRPC(log *slog.Logger, options ...grpc.ServerOption) *grpc.Server {
	options = append(options,
		grpc.MaxRecvMsgSize(handshake.MaxMessage),
		grpc.MaxSendMsgSize(handshake.MaxMessage),
		grpc.ChainUnaryInterceptor(inTime, recovering(log)),
	)
	server := grpc.NewServer(options...)
	s.register(server)
	return server
}

// Close retires the instance in force and waits until every instance is closed.
func (s *Server) Close() { s.close() }

func (s *service[C, I]) close() {
	s.slot.replace(nil)
	s.slot.closing.Wait()
}

// register puts the capabilities on a server, grouped by service. The methods of a service that nobody
// answers stay unimplemented.
func (s *service[C, I]) register(server grpc.ServiceRegistrar) {
	connectorv1.RegisterConnectorServiceServer(server, s)
	services := map[string]*grpc.ServiceDesc{}
	for _, capability := range s.connector.Capabilities {
		name, method, _ := strings.Cut(capability.method, "/")
		if services[name] == nil {
			services[name] = &grpc.ServiceDesc{ServiceName: name}
		}
		services[name].Methods = append(services[name].Methods, s.method(method, capability))
	}
	for _, desc := range services {
		server.RegisterService(desc, nil)
	}
}

func (s *service[C, I]) method(name string, capability Capability[I]) grpc.MethodDesc {
	answer := func(ctx context.Context, request any) (any, error) {
		typed, _ := request.(proto.Message)
		return s.answer(ctx, capability, typed)
	}
	info := &grpc.UnaryServerInfo{Server: s, FullMethod: "/" + capability.method}
	return grpc.MethodDesc{
		MethodName: name,
		Handler: func(_ any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
			request := capability.request.New().Interface()
			if err := decode(request); err != nil {
				return nil, err
			}
			if intercept == nil {
				return answer(ctx, request)
			}
			return intercept(ctx, request, info, answer)
		},
	}
}

// inTime gives a call without a deadline one.
func inTime(ctx context.Context, request any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if _, ok := ctx.Deadline(); !ok {
		bounded, cancel := context.WithTimeout(ctx, handshake.CallTimeout)
		defer cancel()
		ctx = bounded
	}
	return next(ctx, request)
}

// recovering keeps the process alive when a call panics, which gRPC does not. The stack goes to the log
// and nothing of it to the caller.
func recovering(log *slog.Logger) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (response any, err error) {
		defer func() {
			if p := recover(); p != nil {
				log.Error("call panicked", slog.String("method", info.FullMethod), slog.String("panic", fmt.Sprint(p)),
					slog.String("stack", string(debug.Stack())))
				response, err = nil, status.Error(codes.Internal, "internal error; the connector's log has it")
			}
		}()
		return next(ctx, request)
	}
}
