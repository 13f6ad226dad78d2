package serve

import (
	"context"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// Connector is a connector whose configuration is a C and whose instances are an I. With
// *emptypb.Empty for C there is nothing to configure.
type Connector[C proto.Message, I any] struct {
	// Name is the plugin's name, such as "servicenow": lower-case letters, digits and hyphens.
	Name string
	// Version is the plugin's version in semantic versioning, such as "1.2.0".
	Version string
	// Vendor is who publishes the plugin.
	Vendor string

	// Open builds an instance from a configuration that passed all checks. The instance is swapped in
	// atomically: calls under way finish on the old one, which is then closed if it is an io.Closer.
	// The context ends when Open returns. An error made with package finding keeps its meaning; any
	// other counts as temporary and is shown to the operator, so it must not repeat a secret.
	Open func(ctx context.Context, config C) (I, error)

	// Validate finds what is wrong with a configuration beyond missing settings; optional. It is
	// pure: it reads no file and asks nobody.
	Validate func(config C) []*connectorv1.Diagnostic

	// Health says whether the upstream can be reached with the configured credentials; optional.
	Health func(ctx context.Context, instance I) (*connectorv1.CheckHealthResponse, error)

	// Capabilities are the questions it answers.
	Capabilities []Capability[I]
}

// Capability is one question that instances of type I answer; [Unary] makes it.
type Capability[I any] struct {
	method   string
	request  protoreflect.MessageType
	response protoreflect.MessageType
	call     func(ctx context.Context, instance I, request proto.Message) (proto.Message, error)
}

// Unary says that answer answers a method, named as the generated code names it:
//
//	serve.Unary(ticketv1.TicketService_GetTicket_FullMethodName, (*snow).GetTicket)
func Unary[I any, Req, Resp proto.Message](fullMethod string, answer func(I, context.Context, Req) (Resp, error)) Capability[I] {
	var request Req
	var response Resp
	return Capability[I]{
		method:   strings.TrimPrefix(fullMethod, "/"),
		request:  request.ProtoReflect().Type(),
		response: response.ProtoReflect().Type(),
		call: func(ctx context.Context, instance I, request proto.Message) (proto.Message, error) {
			typed, _ := request.(Req)
			return answer(instance, ctx, typed)
		},
	}
}
