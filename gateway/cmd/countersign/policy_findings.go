package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/gateway/internal/fleet"
	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/policy"
	"github.com/countersign/countersign/gateway/internal/strictyaml"
)

// knowledge answers a plan's asks without asking anybody.
type knowledge struct {
	findings []pim.Finding
	used     []bool
	// fits reports whether a finding answers an ask.
	fits func(f pim.Finding, ask pim.Ask) bool
}

// recall answers asks with what was recorded for the very same ones.
func recall(offers []fleet.Offer, recorded []pim.Finding) *knowledge {
	k := &knowledge{fits: func(f pim.Finding, ask pim.Ask) bool {
		// How old an answer may be and how long it may take do not matter any more.
		f.Ask.MaxAge, f.Ask.Timeout, ask.MaxAge, ask.Timeout = 0, 0, 0, 0
		return f.Ask.Key() == ask.Key()
	}}
	for _, f := range recorded {
		if c, ok := offered(offers, f.Ask.Connector, f.Ask.Capability); ok {
			f.Facts = restore(c, f.Facts)
		}
		k.findings = append(k.findings, f)
	}
	k.used = make([]bool, len(k.findings))
	return k
}

// restore gives recorded facts their types back. A fact that no longer fits is unknown.
func restore(c pim.Capability, facts map[string]pim.Fact) map[string]pim.Fact {
	restored := map[string]pim.Fact{}
	for _, field := range c.Facts {
		fact, ok := facts[field.Name]
		if !ok {
			continue
		}
		if fact.State == pim.Known {
			if fact.Value, ok = field.Type.Restore(fact.Value); !ok {
				fact = pim.Fact{State: pim.Unknown}
			}
		}
		restored[field.Name] = fact
	}
	return restored
}

func offered(offers []fleet.Offer, connector, capability string) (pim.Capability, bool) {
	for _, o := range offers {
		if o.Connector != connector {
			continue
		}
		for _, c := range o.Capabilities {
			if c.Method == capability || c.Word == capability && c.Word != "" {
				return c, true
			}
		}
	}
	return pim.Capability{}, false
}

// findingsFile is the form of the file that --findings names.
type findingsFile struct {
	Findings []givenFinding `yaml:"findings,required"`
}

// givenFinding is one finding as people write it.
type givenFinding struct {
	Connector  string `yaml:"connector,required"`
	Capability string `yaml:"capability,required"`
	// Arguments narrow the asks that it answers; all asks of the capability if not given.
	Arguments map[string]any `yaml:"arguments"`
	Found     *bool          `yaml:"found"`
	// Facts by name; null is none, and what is not given is unknown.
	Facts map[string]any `yaml:"facts"`
	Fault string         `yaml:"fault"`
	Stale bool           `yaml:"stale"`
}

func readKnowledge(offers []fleet.Offer, name string, text []byte) (*knowledge, error) {
	var file findingsFile
	document, problems := strictyaml.Decode(name, text, &file)
	if len(problems) > 0 {
		return nil, problems
	}
	k := &knowledge{used: make([]bool, len(file.Findings)), fits: func(f pim.Finding, ask pim.Ask) bool {
		return f.Ask.Connector == ask.Connector && f.Ask.Capability == ask.Capability && narrows(f.Ask.Arguments, ask.Arguments)
	}}
	for i, given := range file.Findings {
		path := strictyaml.Index("findings", i)
		f, found := given.finding(offers)
		for _, p := range found {
			problems = append(problems, document.Problem(path+"."+p.path, p.message, p.remedy))
		}
		k.findings = append(k.findings, f)
	}
	return k, problems.Err()
}

func narrows(given, asked map[string]any) bool {
	for name, value := range given {
		if fmt.Sprint(asked[name]) != fmt.Sprint(value) {
			return false
		}
	}
	return true
}

type givenProblem struct{ path, message, remedy string }

func (g givenFinding) finding(offers []fleet.Offer) (pim.Finding, []givenProblem) {
	c, ok := offered(offers, g.Connector, g.Capability)
	if !ok {
		return pim.Finding{}, []givenProblem{{"capability", fmt.Sprintf("connector %s does not answer %s", g.Connector, g.Capability), ""}}
	}
	f := pim.Finding{
		Ask:   pim.Ask{Connector: g.Connector, Capability: c.Method, Arguments: g.Arguments},
		Found: g.Found == nil || *g.Found, Facts: map[string]pim.Fact{}, Stale: g.Stale, ObservedAt: time.Now(),
	}
	problems := append(g.contradictions(), g.unfit(c)...)
	if g.Fault != "" {
		return pim.Finding{Ask: f.Ask, Fault: pim.Fault(g.Fault), FaultSource: pim.FromUpstream}, problems
	}
	for _, name := range sortedKeys(g.Facts) {
		fact, err := givenFact(c, name, g.Facts[name])
		if err != nil {
			problems = append(problems, givenProblem{"facts." + name, err.Error(), ""})
		}
		f.Facts[name] = fact
	}
	return f, problems
}

// contradictions are what no connector can answer: a fault leaves everything unknown, and where nothing
// was found there is nothing to know.
func (g givenFinding) contradictions() []givenProblem {
	var problems []givenProblem
	if g.Fault != "" && len(g.Facts) > 0 {
		problems = append(problems, givenProblem{"facts", "cannot be known beside a fault", "remove them, or the fault"})
	}
	if g.Fault != "" && g.Found != nil {
		problems = append(problems, givenProblem{"found", "cannot be known beside a fault", "remove it, or the fault"})
	}
	if g.Fault != "" && g.Stale {
		problems = append(problems, givenProblem{"stale", "is for facts, and a fault has none", "remove it, or the fault"})
	}
	if g.Fault == "" && g.Found != nil && !*g.Found && len(g.Facts) > 0 {
		problems = append(problems, givenProblem{"facts", "are of nothing, since found is false", "remove them, or found"})
	}
	return problems
}

// unfit are the words that the capability does not have.
func (g givenFinding) unfit(c pim.Capability) []givenProblem {
	var problems []givenProblem
	faults := []pim.Fault{pim.Unavailable, pim.Timeout, pim.Refused, pim.Malformed, pim.Ambiguous, pim.BreakerOpen, pim.Busy}
	if g.Fault != "" && !slices.Contains(faults, pim.Fault(g.Fault)) {
		problems = append(problems, givenProblem{"fault", fmt.Sprintf("%q is not one of %v", g.Fault, faults), ""})
	}
	names := make([]string, len(c.Arguments))
	for i, argument := range c.Arguments {
		names[i] = argument.Name
	}
	for _, name := range sortedKeys(g.Arguments) {
		if !slices.Contains(names, name) {
			problems = append(problems, givenProblem{"arguments." + name, fmt.Sprintf("%s has no argument %s", c.Name(), name), "it has " + strings.Join(names, ", ")})
		}
	}
	return problems
}

func givenFact(c pim.Capability, name string, value any) (pim.Fact, error) {
	i := slices.IndexFunc(c.Facts, func(f pim.Field) bool { return f.Name == name })
	if i < 0 {
		return pim.Fact{}, fmt.Errorf("%s has no fact %s", c.Name(), name)
	}
	if value == nil {
		return pim.Fact{State: pim.None}, nil
	}
	t := c.Facts[i].Type
	if text, ok := value.(string); ok && t.Kind == pim.Duration {
		d, err := time.ParseDuration(text)
		return pim.Fact{State: pim.Known, Value: d}, err
	}
	typed, ok := t.Restore(value)
	if !ok {
		return pim.Fact{}, fmt.Errorf("%v is not a value of type %s", value, t.Kind)
	}
	return pim.Fact{State: pim.Known, Value: typed}, nil
}

// answer puts the plan's asks to the knowledge until it knows nothing more.
func (k *knowledge) answer(plan *policy.Plan) policy.Findings {
	known := policy.Findings{}
	for {
		asks, foregone := plan.Next(known)
		before := len(known)
		for _, f := range foregone {
			known[f.Ask.Key()] = f
		}
		for _, ask := range asks {
			if f, ok := k.find(ask); ok {
				known[ask.Key()] = f
			}
		}
		if len(known) == before {
			return known
		}
	}
}

func (k *knowledge) find(ask pim.Ask) (pim.Finding, bool) {
	for i, f := range k.findings {
		if k.fits(f, ask) {
			k.used[i] = true
			f.Ask = ask
			return f, true
		}
	}
	return pim.Finding{}, false
}

// printUnused points at findings that answer nothing, which is mostly a slip of the pen.
func (k *knowledge) printUnused(w io.Writer) {
	for i, used := range k.used {
		if !used {
			f := k.findings[i]
			fmt.Fprintf(w, "finding %d (%s %s) answers nothing that these policies ask\n", i+1, f.Ask.Connector, f.Ask.Capability)
		}
	}
}
