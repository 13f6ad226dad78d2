package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/countersign/countersign/connectors/host"
	"github.com/countersign/countersign/gateway/internal/config"
	"github.com/countersign/countersign/gateway/internal/entra"
	"github.com/countersign/countersign/gateway/internal/evaluation"
	"github.com/countersign/countersign/gateway/internal/fleet"
	"github.com/countersign/countersign/gateway/internal/gather"
	"github.com/countersign/countersign/gateway/internal/httpapi"
	"github.com/countersign/countersign/gateway/internal/journal"
	"github.com/countersign/countersign/gateway/internal/journal/sqlite"
	"github.com/countersign/countersign/gateway/internal/policy"
	"github.com/countersign/countersign/gateway/internal/strictyaml"
	"github.com/countersign/countersign/gateway/internal/telemetry"
)

// gateway is the program at work: everything between the listeners and the journal.
type gateway struct {
	config    *config.Config
	log       *telemetry.Log
	metrics   *telemetry.Metrics
	fleet     *fleet.Fleet
	policies  *policy.Set
	gatherer  *gather.Gatherer
	journal   *sqlite.Store
	verifier  *entra.Verifier
	evaluator *evaluation.Evaluator
	callouts  *httpapi.Server
	admin     *httpapi.Server
	draining  atomic.Bool

	// closers undo what was started, last first.
	closers []func(context.Context) error
}

// startGateway starts everything a configuration asks for, from the ground up, or nothing.
func startGateway(ctx context.Context, c *config.Config, log io.Writer) (*gateway, error) {
	g := &gateway{config: c, metrics: telemetry.NewMetrics()}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Logging.Level)); err != nil {
		return nil, fmt.Errorf("log level: %w", err)
	}
	g.log = telemetry.NewLog(log, level, telemetry.Format(c.Logging.Format))
	g.onClose(func(context.Context) error { return g.log.Close() })
	for _, step := range []func(context.Context) error{
		g.openState, g.startConnectors, g.loadPolicies, g.startVerifier, g.startEvaluator, g.listen,
	} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, g.close(context.WithoutCancel(ctx)))
		}
	}
	return g, nil
}

func (g *gateway) onClose(undo func(context.Context) error) { g.closers = append(g.closers, undo) }

// close undoes what was started, in the opposite order.
func (g *gateway) close(ctx context.Context) error {
	var err error
	for len(g.closers) > 0 {
		last := len(g.closers) - 1
		err = errors.Join(err, g.closers[last](ctx))
		g.closers = g.closers[:last]
	}
	return err
}

func (g *gateway) openState(ctx context.Context) error {
	const onlyOurs = 0o700
	c := g.config
	if err := os.MkdirAll(string(c.StateDir), onlyOurs); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	var err error
	g.journal, err = sqlite.Open(ctx, journal.Settings{
		Path: string(c.Journal.Path), KeyFile: string(c.Journal.KeyFile), CheckpointFile: string(c.Journal.CheckpointFile),
		KeepJustification: c.Journal.KeepJustification, Window: c.Journal.Window, Logger: g.log.Logger,
	})
	if err != nil {
		return err
	}
	g.onClose(func(context.Context) error { return g.journal.Close() })
	return nil
}

func (g *gateway) startConnectors(ctx context.Context) error {
	f, problems := startFleetWith(ctx, g.config, fleet.Options{
		Secrets: resolve, Logger: g.log.Logger, Descriptions: filepath.Join(string(g.config.StateDir), "descriptions"),
	})
	if f == nil {
		return problems
	}
	for _, p := range problems {
		g.log.WarnContext(ctx, "connector has a problem", slog.String("place", fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)),
			slog.String("setting", p.Path), slog.String("problem", p.Message), slog.String("remedy", p.Remedy))
	}
	g.fleet = f
	g.onClose(f.Close)
	return nil
}

// startFleet starts the connectors of a configuration, each of which must start. Warnings come with the
// fleet, errors instead of it.
func startFleet(ctx context.Context, c *config.Config, log *slog.Logger) (*fleet.Fleet, strictyaml.Problems) {
	return startFleetWith(ctx, c, fleet.Options{Secrets: resolve, Logger: log})
}

func startFleetWith(ctx context.Context, c *config.Config, o fleet.Options) (*fleet.Fleet, strictyaml.Problems) {
	var problems strictyaml.Problems
	f, found := fleet.Start(ctx, connectorSpecs(c), o)
	for _, p := range found {
		problems = append(problems, c.Problem(strings.TrimSuffix(strictyaml.Join("connectors", p.Connector)+"."+p.Path, "."), p.Message, p.Remedy))
	}
	problems.Sort()
	return f, problems
}

// resolve reads a secret by its reference.
func resolve(reference string) (string, error) {
	secret, ok := config.ParseReference(reference)
	if !ok {
		return "", errors.New("this is not a reference to a secret; write env:NAME or file:/absolute/path")
	}
	plain, err := secret.Resolve()
	if err != nil {
		return "", err
	}
	return plain.Reveal(), nil
}

// loadPolicies reads the policies and checks them against what the connectors can be asked.
func (g *gateway) loadPolicies(context.Context) error {
	set, problems := loadPolicies(g.config, g.fleet)
	g.policies = set
	return problems.Err()
}

func loadPolicies(c *config.Config, f *fleet.Fleet) (*policy.Set, strictyaml.Problems) {
	files, problems := c.PolicyFiles()
	var sources []policy.Source
	for _, file := range files {
		text, err := os.ReadFile(filepath.Clean(file))
		if err != nil {
			problems = append(problems, strictyaml.Problem{File: file, Message: err.Error()})
			continue
		}
		sources = append(sources, policy.Source{File: file, Data: text})
	}
	if len(problems) > 0 {
		return nil, problems
	}
	var connectors []policy.Connector
	for _, offer := range f.Offers() {
		connectors = append(connectors, policy.Connector{Name: offer.Connector, Capabilities: offer.Capabilities})
	}
	budget := evaluation.NewBudget(c.Due())
	return policy.Load(sources, connectors, policy.Options{FactBudget: budget.Facts, Linger: c.Answer.Linger})
}

func (g *gateway) startVerifier(ctx context.Context) error {
	c := g.config
	callers := make([]string, len(c.Entra.Callers))
	for i, caller := range c.Entra.Callers {
		callers[i] = string(caller)
	}
	verifier, err := entra.New(ctx, entra.Settings{
		Authority: string(c.Entra.Authority), TenantID: string(c.Entra.TenantID), ClientID: string(c.Entra.ClientID),
		AppIDURI: string(c.Entra.AppIDURI), Callers: callers, Leeway: c.Entra.Leeway,
		CAFile: string(c.Entra.CAFile), CacheFile: string(c.KeyCache()), Logger: g.log.Logger,
	})
	switch {
	case errors.Is(err, entra.ErrNoKeys):
		return g.because("entra.authority", err, "see whether this machine reaches it, and whether tenant_id is right")
	case err != nil:
		return g.because("entra", err, "")
	}
	g.verifier = verifier
	g.onClose(func(context.Context) error { return verifier.Close() })
	return nil
}

func (g *gateway) startEvaluator(context.Context) error {
	c := g.config
	g.gatherer = gather.New(g.fleet, gather.Settings{Limits: limitsOf(c), Linger: c.Answer.Linger, Logger: g.log.Logger})
	g.onClose(func(context.Context) error { return g.gatherer.Close() })
	g.evaluator = evaluation.New(evaluation.Settings{
		Policies: func() *policy.Set { return g.policies },
		Gatherer: g.gatherer,
		Journal:  g.journal,
		Budget:   evaluation.NewBudget(c.Due()),
		InFlight: c.Limits.Evaluations,
		Queue:    c.Limits.Queue,
		Wait:     c.Limits.QueueWait,
		Repeats:  time.Duration(c.PIM.Retries+1)*c.PIM.Timeout + time.Minute,
		Observe:  g.metrics.Evaluated,
		Logger:   g.log.Logger,
	})
	g.onClose(func(context.Context) error { return g.evaluator.Close() })
	return nil
}

// because is an error that names the setting it comes from, on one line.
func (g *gateway) because(path string, err error, remedy string) error {
	return errors.New(g.config.Problem(path, strings.ReplaceAll(err.Error(), "\n", "; "), remedy).String())
}

func limitsOf(c *config.Config) func(string) gather.Limits {
	return func(name string) gather.Limits {
		l, b := c.Connectors[name].Limits, c.Connectors[name].Breaker
		return gather.Limits{
			InFlight: l.InFlight, Wait: l.Wait, Timeout: l.CallTimeout,
			Breaker: gather.Breaker{
				Consecutive: uint32(b.Consecutive), Requests: uint32(b.Requests), // #nosec G115 -- at most 10000 by the configuration
				Window: b.Window, Probe: b.Probe,
			},
		}
	}
}

// connectorSpecs translates the connectors of a configuration.
func connectorSpecs(c *config.Config) []fleet.Spec {
	var specs []fleet.Spec
	for _, name := range sortedKeys(c.Connectors) {
		from := c.Connectors[name]
		spec := fleet.Spec{
			Name: name, Path: string(from.Path), SHA256: string(from.SHA256), Args: from.Args, Settings: from.Config,
			Env: map[string]func() (string, error){},
			Limits: host.Limits{
				StartTimeout: from.Limits.StartTimeout, MaxMessage: int(from.Limits.MaxMessage),
				DrainTimeout: from.Limits.Drain, StopTimeout: from.Limits.Stop,
			},
		}
		for _, allowed := range from.Allow {
			spec.Allow = append(spec.Allow, string(allowed))
		}
		for variable, value := range from.Env {
			spec.Env[variable] = func() (string, error) {
				plain, err := value.Resolve()
				return plain.Reveal(), err
			}
		}
		specs = append(specs, spec)
	}
	return specs
}

// measure adds the metrics that are read where the state is.
func (g *gateway) measure() {
	g.metrics.Gauge("countersign_log_lines_dropped", "Log lines lost because the log could not be written fast enough.", nil,
		func() float64 { return float64(g.log.Dropped()) })
	for _, s := range g.fleet.Status() {
		labels := map[string]string{"connector": s.Connector}
		g.metrics.Gauge("countersign_connector_ready", "Whether the connector's process answers.", labels, func() float64 {
			return boolean(g.statusOf(s.Connector).State == string(host.Ready))
		})
		g.metrics.Gauge("countersign_connector_restarts", "How often the connector's process was restarted.", labels, func() float64 {
			return float64(g.statusOf(s.Connector).Restarts)
		})
		g.metrics.Gauge("countersign_breakers_open", "How many of the connector's capabilities are not asked because their upstream fails.", labels, func() float64 {
			return float64(g.gatherer.Open(s.Connector))
		})
	}
}

func (g *gateway) statusOf(connector string) fleet.Status {
	for _, s := range g.fleet.Status() {
		if s.Connector == connector {
			return s
		}
	}
	return fleet.Status{}
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
