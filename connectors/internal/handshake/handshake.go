// Package handshake is what a gateway and a connector must agree on before the first byte of gRPC: the
// cookie by which a connector knows that a gateway started it, the version of the protocol and the sizes
// both sides keep to. It does no I/O.
package handshake

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// CookieKey and CookieValue are the environment variable by which a connector knows that it was started
// by a gateway and not by hand. They are a courtesy to people, not a secret.
const (
	CookieKey   = "COUNTERSIGN_CONNECTOR"
	CookieValue = "started-by-a-countersign-gateway"
)

// MaxMessage is the largest gRPC message either side accepts, in bytes. Longer answers belong in pages.
const MaxMessage = 4 << 20

// MaxDescriptors is the largest set of descriptors a connector may describe itself with, in bytes.
const MaxDescriptors = 1 << 20

// CallTimeout bounds a call that came without a deadline.
const CallTimeout = 30 * time.Second

// Name is the name of the one plugin in the set that both sides hand to go-plugin.
const Name = "connector"

// Config returns the handshake of go-plugin. Its protocol version stays 1 for ever: what changes is
// versioned by the package of each service.
func Config() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: CookieKey, MagicCookieValue: CookieValue}
}

// Plugins returns the set both sides hand to go-plugin. Its only plugin registers nothing: services are
// registered by package serve and called through the connection by package host.
func Plugins() plugin.PluginSet { return plugin.PluginSet{Name: nothing{}} }

type nothing struct{ plugin.NetRPCUnsupportedPlugin }

// GRPCServer registers nothing; the services are on the server already.
func (nothing) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }

// GRPCClient is never called: the host uses the connection itself.
func (nothing) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("connectors are called through their connection")
}
