package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/gateway/internal/config"
	"github.com/countersign/countersign/gateway/internal/httpapi"
)

func newServe(s streams) *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Answer PIM's callouts",
		Long: `Serve starts the connectors, checks the policies against what they can be asked,
opens the journal and answers PIM's callouts until it is told to stop. SIGTERM
drains: what is under way is answered and recorded first. A second one ends it at
once.

Exit codes: 0 told to stop, 1 there are problems with the configuration, 2 wrong
usage, 3 it could not start or go on.`,
		Example: "  countersign serve --config /etc/countersign/countersign.yaml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			settings, problems := config.Load(path)
			if len(problems) > 0 {
				return problems
			}
			g, err := startGateway(c.Context(), settings, s.err)
			if err != nil {
				return unlessStopped(c.Context(), err)
			}
			g.wait(c.Context())
			return g.drain(context.WithoutCancel(c.Context()))
		},
	}
	addConfig(c, &path)
	return c
}

// unlessStopped forgives a start that failed because it was told to stop.
func unlessStopped(ctx context.Context, err error) error {
	select {
	case <-ctx.Done():
		return nil
	default:
		return err
	}
}

// listen opens the doors, last of all.
func (g *gateway) listen(ctx context.Context) error {
	c := g.config
	g.measure()
	callouts := httpapi.Callouts{
		Verifier: g.verifier, Answerer: g.evaluator, Refused: g.metrics.Refused, Logger: g.log.Logger,
		Patience: c.Due() / 4,
	}
	admin := httpapi.Admin{Ready: g.ready, Metrics: g.metrics.Handler(), Connectors: g.connectors, Logger: g.log.Logger}
	var err error
	g.admin, err = httpapi.Serve(ctx, listener(string(c.Admin.Address), c.Admin.TLS, 0), admin.Handler(), g.log.Logger)
	if err != nil {
		return g.notListening("admin", err)
	}
	g.onClose(g.admin.Shutdown)
	door := listener(string(c.Listen.Address), c.Listen.TLS, c.Listen.MaxConnections)
	door.Slowest = c.Due()
	g.callouts, err = httpapi.Serve(ctx, door, callouts.Handler(), g.log.Logger) //nolint:contextcheck // an evaluation outlives the caller that hangs up
	if err != nil {
		return g.notListening("listen", err)
	}
	g.onClose(g.callouts.Shutdown)
	g.log.Info("serving", slog.String("callouts", g.callouts.Addr().String()), slog.String("admin", g.admin.Addr().String()),
		slog.String("policy_revision", g.policies.Revision()))
	return nil
}

// notListening places what is wrong with a listener: its address, or else its certificate.
func (g *gateway) notListening(part string, err error) error {
	if address, ok := errors.AsType[*net.OpError](err); ok {
		return g.because(part+".address", fmt.Errorf("cannot be listened on: %w", address.Err), "end what listens there, or give another address of this machine")
	}
	return g.because(part+".tls", err, "put a PEM certificate and its key there")
}

func listener(address string, files *config.TLS, connections int) httpapi.Listener {
	l := httpapi.Listener{Address: address, MaxConnections: connections}
	if files != nil {
		l.Certificate, l.Key = string(files.Certificate), string(files.Key)
	}
	return l
}

// ready says what keeps the gateway from answering with more than a refusal. A connector that is down
// does not: its facts are unknown, and the policies say what follows.
func (g *gateway) ready() error {
	const patience = time.Second
	if g.draining.Load() {
		return errors.New("shutting down")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return errors.Join(g.verifier.Ready(), g.journal.Check(ctx))
}

// connectors is the state of the connectors for the admin listener.
func (g *gateway) connectors() any {
	return map[string]any{"connectors": g.fleet.Status(), "breakers": g.gatherer.States()}
}

// wait returns when the gateway is told to stop or a listener fails, which closing then returns.
func (g *gateway) wait(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-g.callouts.Done():
		g.log.ErrorContext(ctx, "callouts listener failed")
	case <-g.admin.Done():
		g.log.ErrorContext(ctx, "admin listener failed")
	}
}

// drain ends the gateway in order: it stops being ready, goes on answering until load balancers have
// noticed, answers and records what is under way, and stops the connectors last.
func (g *gateway) drain(ctx context.Context) error {
	const record = 5 * time.Second
	g.draining.Store(true)
	g.log.Info("draining", slog.Duration("for", g.config.Listen.Drain))
	select {
	case <-time.After(g.config.Listen.Drain):
	case <-g.callouts.Done(): // nothing more to answer
	}
	ctx, cancel := context.WithTimeout(ctx, g.config.Due()+record)
	defer cancel()
	return g.close(ctx)
}

// addConfig gives a command the flag --config.
func addConfig(c *cobra.Command, path *string) {
	c.Flags().StringVar(path, "config", "/etc/countersign/countersign.yaml", "the configuration file")
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
