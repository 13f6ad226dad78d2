package policy_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/policy"
)

var update = flag.Bool("update", false, "write the goldens")

// Each file of testdata/problems is wrong; beside it is everything that is said about it.
func TestProblemsOfWrongFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/problems/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			set, problems := policy.Load([]policy.Source{{File: filepath.Base(file), Data: text}}, connectors(), policy.Options{})
			if len(problems) == 0 || set != nil {
				t.Fatalf("a set: %v, problems: %v", set != nil, problems)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", problems.Error()+"\n")
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}

func sources(texts ...string) []policy.Source {
	var out []policy.Source
	for i, text := range texts {
		out = append(out, policy.Source{File: string(rune('a'+i)) + ".yaml", Data: []byte(text)})
	}
	return out
}

const minimal = "policies: [{name: NAME, applies_to: {groups: {ids: ['*']}}, otherwise: approve}]\n"

func TestProblemsOfSeveralFilesComeTogether(t *testing.T) {
	t.Parallel()
	first := strings.Replace(minimal, "NAME", "same", 1)
	set, problems := policy.Load(sources("default: deny\n"+first, first+"default: approve\n", "polices: []"), nil, policy.Options{})
	want := `b.yaml:1:19: policies[0].name: a policy is named same already, at a.yaml:2:19 (give it another name)
b.yaml:2:10: default: default is given already, at a.yaml:1:10 (keep one of the two)
c.yaml:1:1: polices: is not a key of this mapping (did you mean "policies"?)`
	if diff := cmp.Diff(want, problems.Error()); diff != "" || set != nil {
		t.Error(diff)
	}
}

func TestDefaultIsDenyUnlessSaid(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]pim.Outcome{minimal: pim.Denied, "default: deny": pim.Denied, "default: approve": pim.Approved} {
		if got := load(t, text).Default(); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestRevisionChangesWithSourcesAndCapabilitiesInUse(t *testing.T) {
	t.Parallel()
	revision := func(text string, c []policy.Connector) string {
		set, problems := policy.Load(sources(text), c, policy.Options{})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		return set.Revision()
	}
	base := revision(production, connectors())
	if base != revision(production, connectors()) || len(base) != 64 {
		t.Error("the revision is not a digest")
	}
	if base == revision(production+"# a remark\n", connectors()) {
		t.Error("the same for another source")
	}
	changed := connectors()
	changed[1].Capabilities[0].Facts = append(changed[1].Capabilities[0].Facts, field("new", pim.Bool, pim.Public))
	if base == revision(production, changed) {
		t.Error("the same for another capability")
	}
	changed = connectors()
	changed[1].Capabilities = changed[1].Capabilities[:1]
	if base != revision(production, changed) {
		t.Error("another for a capability that is not in use")
	}
}

func TestChainOfTimeoutsMustFitTheBudget(t *testing.T) {
	t.Parallel()
	text := strings.Replace(production, "args: {id: activation.principal_id}", "args: {id: activation.principal_id}, timeout: 2s", 1)
	text = strings.Replace(text, "max_age: 15m", "max_age: 15m, timeout: 1500ms", 1)
	for budget, problemsWanted := range map[time.Duration]string{
		0:                       "",
		3500 * time.Millisecond: "",
		3 * time.Second:         `p.yaml:13:134: policies[0].ask.worker.timeout: the asks up to this one may take 3.5s, and there are 3s for all (shorten the timeouts, or ask for less in a row)`,
	} {
		_, problems := policy.Load([]policy.Source{{File: "p.yaml", Data: []byte(text)}}, connectors(), policy.Options{FactBudget: budget})
		if diff := cmp.Diff(problemsWanted, problems.Error()); diff != "" {
			t.Errorf("budget %s: %s", budget, diff)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(production)
	files, err := filepath.Glob("testdata/problems/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		set, problems := policy.Load(sources(text), connectors(), policy.Options{})
		if (set == nil) != (len(problems) > 0) {
			t.Fatalf("a set: %v, problems: %v", set != nil, problems)
		}
		if set == nil {
			return
		}
		plan := set.Plan(ownerActivation(), arrival())
		d := plan.Decide(gather(plan, allWell()))
		if d.Returned == "" || d.Recommended == "" {
			t.Fatalf("no outcome: %+v", d)
		}
	})
}
