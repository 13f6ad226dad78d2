package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/gateway/internal/config"
	"github.com/countersign/countersign/gateway/internal/fleet"
	"github.com/countersign/countersign/gateway/internal/strictyaml"
)

func newCheck(s streams) *cobra.Command {
	var path string
	var f format
	c := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration, the plugins and the policies",
		Long: `Check reads the configuration, starts every plugin, gives it its settings, asks
whether its upstream can be reached, and checks the policies against what the
plugins can be asked. It names every problem at once, with its place and what to
do, and changes nothing.

Exit codes: 0 all is well, 1 there are problems, 2 wrong usage, 3 it could not be done.`,
		Example: "  countersign check --config configs/countersign.yaml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return check(c.Context(), path).print(s.out, &f)
		},
	}
	addConfig(c, &path)
	addOutput(c, &f)
	return c
}

// findings of a check.
type checked struct {
	Problems   strictyaml.Problems `json:"problems"`
	Warnings   strictyaml.Problems `json:"warnings,omitempty"`
	Connectors []reached           `json:"connectors,omitempty"`
	Policies   int                 `json:"policies"`
	Revision   string              `json:"policy_revision,omitempty"`
}

// reached says whether a connector's upstream can be reached.
type reached struct {
	Connector    string   `json:"connector"`
	Capabilities []string `json:"capabilities"`
	Upstream     string   `json:"upstream"`
}

func check(ctx context.Context, path string) checked {
	c, problems := config.Load(path)
	if len(problems) > 0 {
		return checked{Problems: problems}
	}
	f, problems := startFleet(ctx, c, slog.New(slog.DiscardHandler))
	if f == nil {
		return checked{Problems: problems}
	}
	defer f.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the processes end with the program
	result := checked{Warnings: problems, Connectors: reach(ctx, f)}
	set, problems := loadPolicies(c, f)
	result.Problems = problems
	if set != nil {
		result.Revision, result.Policies = set.Revision(), set.Len()
	}
	return result
}

// reach asks every connector for its upstream. An upstream that is down is no problem of the
// configuration.
func reach(ctx context.Context, f *fleet.Fleet) []reached {
	const patience = 5 * time.Second
	var all []reached
	for _, offer := range f.Offers() {
		r := reached{Connector: offer.Connector, Upstream: "ok"}
		for _, capability := range offer.Capabilities {
			r.Capabilities = append(r.Capabilities, capability.Name())
		}
		probe, cancel := context.WithTimeout(ctx, patience)
		if err := f.Probe(probe, offer.Connector); err != nil {
			r.Upstream = err.Error()
		}
		cancel()
		all = append(all, r)
	}
	return all
}

func (c checked) print(w io.Writer, f *format) error {
	if err := f.print(w, c, c.text); err != nil {
		return err
	}
	if len(c.Problems) > 0 {
		return &verdict{}
	}
	return nil
}

func (c checked) text(w io.Writer) error {
	for _, r := range c.Connectors {
		fmt.Fprintf(w, "connector %s answers %v; upstream: %s\n", r.Connector, r.Capabilities, r.Upstream)
	}
	for _, p := range c.Warnings {
		fmt.Fprintf(w, "warning: %s\n", p)
	}
	for _, p := range c.Problems {
		fmt.Fprintln(w, p)
	}
	if len(c.Problems) > 0 {
		fmt.Fprintf(w, "\n%s\n", count(len(c.Problems), "problem"))
		return nil
	}
	fmt.Fprintf(w, "%d policies, revision %s\nall is well\n", c.Policies, c.Revision)
	return nil
}
