package serve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/countersign/countersign/connectors/internal/handshake"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// Main is a connector's whole main. It serves the connector to the gateway that started the process, or
// prints what --describe or --version ask for, and exits.
func Main[C proto.Message, I any](c Connector[C, I]) {
	// The standard files are kept here: go-plugin replaces them while it serves.
	stderr := os.Stderr
	log := slog.New(slog.NewJSONHandler(stderr, nil))
	server, err := NewServer(c, log)
	if err != nil {
		fmt.Fprintln(stderr, err)
		os.Exit(1)
	}
	if done, exit := byHand(server.Description, os.Args[1:]); done {
		os.Exit(exit)
	}
	slog.SetDefault(log)
	go lifeline(os.Stdin)
	code := 1 // go-plugin returns without a word of what went wrong
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: handshake.Config(),
		Plugins:         handshake.Plugins(),
		GRPCServer: func(options []grpc.ServerOption) *grpc.Server {
			code = 0
			return server.GRPC(log, options...)
		},
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: stderr, JSONFormat: true}),
	})
	closeWithin(server, time.Second)
	os.Exit(code)
}

// byHand answers a person who runs the program without a gateway.
func byHand(d *connectorv1.DescribeResponse, args []string) (done bool, code int) {
	switch {
	case len(args) == 1 && args[0] == "--version":
		fmt.Fprintln(os.Stdout, d.GetName(), d.GetVersion())
		return true, 0
	case len(args) == 1 && args[0] == "--describe":
		return true, printDescription(os.Stdout, d)
	case os.Getenv(handshake.CookieKey) == handshake.CookieValue:
		return false, 0
	default:
		fmt.Fprintf(os.Stderr, "%s %s is a connector of Countersign: a gateway starts it, once its path and SHA-256 stand "+
			"under connectors in the gateway's configuration.\n"+
			"By hand it can only be looked at: --describe prints what it answers as JSON, --version its version.\n", d.GetName(), d.GetVersion())
		return true, 1
	}
}

func printDescription(w io.Writer, d *connectorv1.DescribeResponse) int {
	raw, err := protojson.Marshal(d)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// protojson varies its white space on purpose; indenting makes the output the same every time.
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintln(w, b.String())
	return 0
}

// lifeline ends the process when the gateway ends: the gateway holds the other end of standard input
// for as long as it lives, however it dies.
func lifeline(stdin io.Reader) {
	_, _ = io.Copy(io.Discard, stdin)
	os.Exit(0)
}

func closeWithin(server *Server, limit time.Duration) {
	closed := make(chan struct{})
	go func() {
		server.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(limit):
	}
}
