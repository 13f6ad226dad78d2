package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/gateway/internal/callout"
	"github.com/countersign/countersign/gateway/internal/config"
	"github.com/countersign/countersign/gateway/internal/fleet"
	"github.com/countersign/countersign/gateway/internal/journal"
	"github.com/countersign/countersign/gateway/internal/journal/sqlite"
	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/policy"
)

func newPolicy(s streams) *cobra.Command {
	c := group("policy", "See what policies do", "  countersign policy explain --activation callout.json")
	c.AddCommand(newExplain(s))
	return c
}

// explanation is what the flags of policy explain say.
type explanation struct {
	config, activation, evaluation, findings, at string
	stage                                        pim.Stage
	form                                         format
}

func newExplain(s streams) *cobra.Command {
	x := explanation{stage: pim.PreApproval}
	c := &cobra.Command{
		Use:   "explain",
		Short: "Explain what the policies make of one activation",
		Long: `Explain takes one activation, a callout's body from a file or an evaluation from
the journal, and says which policies apply and what would be asked. With
findings, from a file or those recorded with the evaluation, it says what is
decided and why: each rule with the values it saw. Nobody is asked anything.

For an evaluation it also says what was recorded, and points out a difference:
policies may have changed since, and the journal does not keep the justification
unless journal.keep_justification is set.

A findings file is a list; a fact that is not given is unknown, null is none:

  findings:
    - {connector: itsm, capability: ticket, facts: {kind: change, active: true, on_hold: null}}
    - {connector: hr, capability: employment, found: false}
    - {connector: rota, capability: oncall, fault: timeout}`,
		Example: `  countersign policy explain --config countersign.yaml --activation callout.json --findings findings.yaml
  countersign policy explain --config countersign.yaml --evaluation 0192f0c4-7a54-7c1e-9d52-2f0a6b5e9c13`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return x.run(c.Context(), s) },
	}
	addConfig(c, &x.config)
	f := c.Flags()
	f.StringVar(&x.activation, "activation", "", "file with a callout's body as PIM sends it")
	f.StringVar(&x.evaluation, "evaluation", "", "evaluation id in the journal")
	f.StringVar(&x.findings, "findings", "", "file with findings")
	addChoice(c, "stage", "pre_approval or post_approval, for --activation",
		choice[pim.Stage]{&x.stage, []pim.Stage{pim.PreApproval, pim.PostApproval}})
	f.StringVar(&x.at, "at", "", "the time to evaluate at, such as 2026-11-23T08:00:00Z; the present, or the time of the evaluation, if empty")
	addOutput(c, &x.form)
	return c
}

func (x *explanation) run(ctx context.Context, s streams) error {
	if (x.activation == "") == (x.evaluation == "") {
		return &usageError{errors.New("give either --activation or --evaluation")}
	}
	c, problems := config.Load(x.config)
	if len(problems) > 0 {
		return problems
	}
	f, problems := startFleet(ctx, c, slog.New(slog.DiscardHandler))
	if f == nil {
		return problems
	}
	defer f.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the processes end with the program
	set, problems := loadPolicies(c, f)
	if set == nil {
		return problems
	}
	subject, err := x.subject(ctx, c)
	if err != nil {
		return err
	}
	known, err := x.known(f.Offers(), subject.findings)
	if err != nil {
		return err
	}
	plan := set.Plan(subject.activation, subject.at)
	result := explained{Explanation: plan.Explain(known.answer(plan))}
	result.Decision = listed(result.Decision)
	if result.Policies == nil {
		result.Policies = []policy.Explanatory{} // as with the reasons
	}
	result.compare(subject.recorded)
	return x.form.print(s.out, result, func(w io.Writer) error {
		printExplanation(w, result.Explanation)
		result.printRecorded(w)
		known.printUnused(w)
		return nil
	})
}

// subject is the activation to explain, when, and what was found for it.
type subject struct {
	activation pim.Activation
	at         time.Time
	findings   []pim.Finding
	// recorded is the entry that it comes from; nil if it comes from a file.
	recorded *journal.Entry
}

// explained is an explanation beside what the journal says was decided.
type explained struct {
	policy.Explanation
	Recorded *pim.Decision `json:"recorded,omitempty"`
	// Differs is why the two may not be the same; empty if they are.
	Differs string `json:"differs,omitempty"`
}

// compare puts what was recorded beside the explanation; nothing was if it is nil.
func (x *explained) compare(recorded *journal.Entry) {
	if recorded == nil {
		return
	}
	was, is := listed(recorded.Evaluation.Decision), x.Decision
	x.Recorded = &was
	if was.Returned == is.Returned && was.Recommended == is.Recommended && slices.Equal(was.Reasons, is.Reasons) {
		return
	}
	var why []string
	if was.Cause != "" {
		why = append(why, "the gateway answered without the policies: "+was.Cause)
	}
	if recorded.Evaluation.Activation.Justification == "" && recorded.Justification.Length > 0 {
		why = append(why, fmt.Sprintf("the journal keeps only a hash of the justification, which had %s, and the policies saw an empty one here",
			count(recorded.Justification.Length, "character")))
	}
	if was.PolicyRevision != is.PolicyRevision {
		why = append(why, fmt.Sprintf("the policies were those of revision %s and are those of %s now", dash(was.PolicyRevision), dash(is.PolicyRevision)))
	}
	if len(why) == 0 {
		why = append(why, "other findings, another time or other capabilities than then")
	}
	x.Differs = strings.Join(why, "; ")
}

func (x *explained) printRecorded(w io.Writer) {
	if x.Recorded == nil {
		return
	}
	printDecision(w, "recorded: ", *x.Recorded)
	if x.Differs != "" {
		fmt.Fprintf(w, "warning: this is not what was recorded. Likely because: %s\n", x.Differs)
	}
}

func (x *explanation) subject(ctx context.Context, c *config.Config) (subject, error) {
	s, err := x.fromJournal(ctx, c)
	if x.activation != "" {
		s, err = x.fromFile(c)
	}
	if err != nil || x.at == "" {
		return s, err
	}
	if s.at, err = time.Parse(time.RFC3339, x.at); err != nil {
		return s, &usageError{fmt.Errorf("--at %q is not a time such as 2026-11-23T08:00:00Z", x.at)}
	}
	return s, nil
}

func (x *explanation) fromJournal(ctx context.Context, c *config.Config) (subject, error) {
	if x.evaluation == "" {
		return subject{}, nil
	}
	reader, err := sqlite.OpenReader(ctx, string(c.Journal.Path))
	if err != nil {
		return subject{}, err
	}
	defer reader.Close() //nolint:errcheck // opened for reading
	entry, err := reader.Find(ctx, x.evaluation)
	if err != nil {
		return subject{}, err
	}
	e := entry.Evaluation
	return subject{e.Activation, e.ReceivedAt, e.Findings, &entry}, nil
}

func (x *explanation) fromFile(c *config.Config) (subject, error) {
	body, err := os.ReadFile(filepath.Clean(x.activation))
	if err != nil {
		return subject{}, err
	}
	now := time.Now()
	caller := pim.Caller{TenantID: string(c.Entra.TenantID)}
	a, err := callout.Decode(body, x.stage, caller, now)
	if err != nil {
		return subject{}, fmt.Errorf("%s: %w", x.activation, err)
	}
	return subject{activation: a, at: now}, nil
}

// known reads what is known: from the file if there is one, otherwise what the evaluation recorded.
func (x *explanation) known(offers []fleet.Offer, recorded []pim.Finding) (*knowledge, error) {
	if x.findings == "" {
		return recall(offers, recorded), nil
	}
	text, err := os.ReadFile(filepath.Clean(x.findings))
	if err != nil {
		return nil, err
	}
	return readKnowledge(offers, x.findings, text)
}

func printExplanation(w io.Writer, x policy.Explanation) {
	for _, p := range x.Policies {
		fmt.Fprintf(w, "policy %s (%s, %s): %s\n", p.Name, p.Mode, p.Place, p.Why)
		if !p.Applies {
			continue
		}
		for _, a := range p.Asks {
			fmt.Fprintf(w, "  ask  %s: %s %s%s: %s%s\n", a.Name, a.Connector, a.Capability, arguments(a.Arguments), a.State, after(": ", a.Detail))
		}
		for _, r := range p.Rules {
			printRule(w, r)
		}
		fmt.Fprintf(w, "  otherwise: %s\n", dash(p.Otherwise))
	}
	fmt.Fprintln(w)
	printDecision(w, "", x.Decision)
}

func printDecision(w io.Writer, when string, d pim.Decision) {
	fmt.Fprintf(w, "%sreturned %s, recommended %s\n", when, d.Returned, d.Recommended)
	for _, reason := range d.Reasons {
		fmt.Fprintf(w, "  %s\n", reason)
	}
}

func printRule(w io.Writer, r policy.ExplainedRule) {
	decisive := ""
	if r.Decisive {
		decisive = ", and the outcome rests on it"
	}
	fmt.Fprintf(w, "  rule %s: %s is %s%s%s\n       %s\n", r.Rule, r.Kind, r.Truth, decisive, after(": ", r.Error), oneLine(r.Expression))
	for _, fact := range r.Facts {
		fmt.Fprintf(w, "       %s = %s\n", fact.Name, factText(fact))
	}
	for _, missing := range r.Missing {
		fmt.Fprintf(w, "       missing %s\n", missing)
	}
}

func factText(f policy.ExplainedFact) string {
	switch {
	case f.State != pim.Known:
		return string(f.State)
	case f.Value == nil:
		return "[secret]"
	default:
		return fmt.Sprintf("%v", f.Value)
	}
}

func arguments(values map[string]any) string {
	list := make([]string, 0, len(values))
	for _, name := range sortedKeys(values) {
		list = append(list, fmt.Sprintf("%s: %v", name, values[name]))
	}
	return "(" + strings.Join(list, ", ") + ")"
}

func after(separator, text string) string {
	if text == "" {
		return ""
	}
	return separator + text
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
