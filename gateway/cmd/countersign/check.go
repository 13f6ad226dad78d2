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

	"github.com/countersign/countersign/gateway/internal/config"
	"github.com/countersign/countersign/gateway/internal/entra"
	"github.com/countersign/countersign/gateway/internal/fleet"
	"github.com/countersign/countersign/gateway/internal/journal"
	"github.com/countersign/countersign/gateway/internal/journal/sqlite"
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

What may be otherwise by the time the gateway starts, such as an upstream or a
sign-in service that cannot be reached, is a warning. Starting as another user,
the gateway may be refused files that check can read.

Exit codes: 0 there are no problems, 1 there are, or the configuration cannot be
read, 2 wrong usage, 3 it could not be done.`,
		Example: "  countersign check --config /etc/countersign/countersign.yaml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return check(c.Context(), path).print(s.out, &f)
		},
	}
	addConfig(c, &path)
	addOutput(c, &f)
	return c
}

// checked is what a check found.
type checked struct {
	Problems   strictyaml.Problems `json:"problems"`
	Warnings   strictyaml.Problems `json:"warnings"`
	Connectors []reached           `json:"connectors"`
	Policies   int                 `json:"policies"`
	Revision   string              `json:"policy_revision,omitempty"`
}

// reached says whether a connector's upstream can be reached.
type reached struct {
	Connector    string              `json:"connector"`
	Capabilities []string            `json:"capabilities"`
	Upstream     fleet.UpstreamState `json:"upstream"`
	Message      string              `json:"message,omitempty"`
}

func check(ctx context.Context, path string) checked {
	// Lists that are empty, and not nil, which would be null in JSON.
	result := checked{Problems: strictyaml.Problems{}, Warnings: strictyaml.Problems{}, Connectors: []reached{}}
	c, problems := config.Load(path)
	result.Problems = append(result.Problems, problems...)
	if !separate(problems) {
		return result
	}
	result.surroundings(ctx, c)
	f, problems := startFleet(ctx, c, slog.New(slog.DiscardHandler))
	if f == nil {
		result.Problems = append(result.Problems, problems...)
		return result
	}
	defer f.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the processes end with the program
	result.Warnings = append(result.Warnings, problems...)
	result.reach(ctx, c, f)
	set, problems := loadPolicies(c, f)
	result.Problems = append(result.Problems, problems...)
	if set != nil {
		result.Revision, result.Policies = set.Revision(), set.Len()
	}
	return result
}

// separate reports whether plugins and policies can be looked at in spite of the problems: those with
// certificates do not touch them, and are common where a configuration is written for another machine.
func separate(problems strictyaml.Problems) bool {
	return !slices.ContainsFunc(problems, func(p strictyaml.Problem) bool {
		return !strings.HasPrefix(p.Path, "listen.tls.") && !strings.HasPrefix(p.Path, "admin.tls.")
	})
}

// surroundings looks at what the gateway finds when it starts, without touching it.
func (r *checked) surroundings(ctx context.Context, c *config.Config) {
	if err := directory(string(c.StateDir)); err != nil {
		r.warn(c, "state_dir", err)
	} else {
		r.warn(c, "journal.path", journalFile(ctx, c))
	}
	r.warn(c, "entra.authority", authority(ctx, c))
}

func (r *checked) warn(c *config.Config, path string, err error) {
	if err != nil {
		r.Warnings = append(r.Warnings, c.Problem(path, strings.Join(strings.Fields(err.Error()), " "), ""))
	}
}

// directory says why a directory cannot be used or made.
func directory(path string) error {
	for dir := filepath.Clean(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		switch {
		case errors.Is(err, os.ErrNotExist) && dir != filepath.Dir(dir):
			continue // the gateway makes it
		case err != nil:
			return err
		case !info.IsDir():
			return fmt.Errorf("%s is not a directory", dir)
		}
		return nil
	}
}

// journalFile says why the gateway could not go on with a journal; one that does not exist yet is made.
func journalFile(ctx context.Context, c *config.Config) error {
	path := string(c.Journal.Path)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist), err == nil && info.Mode().IsRegular() && info.Size() == 0:
		return placeFor(c)
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a file", path)
	}
	reader, err := sqlite.OpenReader(ctx, path)
	if err != nil {
		return err
	}
	_, err = journal.LoadKeys(string(c.Journal.KeyFile))
	return errors.Join(err, reader.Close())
}

// placeFor wants the directory of a new journal: the gateway makes none but its state directory.
func placeFor(c *config.Config) error {
	dir := filepath.Dir(string(c.Journal.Path))
	if dir == filepath.Clean(string(c.StateDir)) {
		return nil
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a directory", dir)
	}
	return err
}

// authority says why the keys of the tenant cannot be fetched.
func authority(ctx context.Context, c *config.Config) error {
	const patience = 3 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	verifier, err := entra.New(ctx, entra.Settings{
		Authority: string(c.Entra.Authority), TenantID: string(c.Entra.TenantID), ClientID: string(c.Entra.ClientID),
		AppIDURI: string(c.Entra.AppIDURI), Leeway: c.Entra.Leeway, CAFile: string(c.Entra.CAFile),
	})
	if err != nil {
		return err
	}
	return verifier.Close()
}

// reach asks every connector for its upstream. An upstream that is down is no problem of the
// configuration.
func (r *checked) reach(ctx context.Context, c *config.Config, f *fleet.Fleet) {
	const patience = 5 * time.Second
	for _, offer := range f.Offers() {
		one := reached{Connector: offer.Connector, Capabilities: []string{}}
		for _, capability := range offer.Capabilities {
			one.Capabilities = append(one.Capabilities, capability.Name())
		}
		probe, cancel := context.WithTimeout(ctx, patience)
		health := f.Health(probe, offer.Connector)
		cancel()
		one.Upstream, one.Message = health.State, health.Message
		if one.Upstream != fleet.UpstreamOK && one.Upstream != fleet.UpstreamNotChecked {
			r.warn(c, strictyaml.Join("connectors", offer.Connector), fmt.Errorf("the upstream is %s: %s", strings.ReplaceAll(string(one.Upstream), "_", " "), one.Message))
		}
		r.Connectors = append(r.Connectors, one)
	}
}

func (r checked) print(w io.Writer, f *format) error {
	if err := f.print(w, r, r.text); err != nil {
		return err
	}
	if len(r.Problems) > 0 {
		return &verdict{}
	}
	return nil
}

func (r checked) text(w io.Writer) error {
	for _, one := range r.Connectors {
		fmt.Fprintf(w, "connector %s answers %v; upstream: %s\n", one.Connector, one.Capabilities, strings.ReplaceAll(string(one.Upstream), "_", " "))
	}
	for _, p := range r.Warnings {
		fmt.Fprintf(w, "warning: %s\n", p)
	}
	for _, p := range r.Problems {
		fmt.Fprintln(w, p)
	}
	if len(r.Problems) > 0 {
		fmt.Fprintf(w, "\n%s\n", count(len(r.Problems), "problem"))
		return nil
	}
	fmt.Fprintf(w, "%s, revision %s\n", count(r.Policies, "policy"), r.Revision)
	if len(r.Warnings) > 0 {
		fmt.Fprintf(w, "no problems, %s\n", count(len(r.Warnings), "warning"))
		return nil
	}
	fmt.Fprintln(w, "all is well")
	return nil
}
