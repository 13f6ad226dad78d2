package world_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/gateway/internal/config"
	"github.com/countersign/countersign/gateway/internal/sim/world"
)

// install pretends that plugins have been built.
func install(t *testing.T) world.Install {
	t.Helper()
	in := world.Install{Listen: "127.0.0.1:18443", Admin: "127.0.0.1:19443", Plugins: map[string]string{}}
	for _, name := range world.Plugins() {
		in.Plugins[name] = filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(in.Plugins[name], []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return in
}

func TestTheConfigurationIsComplete(t *testing.T) {
	t.Parallel()
	w, in, dir := start(t), install(t), t.TempDir()
	path, err := w.WriteConfig(dir, in)
	if err != nil {
		t.Fatal(err)
	}
	c, problems := config.Load(path)
	if len(problems) > 0 {
		t.Fatalf("configuration:\n%v", problems)
	}
	if c.Due() != w.Limit() {
		t.Errorf("answers are due after %s, and the world says %s", c.Due(), w.Limit())
	}
	for _, connector := range connectors() {
		got, ok := c.Connectors[connector.Name]
		if !ok || len(got.Allow) != len(connector.Capabilities) {
			t.Errorf("connector %s: %+v", connector.Name, got)
		}
	}
	sum := sha256.Sum256([]byte("servicenow"))
	if got := c.Connectors["itsm"]; string(got.SHA256) != hex.EncodeToString(sum[:]) || string(got.Path) != in.Plugins["servicenow"] {
		t.Errorf("itsm is %s with %s", got.Path, got.SHA256)
	}
	if files, problems := c.PolicyFiles(); len(files) < 5 || len(problems) > 0 {
		t.Errorf("policies %v: %v", files, problems)
	}
}

func TestSecretsAreInTheirFilesOnly(t *testing.T) {
	t.Parallel()
	w, dir := start(t), t.TempDir()
	path, err := w.WriteConfig(dir, install(t))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range w.Secrets() {
		file := filepath.Join(dir, "secrets", name)
		kept, err := os.ReadFile(file)
		if err != nil || strings.TrimSpace(string(kept)) != secret || secret == "" {
			t.Errorf("%s: %q, %v", name, kept, err)
		}
		if !strings.Contains(string(text), "file:"+file) || strings.Contains(string(text), secret) {
			t.Errorf("%s is not referred to, or written out", name)
		}
	}
}

func TestWithoutAPluginThereIsNoConfiguration(t *testing.T) {
	t.Parallel()
	w := start(t)
	for _, name := range world.Plugins() {
		in := install(t)
		delete(in.Plugins, name)
		if _, err := w.WriteConfig(t.TempDir(), in); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	if !slices.IsSorted(world.Plugins()) {
		t.Error("the plugins are not in order")
	}
}
