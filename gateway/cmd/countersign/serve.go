package main

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/gateway/internal/config"
)

func newServe(s streams) *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Answer PIM's callouts",
		Long: `Serve starts the connectors, checks the policies against what they can be asked,
opens the journal and answers PIM's callouts until it is told to stop. SIGTERM
drains: what is under way is answered and recorded first.`,
		Example: "  countersign serve --config /etc/countersign/countersign.yaml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			settings, problems := config.Load(path)
			if len(problems) > 0 {
				return problems
			}
			g, err := startGateway(c.Context(), settings, s.err)
			if err != nil {
				return err
			}
			<-c.Context().Done()
			return g.drain(context.WithoutCancel(c.Context()))
		},
	}
	addConfig(c, &path)
	return c
}

// addConfig gives a command the flag --config.
func addConfig(c *cobra.Command, path *string) {
	c.Flags().StringVar(path, "config", "/etc/countersign/countersign.yaml", "the configuration file")
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
