// Package fleet keeps the connector processes: it starts and verifies them, gives them their settings,
// puts asks to them over gRPC and turns what comes back into findings. Everything it knows about a
// capability it has from the connector's descriptors.
//
// It knows nothing of policies.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/countersign/countersign/connectors/finding"
	"github.com/countersign/countersign/connectors/host"
	"github.com/countersign/countersign/gateway/internal/pim"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// Spec is one connector as the operator configured it.
type Spec struct {
	Name   string
	Path   string
	SHA256 string
	Args   []string
	// Env is the whole environment of the process: by name, how to find the value, at every start.
	Env map[string]func() (string, error)
	// Allow names the capabilities this connector may answer, by word or full method name. Whatever
	// else the plugin serves is ignored: an update must not silently become an authority.
	Allow []string
	// Settings are the plugin's own, as written.
	Settings map[string]any
	Limits   host.Limits
}

// Options are what all connectors share.
type Options struct {
	Secrets Secrets
	Logger  *slog.Logger
	// Descriptions is the directory that keeps what connectors describe themselves as, so that a
	// connector that cannot be started does not keep the others from working. Without it, every
	// connector must start.
	Descriptions string
}

// Fleet is the set of running connectors.
type Fleet struct {
	members map[string]*member
	order   []string
}

// member is one connector with the methods it may answer.
type member struct {
	spec    Spec
	process *host.Connector
	methods map[string]protoreflect.MethodDescriptor
	offers  []pim.Capability
}

// Start starts all connectors in parallel. A connector that cannot be started and whose description is
// known from before is started in the background: policies can be checked against it, its asks are
// faults until it is ready, and its problems are warnings. If any other cannot be used, all are stopped
// again and every problem is returned.
func Start(ctx context.Context, specs []Spec, o Options) (*Fleet, []Problem) {
	members := make([]*member, len(specs))
	problems := make([][]Problem, len(specs))
	var starting sync.WaitGroup
	for i, spec := range specs {
		starting.Go(func() { members[i], problems[i] = start(ctx, spec, o) })
	}
	starting.Wait()
	f := &Fleet{members: map[string]*member{}}
	for i, m := range members {
		if m != nil {
			f.members[specs[i].Name] = m
			f.order = append(f.order, specs[i].Name)
		}
	}
	all := slices.Concat(problems...)
	if slices.ContainsFunc(all, func(p Problem) bool { return !p.Warning }) {
		_ = f.Close(ctx)
		return nil, all
	}
	return f, all
}

// admit picks the capabilities that the operator allows from those that the plugin serves.
func (m *member) admit(d *host.Description) []Problem {
	m.methods = map[string]protoreflect.MethodDescriptor{}
	served := make([]string, 0, len(d.Capabilities))
	var problems []Problem
	for _, method := range d.Capabilities {
		c := capability(method)
		served = append(served, c.Method)
		if !slices.Contains(m.spec.Allow, c.Method) && (c.Word == "" || !slices.Contains(m.spec.Allow, c.Word)) {
			continue
		}
		if err := checkFacts(method.Output(), 0); err != nil {
			problems = append(problems, Problem{Path: "path", Message: err.Error(), Remedy: "ask the plugin's vendor"})
		}
		m.methods[c.Method] = method
		m.offers = append(m.offers, c)
	}
	for i, name := range m.spec.Allow {
		if !slices.ContainsFunc(m.offers, func(c pim.Capability) bool { return c.Method == name || c.Word == name }) {
			problems = append(problems, Problem{
				Path: fmt.Sprintf("allow[%d]", i), Message: fmt.Sprintf("the plugin does not answer %q", name),
				Remedy: "it answers " + strings.Join(served, ", "),
			})
		}
	}
	return problems
}

// Offer is what one connector may be asked.
type Offer struct {
	Connector    string
	Capabilities []pim.Capability
}

// Offers returns what may be asked, in the order of the configuration.
func (f *Fleet) Offers() []Offer {
	offers := make([]Offer, 0, len(f.order))
	for _, name := range f.order {
		offers = append(offers, Offer{Connector: name, Capabilities: f.members[name].offers})
	}
	return offers
}

// Ask puts one ask. It never fails: what goes wrong is the finding's fault.
func (f *Fleet) Ask(ctx context.Context, ask pim.Ask) pim.Finding {
	m, ok := f.members[ask.Connector]
	if !ok {
		return broken(ask, pim.FromGateway, fmt.Errorf("there is no connector %s", ask.Connector))
	}
	method, ok := m.methods[ask.Capability]
	if !ok {
		return broken(ask, pim.FromGateway, fmt.Errorf("connector %s may not answer %s", ask.Connector, ask.Capability))
	}
	question, err := request(method, ask.Arguments)
	if err != nil {
		return broken(ask, pim.FromQuestion, err)
	}
	response := dynamicpb.NewMessage(method.Output())
	if err := m.process.Invoke(ctx, ask.Capability, question, response); err != nil {
		return faulted(ask, err)
	}
	return read(ask, response)
}

func read(ask pim.Ask, response protoreflect.Message) pim.Finding {
	facts, observation, err := answer(response)
	if err != nil {
		return broken(ask, pim.FromConnector, err)
	}
	return pim.Finding{
		Ask: ask, Found: true, Facts: facts, ObservedAt: observation.GetObservedAt().AsTime(),
		Attempts: int(observation.GetAttempts()), UpstreamRequestID: observation.GetUpstreamRequestId(),
	}
}

func broken(ask pim.Ask, source pim.FaultSource, err error) pim.Finding {
	return pim.Finding{Ask: ask, Fault: pim.Malformed, FaultSource: source, Detail: bounded(err.Error())}
}

// faulted turns a gRPC error into a finding. "Not found" is knowledge: there are no facts because
// there is nothing to know.
func faulted(ask pim.Ask, err error) pim.Finding {
	kind, source, isFault := finding.Of(err)
	if !isFault {
		return pim.Finding{Ask: ask, ObservedAt: time.Now()}
	}
	return pim.Finding{Ask: ask, Fault: faultOf(kind), FaultSource: sourceOf(source), Detail: bounded(detail(err))}
}

func faultOf(kind connectorv1.FaultKind) pim.Fault {
	switch kind {
	case connectorv1.FaultKind_FAULT_KIND_UNAVAILABLE:
		return pim.Unavailable
	case connectorv1.FaultKind_FAULT_KIND_TIMEOUT:
		return pim.Timeout
	case connectorv1.FaultKind_FAULT_KIND_DENIED:
		return pim.Refused
	case connectorv1.FaultKind_FAULT_KIND_AMBIGUOUS:
		return pim.Ambiguous
	case connectorv1.FaultKind_FAULT_KIND_BUSY:
		return pim.Busy
	case connectorv1.FaultKind_FAULT_KIND_MALFORMED, connectorv1.FaultKind_FAULT_KIND_UNSPECIFIED:
		return pim.Malformed
	default:
		return pim.Malformed
	}
}

func sourceOf(source connectorv1.FaultSource) pim.FaultSource {
	switch source {
	case connectorv1.FaultSource_FAULT_SOURCE_UPSTREAM:
		return pim.FromUpstream
	case connectorv1.FaultSource_FAULT_SOURCE_QUESTION:
		return pim.FromQuestion
	case connectorv1.FaultSource_FAULT_SOURCE_CONNECTOR, connectorv1.FaultSource_FAULT_SOURCE_UNSPECIFIED:
		return pim.FromConnector
	default:
		return pim.FromConnector
	}
}

// Close drains and stops every connector.
func (f *Fleet) Close(ctx context.Context) error {
	errs := make([]error, len(f.order))
	var stopping sync.WaitGroup
	for i, name := range f.order {
		stopping.Go(func() { errs[i] = f.members[name].process.Close(ctx) })
	}
	stopping.Wait()
	return errors.Join(errs...)
}
