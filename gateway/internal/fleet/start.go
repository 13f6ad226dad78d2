package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/countersign/countersign/connectors/host"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

func start(ctx context.Context, spec Spec, o Options) (*member, []Problem) {
	process, problems := o.startNow(ctx, spec)
	if process == nil && ctx.Err() == nil {
		process, problems = o.startLater(spec, problems) //nolint:contextcheck // it outlives the start and ends with Close
	}
	if process == nil {
		return nil, named(spec.Name, problems)
	}
	m := &member{spec: spec, process: process}
	if wrong := m.admit(process.Description()); len(wrong) > 0 {
		_ = process.Close(ctx)
		return nil, named(spec.Name, append(problems, wrong...))
	}
	return m, named(spec.Name, problems)
}

// startNow starts a connector and keeps its description for the day on which it does not start.
func (o Options) startNow(ctx context.Context, spec Spec) (*host.Connector, []Problem) {
	wanted, s := o.wanted(spec)
	process, err := host.Start(ctx, wanted, host.Options{Logger: o.Logger})
	if err != nil {
		return nil, append(s.problems, problemsOf(err)...)
	}
	if err := o.keep(process.Description(), spec.SHA256); err != nil {
		return process, []Problem{{
			Message: fmt.Sprintf("its description was not kept: %v", err), Warning: true,
			Remedy: "make the directory writable: if the connector does not start next time, neither does the gateway",
		}}
	}
	return process, nil
}

// startLater leaves a connector that did not start to its supervision, if its description is known. What
// was wrong is then a warning: an endpoint that denies with a reason is better than one that is down.
func (o Options) startLater(spec Spec, problems []Problem) (*host.Connector, []Problem) {
	wanted, _ := o.wanted(spec)
	if wanted.Description = o.known(spec.SHA256); wanted.Description == nil {
		return nil, problems
	}
	for i := range problems {
		problems[i].Warning = true
	}
	return host.StartInBackground(wanted, host.Options{Logger: o.Logger}), problems
}

// wanted says to the host how to start a connector. The settings hold the problems of the latest start;
// they must not be read while a supervisor may start the connector.
func (o Options) wanted(spec Spec) (host.Spec, *settings) {
	s := &settings{secrets: o.Secrets}
	return host.Spec{
		Name: spec.Name, Path: spec.Path, SHA256: spec.SHA256, Args: spec.Args, Limits: spec.Limits,
		Lookup: func() ([]string, error) {
			s.problems = nil
			return s.environment(spec.Env)
		},
		Configure: func(d *host.Description) ([]byte, error) {
			s.problems = nil
			return s.bytes(d, spec.Settings)
		},
	}, s
}

// errSettings is in the error of a start that ended because of problems that are kept elsewhere.
var errSettings = errors.New("the settings are not usable")

// err is nil if there are no problems. It repeats them for the state of a connector.
func (s *settings) err() error {
	if len(s.problems) == 0 {
		return nil
	}
	texts := make([]string, len(s.problems))
	for i, p := range s.problems {
		texts[i] = p.Path + ": " + p.Message
	}
	return fmt.Errorf("%w: %s", errSettings, strings.Join(texts, "; "))
}

func (s *settings) environment(values map[string]func() (string, error)) ([]string, error) {
	var found []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value, err := values[name]()
		if err != nil {
			s.problem("env."+name, err.Error(), "")
			continue
		}
		found = append(found, name+"="+value)
	}
	return found, s.err()
}

func (s *settings) bytes(d *host.Description, values map[string]any) ([]byte, error) {
	if d.Config == nil {
		if len(values) > 0 {
			s.problem("config", "this plugin has no settings", "remove it")
		}
		return nil, s.err()
	}
	m := s.message(d.Config, "config", values)
	if err := s.err(); err != nil {
		return nil, err
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

func problemsOf(err error) []Problem {
	if errors.Is(err, errSettings) {
		return nil
	}
	refused, ok := errors.AsType[*host.ConfigError](err)
	if !ok || len(refused.Diagnostics) == 0 {
		return []Problem{notStarted(err)}
	}
	problems := make([]Problem, 0, len(refused.Diagnostics))
	for _, d := range refused.Diagnostics {
		problems = append(problems, Problem{
			Path: strings.TrimSuffix("config."+d.GetFieldPath(), "."), Message: d.GetSummary(), Remedy: d.GetRemedy(),
			Warning: d.GetSeverity() == connectorv1.Severity_SEVERITY_WARNING,
		})
	}
	return problems
}

// notStarted says where in the configuration to look for the cause of a start that failed.
func notStarted(err error) Problem {
	_, refused := errors.AsType[*host.ConfigError](err)
	switch {
	case errors.Is(err, host.ErrDigest):
		return Problem{
			Path: "sha256", Message: err.Error(),
			Remedy: "if the program was replaced on purpose, write the digest that sha256sum prints for it; otherwise find out who replaced it",
		}
	case refused, errors.Is(err, host.ErrConfigure):
		return Problem{
			Path: "config", Message: "the plugin could not begin with these settings: " + opening(err),
			Remedy: "see to it that what they name exists and can be reached",
		}
	default:
		return Problem{Path: "path", Message: err.Error()}
	}
}

// opening is a plugin's own sentence on why it could not begin.
func opening(err error) string {
	own, ok := errors.AsType[interface {
		error
		GRPCStatus() *status.Status
	}](err)
	if !ok {
		return bounded(err.Error())
	}
	return bounded(strings.TrimPrefix(own.GRPCStatus().Message(), "open: "))
}

func named(connector string, problems []Problem) []Problem {
	for i := range problems {
		problems[i].Connector = connector
	}
	return problems
}
