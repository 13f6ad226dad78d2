package host

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/countersign/countersign/connectors/internal/handshake"
	"github.com/countersign/countersign/connectors/internal/process"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// instance is one process of a connector, from its start to its end.
type instance struct {
	process     *process.Process
	conn        *grpc.ClientConn
	description *Description
	// alive ends when the process has ended.
	alive    context.Context
	stdio    sync.WaitGroup
	release  context.CancelFunc
	stopStep time.Duration
}

// launcher starts instances of one spec.
type launcher struct {
	spec    Spec
	limits  Limits
	options Options
	log     *slog.Logger
}

// begin starts a process and learns what it is. Everything is new at every start: go-plugin's objects
// and a digest's state must not be used twice.
func (l launcher) begin(ctx context.Context) (*instance, error) {
	if err := l.lookup(); err != nil {
		return nil, &ConfigError{Connector: l.spec.Name, Err: err}
	}
	if err := l.spec.check(l.options); err != nil {
		return nil, err
	}
	i, err := l.connect(ctx)
	if err != nil {
		return nil, err
	}
	bounded, cancel := context.WithTimeout(ctx, l.limits.StartTimeout)
	defer cancel()
	defer context.AfterFunc(i.alive, cancel)() //nolint:contextcheck // the end of the process is a context of its own
	if err := i.learn(bounded); err != nil {
		return nil, i.abandon(ctx, err)
	}
	return i, nil
}

// lookup completes the environment of the start that this launcher is a copy for.
func (l *launcher) lookup() error {
	if l.spec.Lookup == nil {
		return nil
	}
	found, err := l.spec.Lookup()
	l.spec.Env = slices.Concat(l.spec.Env, found)
	return err
}

// connect starts the process and dials it. go-plugin negotiates; its client, its Ping and its Kill are
// not used, since none of them has a deadline and a client of a process that has just died is never
// collected.
func (l launcher) connect(ctx context.Context) (*instance, error) {
	p := process.New(process.Command{
		Path: l.spec.Path, SHA256: strings.ToLower(l.spec.SHA256), Args: l.spec.Args, Env: l.spec.Env,
		Logger: l.log, Now: l.options.Now, Verified: l.options.verified,
	})
	config := &plugin.ClientConfig{
		HandshakeConfig:  handshake.Config(),
		Plugins:          handshake.Plugins(),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     l.limits.StartTimeout,
		Logger:           hclog.NewNullLogger(),
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: l.options.SocketDir},
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, socketDir string) (runner.Runner, error) {
			p.Prepare(cmd.Env, socketDir)
			return p, nil
		},
	}
	cancelled := context.AfterFunc(ctx, func() { _ = p.Kill(ctx) })
	address, err := plugin.NewClient(config).Start()
	if !cancelled() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, l.notStarted(ctx, p, err)
	}
	return l.dial(ctx, p, address, config.TLSConfig)
}

// notStarted ends a process that did not come up and says why it did not.
func (l launcher) notStarted(ctx context.Context, p *process.Process, err error) error {
	_ = p.Kill(ctx)
	if p.PID() != 0 {
		<-p.Exited()
	}
	switch refusal := p.Refusal(); {
	case ctx.Err() != nil:
		return ctx.Err()
	case p.PID() == 0:
		return err
	case refusal != nil:
		return fmt.Errorf("program %s: %w", l.spec.Path, refusal)
	case p.Exit().Reason != killed:
		err = fmt.Errorf("program %s ended before its handshake: %s", l.spec.Path, p.Exit().Reason)
	default:
		err = fmt.Errorf("program %s: handshake within %s: %w", l.spec.Path, l.limits.StartTimeout, err)
	}
	return withLast(err, p.Exit().Lines)
}

// killed is the exit reason of a process that did not end by itself.
const killed = "signal: killed"

// exitNotice is how long it may take to notice that a process has ended; mostly it takes 2 ms.
const exitNotice = 250 * time.Millisecond

// abandon ends an instance that cannot be used and adds to the error what its process has to do with it.
func (i *instance) abandon(ctx context.Context, err error) error {
	code := status.Code(err)
	if (code == codes.Unavailable || code == codes.Canceled) && endsWithin(i.process, exitNotice) {
		err = fmt.Errorf("%w; its process ended: %s", err, i.process.Exit().Reason)
	}
	i.stop(ctx)
	return withLast(err, i.process.Last())
}

// withLast adds the last line a process wrote, which mostly says why it failed.
func withLast(err error, last []string) error {
	if len(last) == 0 {
		return err
	}
	return fmt.Errorf("%w; its last line: %.300s", err, last[len(last)-1])
}

func (l launcher) dial(ctx context.Context, p *process.Process, address net.Addr, encryption *tls.Config) (*instance, error) {
	conn, err := grpc.NewClient("passthrough:///connector",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, address.Network(), address.String())
		}),
		grpc.WithTransportCredentials(credentials.NewTLS(encryption)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(l.limits.MaxMessage), grpc.MaxCallSendMsgSize(handshake.MaxMessage)),
		grpc.WithMaxHeaderListSize(maxHeader),
		grpc.WithDisableServiceConfig(),
		grpc.WithIdleTimeout(0),
	)
	if err != nil {
		_ = p.Kill(ctx)
		<-p.Exited()
		return nil, err
	}
	alive, release := context.WithCancel(context.WithoutCancel(ctx))
	i := &instance{process: p, conn: conn, alive: alive, release: release, stopStep: l.limits.StopTimeout / stopSteps}
	i.stdio.Go(func() {
		<-p.Exited()
		release()
	})
	i.stdio.Go(i.drainStdio)
	return i, nil
}

// maxHeader bounds the headers and trailers of an answer in bytes; a status with its details is one.
const maxHeader = 64 << 10

// learn probes an instance and learns what it is. The probe finds what a successful handshake does not:
// a process that prints the line and serves nothing.
func (i *instance) learn(ctx context.Context) error {
	if err := i.probe(ctx); err != nil {
		return fmt.Errorf("health probe: %w", err)
	}
	raw, err := connectorv1.NewConnectorServiceClient(i.conn).Describe(ctx, &connectorv1.DescribeRequest{})
	if err != nil {
		return fmt.Errorf("describe: %w", err)
	}
	if i.description, err = newDescription(raw); err != nil {
		return fmt.Errorf("describe: %w", err)
	}
	return i.probeCapabilities(ctx)
}

// probe asks the process whether it serves, by the health protocol of gRPC.
func (i *instance) probe(ctx context.Context) error {
	health, err := grpc_health_v1.NewHealthClient(i.conn).
		Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: plugin.GRPCServiceName}, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	if health.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("it is %s", health.GetStatus())
	}
	return nil
}

// probeCapabilities asks for each capability with an empty question. Nothing is configured yet, so the
// answer is FAILED_PRECONDITION; only UNIMPLEMENTED contradicts the description.
func (i *instance) probeCapabilities(ctx context.Context) error {
	for _, capability := range i.description.Capabilities {
		method := methodName(capability)
		err := i.conn.Invoke(ctx, "/"+method, &emptypb.Empty{}, &emptypb.Empty{})
		if status.Code(err) == codes.Unimplemented {
			return fmt.Errorf("capability %s is described and not implemented", method)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("capability %s: %w", method, err)
		}
	}
	return nil
}

// launch starts an instance and puts its configuration into force.
func (l launcher) launch(ctx context.Context) (*instance, error) {
	i, err := l.begin(ctx)
	if err != nil {
		return nil, l.named(err)
	}
	if l.spec.Description != nil && !sameDescription(l.spec.Description, i.description) {
		i.stop(ctx)
		return nil, fmt.Errorf("connector %s: describes itself otherwise than the same program did before", l.spec.Name)
	}
	if err := l.configure(ctx, i); err != nil {
		if _, ok := errors.AsType[*ConfigError](err); ok {
			i.stop(ctx)
			return nil, err
		}
		return nil, l.named(i.abandon(ctx, err))
	}
	return i, nil
}

// named adds the connector's name to an error that does not have it.
func (l launcher) named(err error) error {
	if _, ok := errors.AsType[*ConfigError](err); ok || err == nil {
		return err
	}
	return fmt.Errorf("connector %s: %w", l.spec.Name, err)
}
