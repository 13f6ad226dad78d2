package fleet_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/connectors/connectortest"
	"github.com/countersign/countersign/gateway/internal/fleet"
	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/policy"
)

// remembered starts the vendor's connector once, well, and returns options under which its description
// is known.
func remembered(t *testing.T) fleet.Options {
	t.Helper()
	o := fleet.Options{Secrets: secrets, Descriptions: filepath.Join(t.TempDir(), "descriptions")}
	f, problems := fleet.Start(t.Context(), []fleet.Spec{spec(t)}, o)
	if f == nil || len(problems) > 0 {
		t.Fatal(problems)
	}
	if err := f.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(o.Descriptions, spec(t).SHA256+".binpb")
	if info, err := os.Stat(kept); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	return o
}

// degraded starts a connector that cannot start, and returns the fleet that is there nevertheless.
func degraded(t *testing.T, s fleet.Spec, o fleet.Options) (*fleet.Fleet, []fleet.Problem) {
	t.Helper()
	f, problems := fleet.Start(t.Context(), []fleet.Spec{s}, o)
	if f == nil {
		t.Fatal(problems)
	}
	t.Cleanup(func() {
		if err := f.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return f, problems
}

func TestAConnectorThatDoesNotStartCostsItsFactsOnly(t *testing.T) {
	t.Parallel()
	o := remembered(t)
	missing := errors.New("NAME is missing")
	for name, c := range map[string]struct {
		spoil func(*fleet.Spec)
		path  string
		state string
	}{
		"no program":            {func(s *fleet.Spec) { s.Path = "/no/such/program" }, "path", "no such file"},
		"a secret that is gone": {func(s *fleet.Spec) { s.Settings["api_token"] = "env:GONE" }, "config.api_token", "env:GONE is missing"},
		"an environment unknown": {func(s *fleet.Spec) {
			s.Env = map[string]func() (string, error){"A": func() (string, error) { return "", missing }}
		}, "env.A", "NAME is missing"},
		"settings it refuses":      {func(s *fleet.Spec) { delete(s.Settings, "region") }, "config.region", "region"},
		"settings nobody knows":    {func(s *fleet.Spec) { s.Settings["regoin"] = "emea" }, "config.regoin", "unknown setting"},
		"a file that is no plugin": {func(s *fleet.Spec) { s.Path = "/proc/self/exe" }, "sha256", "sha256 does not match"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := spec(t)
			c.spoil(&s)
			if strict, _ := fleet.Start(t.Context(), []fleet.Spec{s}, fleet.Options{Secrets: secrets}); strict != nil {
				t.Error("starts without a known description")
			}
			f, problems := degraded(t, s, o)
			if len(problems) != 1 || problems[0].Path != c.path || !problems[0].Warning || problems[0].Connector != s.Name {
				t.Errorf("problems %+v, want a warning at %s", problems, c.path)
			}
			got := f.Ask(t.Context(), ask("payments"))
			if got.Fault != pim.Unavailable || got.FaultSource != pim.FromConnector || got.Found {
				t.Errorf("finding %+v", got)
			}
			within(t, func() bool { return strings.Contains(f.Status()[0].Problem, c.state) })
			if got := f.Status()[0]; got.State != "failed" || got.Next.IsZero() {
				t.Errorf("status %+v", got)
			}
		})
	}
}

func within(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("did not happen in 10 s")
		}
	}
}

func TestAConnectorIsAskedAgainOnceItsProgramIsBack(t *testing.T) {
	t.Parallel()
	o := remembered(t)
	s := spec(t)
	program := s.Path
	s.Path = filepath.Join(filepath.Dir(program), "back")
	_ = os.Remove(s.Path)
	f, _ := degraded(t, s, o)
	connectors := []policy.Connector{{Name: s.Name, Capabilities: f.Offers()[0].Capabilities}}
	text := "policies: [{name: p, applies_to: {groups: {ids: ['*']}}, otherwise: deny, ask: {freeze: {connector: freezes, capability: " + getFreeze +
		", args: {team: '\"a\"'}}}, rules: [{name: r, require: '!freeze.frozen'}]}]"
	if set, problems := policy.Load([]policy.Source{{File: "p.yaml", Data: []byte(text)}}, connectors, policy.Options{}); set == nil {
		t.Error(problems)
	}
	if err := os.Link(program, s.Path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(s.Path) })
	within(t, func() bool { return f.Status()[0].State == "ready" })
	if got := f.Ask(t.Context(), ask("payments")); !got.Found || got.Fact("frozen").Value != true {
		t.Errorf("finding %+v", got)
	}
}

func TestADescriptionIsKnownForItsProgramOnly(t *testing.T) {
	t.Parallel()
	o := remembered(t)
	broken := spec(t)
	broken.Path = "/no/such/program"
	other, wrong := broken, broken
	other.SHA256 = strings.Repeat("0", 64)
	wrong.Allow = []string{"ticket"}
	for name, s := range map[string]fleet.Spec{"another digest": other, "a capability that it does not answer": wrong} {
		if f, problems := fleet.Start(t.Context(), []fleet.Spec{s}, o); f != nil {
			t.Errorf("%s: starts with %v", name, problems)
		}
	}
	if err := os.WriteFile(filepath.Join(o.Descriptions, broken.SHA256+".binpb"), []byte("no description"), 0o600); err != nil {
		t.Fatal(err)
	}
	if f, problems := fleet.Start(t.Context(), []fleet.Spec{broken}, o); f != nil {
		t.Errorf("a damaged description is used: %v", problems)
	}
}

func TestADescriptionThatCannotBeKeptIsAWarning(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, problems := degraded(t, spec(t), fleet.Options{Secrets: secrets, Descriptions: filepath.Join(file, "descriptions")})
	if len(problems) != 1 || !problems[0].Warning || f.Status()[0].State != "ready" {
		t.Errorf("problems %v", problems)
	}
}

func TestWhyAConnectorDoesNotStartIsSaidAtItsPlace(t *testing.T) {
	t.Parallel()
	roster, rosterDigest := connectortest.Build(t, "github.com/countersign/countersign/plugins/roster")
	hazard, hazardDigest := connectortest.Build(t, "github.com/countersign/countersign/connectors/host/testdata/hazard")
	file := filepath.Join(t.TempDir(), "principals.yaml")
	begin := "the plugin could not begin with these settings: "
	for name, c := range map[string]struct {
		spec fleet.Spec
		want []string // path and message
	}{
		"a file that is missing": {
			fleet.Spec{Path: roster, SHA256: rosterDigest, Settings: map[string]any{"principals_file": file}},
			[]string{"config", begin + file + ": cannot be read: no such file or directory"},
		},
		"an upstream that is down": {
			fleet.Spec{Path: hazard, SHA256: hazardDigest, Settings: map[string]any{"region": "down"}},
			[]string{"config", begin + "upstream is down"},
		},
		"a refusal that is not explained": {
			fleet.Spec{Path: hazard, SHA256: hazardDigest, Settings: map[string]any{"region": "invalid"}},
			[]string{"config", begin + "no"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.spec.Name = "c"
			_, problems := fleet.Start(t.Context(), []fleet.Spec{c.spec}, fleet.Options{Secrets: secrets})
			if len(problems) != 1 || problems[0].Remedy == "" || problems[0].Warning {
				t.Fatalf("problems %+v", problems)
			}
			if diff := cmp.Diff(c.want, []string{problems[0].Path, problems[0].Message}); diff != "" {
				t.Error(diff)
			}
		})
	}
}
