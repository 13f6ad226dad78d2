// Package connectortest tests connectors. [Start] serves one in the test's own process, over real gRPC
// and with everything that serve.Main puts around it but the process; [State] says what an answer knows
// about a fact; [Build] builds the program for tests that need the process as well.
//
//	func TestClosedTicket(t *testing.T) {
//		client := connectortest.Start(t, connector(), &snowv1.Config{Url: upstream.URL})
//		answer := &ticketv1.GetTicketResponse{}
//		err := client.Invoke(t.Context(), "countersign.ticket.v1.TicketService/GetTicket", request, answer)
//		…
//		if got := connectortest.State(answer, "approval"); got != connectortest.Unknown {
//			t.Errorf("approval is %s, want unknown: the upstream hides it", got)
//		}
//	}
package connectortest

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"github.com/countersign/countersign/connectors/internal/handshake"
	"github.com/countersign/countersign/connectors/serve"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// Client talks to a connector under test.
type Client struct {
	conn        *grpc.ClientConn
	description *connectorv1.DescribeResponse
}

// Start serves a connector until the test ends and puts a configuration into force, as a gateway does:
// describe, validate, configure. A connector that cannot be described or refuses the configuration ends
// the test; [Serve] is for tests of refusals.
func Start[C proto.Message, I any](t testing.TB, c serve.Connector[C, I], config C) *Client {
	t.Helper()
	client := Serve(t, c)
	for _, d := range client.Validate(t, config) {
		if d.GetSeverity() != connectorv1.Severity_SEVERITY_WARNING {
			t.Fatalf("configuration refused: %s: %s (%s)", d.GetFieldPath(), d.GetSummary(), d.GetRemedy())
		}
	}
	if err := client.Configure(t.Context(), config); err != nil {
		t.Fatalf("configure: %v", err)
	}
	return client
}

// Serve serves a connector until the test ends and does not configure it.
func Serve[C proto.Message, I any](t testing.TB, c serve.Connector[C, I]) *Client {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	server, err := serve.NewServer(c, log)
	if err != nil {
		t.Fatal(err)
	}
	listener := bufconn.Listen(1 << 20)
	grpcServer := server.GRPC(log)
	served := make(chan error, 1)
	go func() { served <- grpcServer.Serve(listener) }()
	client := dial(t, listener)
	t.Cleanup(func() {
		_ = client.conn.Close()
		grpcServer.Stop()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		server.Close()
	})
	client.describe(t)
	return client
}

func dial(t testing.TB, listener *bufconn.Listener) *Client {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///connector",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(handshake.MaxMessage), grpc.MaxCallSendMsgSize(handshake.MaxMessage)))
	if err != nil {
		t.Fatal(err)
	}
	return &Client{conn: conn}
}

func (c *Client) describe(t testing.TB) {
	t.Helper()
	description, err := connectorv1.NewConnectorServiceClient(c.conn).Describe(t.Context(), &connectorv1.DescribeRequest{})
	if err != nil {
		t.Fatalf("describe: %v", err)
	}
	c.description = description
}

// Conn returns the connection, for generated clients.
func (c *Client) Conn() grpc.ClientConnInterface { return c.conn }

// Description returns the connector's account of itself.
func (c *Client) Description() *connectorv1.DescribeResponse { return c.description }

// Invoke calls a method, named as "package.Service/Method"; a leading slash does no harm.
func (c *Client) Invoke(ctx context.Context, method string, request, response proto.Message) error {
	return c.conn.Invoke(ctx, "/"+strings.TrimPrefix(method, "/"), request, response)
}

// Validate returns what the connector says about a configuration.
func (c *Client) Validate(t testing.TB, config proto.Message) []*connectorv1.Diagnostic {
	t.Helper()
	validated, err := connectorv1.NewConnectorServiceClient(c.conn).
		ValidateConfig(t.Context(), &connectorv1.ValidateConfigRequest{Config: encode(t, config)})
	if err != nil {
		t.Fatalf("validate: %v", err)
	}
	return validated.GetDiagnostics()
}

// Configure puts a configuration into force; calls under way finish with the one before.
func (c *Client) Configure(ctx context.Context, config proto.Message) error {
	raw, err := proto.Marshal(config)
	if err != nil {
		return err
	}
	_, err = connectorv1.NewConnectorServiceClient(c.conn).Configure(ctx, &connectorv1.ConfigureRequest{Config: raw})
	return err
}

// CheckHealth asks for the state of the upstream.
func (c *Client) CheckHealth(ctx context.Context) (*connectorv1.CheckHealthResponse, error) {
	return connectorv1.NewConnectorServiceClient(c.conn).CheckHealth(ctx, &connectorv1.CheckHealthRequest{})
}

func encode(t testing.TB, m proto.Message) []byte {
	t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		t.Fatalf("encode %s: %v", m.ProtoReflect().Descriptor().FullName(), err)
	}
	return raw
}
