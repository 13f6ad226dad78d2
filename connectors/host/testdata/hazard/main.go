// Command hazard is a connector that misbehaves on demand: before its handshake as its first argument
// says, afterwards as the question says. It does not use package serve, which would prevent much of it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	freezev1 "github.com/countersign/countersign/connectors/connectortest/acme/freeze/v1"
	"github.com/countersign/countersign/connectors/internal/handshake"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

func main() {
	fmt.Fprintln(os.Stderr, "hazard begins")
	mode := ""
	if len(os.Args) > 1 {
		mode = os.Args[1]
	}
	beforeHandshake(mode)
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: handshake.Config(),
		Plugins:         handshake.Plugins(),
		GRPCServer: func(options []grpc.ServerOption) *grpc.Server {
			server := grpc.NewServer(append(options, grpc.MaxSendMsgSize(1<<30))...)
			connectorv1.RegisterConnectorServiceServer(server, &connector{mode: mode})
			if mode != "unimplemented" {
				freezev1.RegisterFreezeServiceServer(server, &freezes{})
			}
			return server
		},
	})
	if mode == "stubborn" {
		select {} // neither Shutdown nor the end of standard input nor SIGTERM impresses it
	}
}

func beforeHandshake(mode string) {
	fake := "|grpc|" + strings.Repeat("x", 60)
	switch mode {
	case "exit":
		fmt.Fprintln(os.Stderr, "no licence")
		os.Exit(3)
	case "silent":
		select {}
	case "greets":
		fmt.Fprintf(os.Stdout, "hello from a library\n\n%s\n", strings.Repeat("=", 40<<10))
	case "floods":
		for {
			fmt.Fprintln(os.Stdout, strings.Repeat("x", 1000))
		}
	case "plain":
		fmt.Fprintln(os.Stdout, "1|1|unix|"+os.Getenv("PLUGIN_UNIX_SOCKET_DIR")+"/x|grpc|")
		select {}
	case "elsewhere":
		fmt.Fprintln(os.Stdout, "1|1|unix|/var/run/docker.sock"+fake)
		select {}
	case "liar":
		fmt.Fprintln(os.Stdout, "1|1|unix|"+os.Getenv("PLUGIN_UNIX_SOCKET_DIR")+"/x"+fake)
	case "future":
		fmt.Fprintln(os.Stdout, "1|2|unix|"+os.Getenv("PLUGIN_UNIX_SOCKET_DIR")+"/x"+fake)
		select {}
	case "stubborn":
		ignore(syscall.SIGTERM)
	}
}

type connector struct {
	connectorv1.UnimplementedConnectorServiceServer
	mode string
}

func (c *connector) Describe(context.Context, *connectorv1.DescribeRequest) (*connectorv1.DescribeResponse, error) {
	set := &descriptorpb.FileDescriptorSet{}
	set.File = append(set.File, protodesc.ToFileDescriptorProto(freezev1.File_acme_freeze_v1_freeze_proto))
	d := &connectorv1.DescribeResponse{
		Name: "hazard", Version: "0.1.0", Vendor: "Acme", FileDescriptorSet: set,
		Capabilities: []string{"acme.freeze.v1.FreezeService/GetFreeze"}, ConfigType: "acme.freeze.v1.Config",
	}
	if c.mode == "mayfly" {
		os.Exit(9)
	}
	if c.mode == "effects" {
		set.File[0].Service[0].Method[0].Options.IdempotencyLevel = nil
	}
	if c.mode == "moody" {
		d.Version = fmt.Sprint(os.Getpid())
	}
	return d, nil
}

func (c *connector) ValidateConfig(_ context.Context, r *connectorv1.ValidateConfigRequest) (*connectorv1.ValidateConfigResponse, error) {
	var config freezev1.Config
	if err := proto.Unmarshal(r.GetConfig(), &config); err != nil {
		return nil, err
	}
	if config.GetRegion() != "refused" {
		return &connectorv1.ValidateConfigResponse{}, nil
	}
	return &connectorv1.ValidateConfigResponse{Diagnostics: []*connectorv1.Diagnostic{
		{Severity: connectorv1.Severity_SEVERITY_ERROR, FieldPath: "region", Summary: "no such region"},
	}}, nil
}

func (c *connector) Configure(_ context.Context, r *connectorv1.ConfigureRequest) (*connectorv1.ConfigureResponse, error) {
	var config freezev1.Config
	if err := proto.Unmarshal(r.GetConfig(), &config); err != nil {
		return nil, err
	}
	switch config.GetRegion() {
	case "invalid":
		return nil, status.Error(codes.InvalidArgument, "no")
	case "down":
		return nil, status.Error(codes.Unavailable, "upstream is down")
	case "exits":
		os.Exit(4)
	}
	return &connectorv1.ConfigureResponse{}, nil
}

func (c *connector) CheckHealth(context.Context, *connectorv1.CheckHealthRequest) (*connectorv1.CheckHealthResponse, error) {
	return &connectorv1.CheckHealthResponse{Status: connectorv1.HealthStatus_HEALTH_STATUS_OK}, nil
}

type freezes struct {
	freezev1.UnimplementedFreezeServiceServer
}

// GetFreeze does what the name of the team says; "crash:FILE" crashes unless the file exists.
func (s *freezes) GetFreeze(ctx context.Context, r *freezev1.GetFreezeRequest) (*freezev1.GetFreezeResponse, error) {
	answer := &freezev1.GetFreezeResponse{Observation: &connectorv1.Observation{ObservedAt: timestamppb.Now()}}
	what, argument, _ := strings.Cut(r.GetTeam(), ":")
	switch what {
	case "crash":
		if _, err := os.Stat(argument); err == nil {
			return answer, nil
		}
		if argument != "" {
			_ = os.WriteFile(argument, nil, 0o600)
		}
		fmt.Fprintln(stderr, "crashing as asked")
		os.Exit(7)
	case "hang":
		time.Sleep(time.Hour)
	case "slow":
		time.Sleep(400 * time.Millisecond)
	case "stop":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	case "big":
		answer.BypassCode = new(strings.Repeat("x", 64<<20))
	case "env":
		answer.Owners = os.Environ()
	case "print":
		fmt.Fprintln(os.Stdout, "printed by a library")
	case "logs":
		writeLogs()
	case "fork":
		fork(ctx, argument)
	}
	return answer, nil
}

// stdout and stderr are the real ones: go-plugin replaces os.Stdout and os.Stderr.
var stdout, stderr = os.Stdout, os.Stderr //nolint:gochecknoglobals // they must be kept before main

func writeLogs() {
	for _, line := range []string{
		`{"@message":1}`, `{"@level":7,"@timestamp":[],"@message":{}}`, `{"level":"warn","msg":"careful","connector":"forged","n":1}`,
		`{"@timestamp":"yesterday","@level":"error","@message":"hclog"}`, `{`, `{"a":`, "\xff\xfe\x00", strings.Repeat("[", 20000), strings.Repeat("x", 200<<10),
		"{" + strings.Repeat(`"k":{`, 1000),
	} {
		fmt.Fprintln(stderr, line)
	}
	for i := range 20000 {
		fmt.Fprintln(stderr, "flood", i)
	}
	fmt.Fprintln(stdout, strings.Repeat("x", 200<<10))
	fmt.Fprint(stdout, strings.Repeat("1|1|unix|/x|grpc|\n", 20000))
	for range 200 {
		fmt.Fprintln(os.Stderr, strings.Repeat("y", 1000))
	}
}

// fork leaves a child behind that holds the standard files, and ends.
func fork(ctx context.Context, how string) {
	child := exec.CommandContext(ctx, "/bin/sleep", "30")
	child.Stdout, child.Stderr = stdout, stderr
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: how == "setsid"}
	if err := child.Start(); err != nil {
		panic(err)
	}
	fmt.Fprintln(stderr, "child", child.Process.Pid)
	os.Exit(1)
}

func ignore(s os.Signal) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, s)
}
