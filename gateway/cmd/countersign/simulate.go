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
	"github.com/countersign/countersign/gateway/internal/sim"
)

// simulation is what the flags of simulate say.
type simulation struct {
	url, stage, token, body string
	copies                  int
	pim                     sim.PIM
	activation              pim.Activation
	access, provider        string
	role, scope             string
	form                    format
}

func newSimulate(s streams) *cobra.Command {
	var m simulation
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Be PIM towards any URL: deliver one activation and judge the answer",
		Long: `Simulate delivers one callout with PIM's timeout and retries and checks the answer
as strictly as PIM may. The token comes from a file or the environment: only
your tenant, or the stand-in tenant of "countersign demo", can sign one that the
gateway accepts.

Exit codes: 0 an acceptable answer came, 1 none came, 2 wrong usage, 3 it could not be done.`,
		Example: `  countersign simulate --url http://127.0.0.1:8080 --token file:/tmp/token \
    --principal 3cce9d87-3986-4f19-8335-7ed075408ca2 --role "User Administrator" --ticket CHG0042317`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return m.run(c.Context(), s) },
	}
	m.flags(c)
	return c
}

func (m *simulation) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&m.url, "url", "", "base URL of the gateway (required)")
	f.StringVar(&m.stage, "stage", string(pim.PreApproval), "pre_approval or post_approval")
	f.StringVar(&m.token, "token", "", "bearer token as env:NAME or file:/absolute/path; none if empty")
	f.StringVar(&m.body, "body", "", "file with the callout's body; built from the other flags if empty")
	f.StringVar(&m.provider, "provider", string(pim.EntraRole), "entra_role, group or azure_resource")
	f.StringVar(&m.activation.PrincipalID, "principal", "", "object id of the person")
	f.StringVar(&m.role, "role", "", "role id, for entra_role and azure_resource")
	f.StringVar(&m.scope, "scope", "/", "directory or ARM scope")
	f.StringVar(&m.activation.GroupID, "group", "", "group id, for group")
	f.StringVar(&m.access, "access", string(pim.Member), "member or owner, for group")
	f.DurationVar(&m.activation.Duration, "duration", time.Hour, "how long; 0 means without end")
	f.StringVar(&m.activation.Ticket.Number, "ticket", "", "ticket number")
	f.StringVar(&m.activation.Ticket.System, "ticket-system", "", "ticket system")
	f.StringVar(&m.activation.Justification, "justification", "", "justification")
	f.DurationVar(&m.pim.Timeout, "timeout", sim.DefaultTimeout, "PIM's registered timeout, 1s to 60s")
	f.IntVar(&m.pim.Retries, "retries", 0, "PIM's registered retries, 0 to 5")
	f.IntVar(&m.copies, "copies", 1, "simultaneous deliveries of each attempt")
	addOutput(c, &m.form)
}

func (m *simulation) run(ctx context.Context, s streams) error {
	if m.url == "" {
		return &usageError{errors.New("--url is required")}
	}
	m.pim.Target = strings.TrimSuffix(m.url, "/") + "/v1/pim/" + strings.ReplaceAll(m.stage, "_", "-")
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
	return nil
}

func (m *simulation) callout() ([]byte, error) {
	if m.body != "" {
		return os.ReadFile(filepath.Clean(m.body))
	}
	a := m.activation
	a.Provider, a.Action, a.Access = pim.Provider(m.provider), pim.SelfActivate, pim.Access(m.access)
	a.RequestID, a.StartsAt, a.RequestedBy = uuid.NewString(), time.Now().UTC(), a.PrincipalID
	a.Scope = m.scope
	if a.Provider != pim.Group {
		role, ok := callout.RoleID(m.role)
		if !ok {
			return nil, &usageError{fmt.Errorf("--role %q is not a role id", m.role)}
		}
		a.RoleID = role
	}
	body, err := sim.Body(a, sim.Spelling{})
	if err != nil {
		return nil, &usageError{err}
	}
	return body, nil
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
	if !d.Identical() {
		fmt.Fprintln(w, "the attempts were answered differently")
	}
	return nil
}
