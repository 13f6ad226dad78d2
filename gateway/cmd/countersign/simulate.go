package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/countersign/countersign/gateway/internal/callout"
	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/policy/target"
	"github.com/countersign/countersign/gateway/internal/sim"
)

// mostCopies is far above what PIM can do by mistake.
const mostCopies = 100

// simulation is what the flags of simulate say.
type simulation struct {
	url, token, body string
	stage            pim.Stage
	copies           int
	pim              sim.PIM
	activation       pim.Activation
	role             string
	form             format
}

func newSimulate(s streams) *cobra.Command {
	m := simulation{
		stage: pim.PreApproval, copies: 1,
		activation: pim.Activation{Provider: pim.EntraRole, Action: pim.SelfActivate, Access: pim.Member},
	}
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Be PIM towards any URL: deliver one activation and judge the answer",
		Long: `Simulate delivers one callout with PIM's timeout and retries and checks the answer
as strictly as PIM may. The token comes from a file or the environment: only
your tenant, or the stand-in tenant of "countersign demo", can sign one that the
gateway accepts.

Exit codes: 0 an acceptable answer came, 1 none came or repeats were answered differently,
2 wrong usage, 3 it could not be done.`,
		Example: `  countersign simulate --url http://127.0.0.1:8080 --token file:/tmp/token \
    --principal 3cce9d87-3986-4f19-8335-7ed075408ca2 --role "User Administrator" --ticket CHG0042317`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return m.run(c.Context(), s) },
	}
	m.flags(c)
	return c
}

func (m *simulation) flags(c *cobra.Command) {
	f, a := c.Flags(), &m.activation
	f.StringVar(&m.url, "url", "", "base URL of the gateway (required)")
	addChoice(c, "stage", "pre_approval or post_approval", choice[pim.Stage]{&m.stage, []pim.Stage{pim.PreApproval, pim.PostApproval}})
	f.StringVar(&m.token, "token", "", "bearer token as env:NAME or file:/absolute/path; none if empty")
	f.StringVar(&m.body, "body", "", "file with the callout's body; built from the other flags if empty")
	addChoice(c, "provider", "entra_role, group or azure_resource",
		choice[pim.Provider]{&a.Provider, []pim.Provider{pim.EntraRole, pim.Group, pim.AzureResource}})
	f.StringVar(&a.PrincipalID, "principal", "", "object id of the person")
	f.StringVar(&m.role, "role", "", "role id or the name of a built-in role, for entra_role and azure_resource")
	f.StringVar(&a.Scope, "scope", "/", "directory or ARM scope")
	f.StringVar(&a.GroupID, "group", "", "group id, for group")
	addChoice(c, "access", "member or owner, for group", choice[pim.Access]{&a.Access, []pim.Access{pim.Member, pim.Owner}})
	f.DurationVar(&a.Duration, "duration", time.Hour, "how long; 0 means without end")
	f.StringVar(&a.Ticket.Number, "ticket", "", "ticket number")
	f.StringVar(&a.Ticket.System, "ticket-system", "", "ticket system")
	f.StringVar(&a.Justification, "justification", "", "justification")
	f.DurationVar(&m.pim.Timeout, "timeout", sim.DefaultTimeout, "PIM's registered timeout, 1s to 60s")
	addNumber(c, "retries", "PIM's registered retries, 0 to 5", number{&m.pim.Retries, 0, sim.MaxRetries})
	addNumber(c, "copies", "simultaneous deliveries of each attempt, 1 to 100", number{&m.copies, 1, mostCopies})
	addOutput(c, &m.form)
}

func (m *simulation) run(ctx context.Context, s streams) error {
	if m.url == "" {
		return &usageError{errors.New("--url is required")}
	}
	m.pim.Target = strings.TrimSuffix(m.url, "/") + "/v1/pim/" + strings.ReplaceAll(string(m.stage), "_", "-")
	if err := m.pim.Validate(); err != nil {
		return &usageError{err}
	}
	body, err := m.callout()
	if err != nil {
		return err
	}
	request := sim.Request{Body: body, Copies: m.copies}
	if m.token != "" {
		if request.Token, err = resolve(m.token); err != nil {
			return err
		}
	}
	delivery := m.pim.Activate(ctx, request)
	if err := m.form.print(s.out, delivered(delivery), func(w io.Writer) error { return printDelivery(w, delivery) }); err != nil {
		return err
	}
	if delivery.Answer == nil {
		return &verdict{fmt.Sprintf("PIM would have no answer: %v", delivery.Err)}
	}
	if !delivery.Identical() {
		return &verdict{"the attempts were answered differently"}
	}
	return nil
}

func (m *simulation) callout() ([]byte, error) {
	if m.body != "" {
		return os.ReadFile(filepath.Clean(m.body))
	}
	a := m.activation
	a.RequestID, a.StartsAt, a.RequestedBy = uuid.NewString(), time.Now().UTC(), a.PrincipalID
	if a.Duration < 0 {
		return nil, &usageError{fmt.Errorf("--duration %s is negative", a.Duration)}
	}
	if a.Provider != pim.Group {
		role, err := roleID(a.Provider, m.role)
		if err != nil {
			return nil, &usageError{err}
		}
		a.RoleID = role
	}
	body, err := sim.Body(a, sim.Spelling{})
	if err != nil {
		return nil, &usageError{err}
	}
	return body, nil
}

// roleID reads a role by its id or, as policies do, by the name of a built-in one.
func roleID(provider pim.Provider, written string) (string, error) {
	if id, ok := callout.RoleID(written); ok {
		return id, nil
	}
	id, flaw := target.Role(provider, written)
	switch {
	case flaw != nil:
		return "", fmt.Errorf("--role %s (%s)", flaw.Message, flaw.Remedy)
	case id == target.Every:
		return "", errors.New("--role must be a single role")
	}
	return id, nil
}

// attempted is one attempt as simulate reports it.
type attempted struct {
	Attempt      int         `json:"attempt"`
	Copy         int         `json:"copy"`
	Status       int         `json:"status"`
	Milliseconds float64     `json:"milliseconds"`
	Answer       *sim.Answer `json:"answer,omitempty"`
	Error        string      `json:"error,omitempty"`
}

func delivered(d sim.Delivery) []attempted {
	list := make([]attempted, 0, len(d.Attempts))
	for _, a := range d.Attempts {
		one := attempted{Attempt: a.Number, Copy: a.Copy, Status: a.Status, Milliseconds: milliseconds(a.Took), Answer: a.Answer}
		if a.Err != nil {
			one.Error = a.Err.Error()
		}
		list = append(list, one)
	}
	return list
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func printDelivery(w io.Writer, d sim.Delivery) error {
	for _, a := range delivered(d) {
		fmt.Fprintf(w, "attempt %d.%d: status %d in %.1f ms", a.Attempt, a.Copy, a.Status, a.Milliseconds)
		if a.Error != "" {
			fmt.Fprintf(w, ": %s", a.Error)
		}
		fmt.Fprintln(w)
	}
	if d.Answer == nil {
		return nil
	}
	fmt.Fprintf(w, "%s (evaluation %s)\n", d.Answer.Outcome, d.Answer.EvaluationID)
	for _, reason := range d.Answer.Reasons {
		fmt.Fprintf(w, "  %s\n", reason)
	}
	return nil
}
