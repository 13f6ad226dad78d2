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

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/gateway/internal/config"
	"github.com/countersign/countersign/gateway/internal/sim/world"
)

// demo is the whole gateway on one machine, with stand-ins for everything around it.
type demo struct {
	out     io.Writer
	once    bool
	plugins string
	dir     string
	form    format

	world   *world.World
	gateway *gateway
	log     *os.File
}

func newDemo(s streams) *cobra.Command {
	d := demo{out: s.out}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show everything on one machine, with stand-ins; nothing to install or register",
		Long: `Demo builds the plugins, starts stand-ins of Entra ID, PIM and the upstream systems
that speak the real protocols, the real gateway with real plugin processes, and
runs some forty activations. Then it stays up and says what to try.

It runs from a checkout, which it builds the plugins from; --plugins names a
folder of plugins that are built already.

Exit codes: 0 every answer was the expected one, 1 one was not or the activations
were interrupted, 2 wrong usage, 3 it could not be done.`,
		Example: "  go run ./gateway/cmd/countersign demo --once",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return d.run(c.Context(), s) },
	}
	c.Flags().BoolVar(&d.once, "once", false, "end after the activations")
	c.Flags().StringVar(&d.plugins, "plugins", "", "folder of plugins that are built already")
	c.Flags().StringVar(&d.dir, "dir", "", "folder for the demo's files; a temporary one, removed at the end unless something went wrong, if empty")
	addOutput(c, &d.form)
	return c
}

func (d *demo) run(ctx context.Context, s streams) (err error) {
	if d.form == "json" {
		d.out = s.err // the results are all that goes to standard output
	}
	if d.dir == "" {
		if d.dir, err = os.MkdirTemp("", "countersign-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, d.tidy(err)) }()
	}
	defer func() { err = errors.Join(err, d.stop(ctx)) }()
	err = d.start(ctx)
	if err == nil {
		err = d.show(ctx, s)
	}
	if err != nil && ctx.Err() != nil {
		return errInterrupted
	}
	return err
}

// errInterrupted is the verdict on a demo that was stopped before it was through.
var errInterrupted error = &verdict{"interrupted before all activations were answered"}

// tidy removes the temporary folder, unless the gateway's log and journal in it are needed to find out
// what went wrong.
func (d *demo) tidy(err error) error {
	if err == nil || d.log == nil || errors.Is(err, errInterrupted) {
		return os.RemoveAll(d.dir)
	}
	fmt.Fprintf(d.out, "\nThe gateway's log, its journal and its configuration are kept in %s.\n", d.dir)
	return nil
}

// show runs the activations and says how they went.
func (d *demo) show(ctx context.Context, s streams) error {
	results := d.activate(ctx)
	if d.form == "json" {
		if err := d.form.print(s.out, results, nil); err != nil {
			return err
		}
	}
	if len(results) < len(d.world.Scenarios()) {
		return errInterrupted
	}
	if unexpected := results.unexpected(); unexpected > 0 {
		return &verdict{fmt.Sprintf("%s not as expected", count(unexpected, "answer"))}
	}
	fmt.Fprintf(d.out, "\nAll %d answers were the expected ones.\n", len(results))
	if !d.once {
		d.stay(ctx)
	}
	return nil
}

// start starts the world first and the gateway in it.
func (d *demo) start(ctx context.Context) error {
	plugins, err := d.findPlugins(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(d.out, "starting the stand-ins and the gateway …")
	if d.world, err = world.Start(ctx, world.Options{}); err != nil {
		return err
	}
	path, err := d.world.WriteConfig(d.dir, world.Install{Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Plugins: plugins})
	if err != nil {
		return err
	}
	settings, problems := config.Load(path)
	if len(problems) > 0 {
		return problems
	}
	if d.log, err = os.Create(filepath.Join(d.dir, "gateway.log")); err != nil {
		return err
	}
	d.gateway, err = startGateway(ctx, settings, d.log)
	return err
}

func (d *demo) stop(ctx context.Context) error {
	const patience = 20 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	var err error
	if d.gateway != nil {
		err = d.gateway.close(ctx)
	}
	if d.world != nil {
		err = errors.Join(err, d.world.Close())
	}
	if d.log != nil {
		err = errors.Join(err, d.log.Close())
	}
	return err
}

func (d *demo) url() string { return "http://" + d.gateway.callouts.Addr().String() }

// activation is one row of the demo's table.
type activation struct {
	Name         string   `json:"name"`
	Who          string   `json:"who"`
	Role         string   `json:"role"`
	Stage        string   `json:"stage"`
	Status       int      `json:"status"`
	Outcome      string   `json:"outcome,omitempty"`
	Reason       string   `json:"reason,omitempty"`
	EvaluationID string   `json:"evaluation_id,omitempty"`
	Milliseconds float64  `json:"milliseconds"`
	Limit        float64  `json:"limit_milliseconds"`
	Problems     []string `json:"problems,omitempty"`
}

type activations []activation

func (a activations) unexpected() int {
	n := 0
	for _, one := range a {
		if len(one.Problems) > 0 {
			n++
		}
	}
	return n
}

// activate runs every scenario and prints a row as it ends.
func (d *demo) activate(ctx context.Context) activations {
	limit := milliseconds(d.world.Limit())
	fmt.Fprintf(d.out, "\n%-19s %-15s %-36s %-14s %14s  %s\n", "SCENARIO", "WHO", "ROLE", "ANSWER", "MS OF "+fmt.Sprint(limit), "FIRST REASON")
	var all activations
	for _, s := range d.world.Scenarios() {
		if ctx.Err() != nil {
			break
		}
		result := d.world.Run(ctx, d.url(), s)
		if ctx.Err() != nil {
			break // nobody waited for this answer
		}
		row := activation{
			Name: s.Name, Who: s.Who, Role: s.Role, Stage: string(s.Stage), Status: result.Status(),
			Milliseconds: milliseconds(result.Took()), Limit: limit, Problems: result.Problems,
		}
		if answer := result.Answer(); answer != nil {
			row.Outcome, row.Reason, row.EvaluationID = string(answer.Outcome), first(answer.Reasons), answer.EvaluationID
		}
		all = append(all, row)
		d.print(row)
	}
	return all
}

func (d *demo) print(row activation) {
	outcome := row.Outcome
	if outcome == "" {
		outcome = fmt.Sprintf("HTTP %d", row.Status)
	}
	fmt.Fprintf(d.out, "%-19s %-15s %-36s %-14s %14.1f  %s\n", cut(row.Name, 19), cut(row.Who, 15), cut(row.Role, 36), outcome, row.Milliseconds, row.Reason)
	for _, problem := range row.Problems {
		fmt.Fprintf(d.out, "    NOT AS EXPECTED (%s): %s\n", row.Name, problem)
	}
}

func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// stay says where things are and waits to be stopped.
func (d *demo) stay(ctx context.Context) {
	scenarios := d.world.Scenarios()
	fmt.Fprintf(d.out, `
Everything stays up until you press Ctrl-C. Try:

  %s

  curl -s http://%s/readyz
  curl -s http://%s/v1/connectors
  curl -s http://%s/metrics
  %s journal show --db %s

Configuration and policies are in %s, the gateway's log is %s.
`, d.world.Curl(d.url(), scenarios[0]), d.admin(), d.admin(), d.admin(),
		self(), d.gateway.config.Journal.Path, d.dir, filepath.Join(d.dir, "gateway.log"))
	<-ctx.Done()
	fmt.Fprintln(d.out, "stopping …")
}

// self is how this program is started: by its name, or with go run, whose binaries live in a go-build
// folder.
func self() string {
	if strings.Contains(os.Args[0], "go-build") {
		return "go run ./gateway/cmd/countersign"
	}
	return os.Args[0]
}

func (d *demo) admin() string { return d.gateway.admin.Addr().String() }
