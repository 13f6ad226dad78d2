package main

import (
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/countersign/countersign/configs"
	"github.com/countersign/countersign/gateway/internal/policy"
)

// TestPoliciesOfTheReadmeLoad against what the real connectors say they can be asked.
func TestPoliciesOfTheReadmeLoad(t *testing.T) {
	t.Parallel()
	connectors := demoConnectors(t)
	text, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	loaded := 0
	for block := range strings.SplitSeq(string(text), "```") {
		yaml, ok := strings.CutPrefix(block, "yaml\n")
		if !ok || !strings.HasPrefix(yaml, "policies:") {
			continue
		}
		loaded++
		if _, problems := policy.Load([]policy.Source{{File: "README.md", Data: []byte(yaml)}}, connectors, policy.Options{}); len(problems) > 0 {
			t.Error(problems)
		}
	}
	if loaded == 0 {
		t.Error("the README shows no policy")
	}
}

// TestExamplePoliciesLoad against the same connectors, all together as an operator would keep them.
func TestExamplePoliciesLoad(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(configs.Examples, "policies/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	var sources []policy.Source
	for _, file := range files {
		text, err := fs.ReadFile(configs.Examples, file)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, policy.Source{File: file, Data: text})
	}
	if _, problems := policy.Load(sources, demoConnectors(t), policy.Options{}); len(problems) > 0 {
		t.Error(problems)
	}
}

func demoConnectors(t *testing.T) []policy.Connector {
	t.Helper()
	var connectors []policy.Connector
	for _, o := range startDemo(t).gateway.fleet.Offers() {
		connectors = append(connectors, policy.Connector{Name: o.Connector, Capabilities: o.Capabilities})
	}
	return connectors
}
