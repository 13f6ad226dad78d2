package connectortest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Build builds a connector's program, named by its import path or by a path such as "./cmd/connector",
// and returns where it is and its SHA-256 in hex. It builds each package once in a test process. The
// files stay behind when the process ends; a build of another process removes them after an hour.
func Build(t testing.TB, pkg string) (path, digest string) {
	t.Helper()
	once, _ := builds.LoadOrStore(pkg, sync.OnceValues(func() (program, error) { return build(pkg) }))
	built, err := once.(func() (program, error))()
	if err != nil {
		t.Fatal(err)
	}
	return built.path, built.digest
}

type program struct{ path, digest string }

// builds remembers what this process has built; a build takes seconds.
var builds sync.Map //nolint:gochecknoglobals // a cache for the life of a test process has no other home

const dirPattern = "countersign-build-"

func build(pkg string) (program, error) {
	sweep()
	dir, err := os.MkdirTemp("", dirPattern)
	if err != nil {
		return program{}, err
	}
	path := filepath.Join(dir, "connector")
	cmd := exec.Command("go", "build", "-o", path, pkg) //nolint:noctx,gosec // the test names its own package
	if out, err := cmd.CombinedOutput(); err != nil {
		return program{}, fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	content, err := os.ReadFile(path) //nolint:gosec // just written
	if err != nil {
		return program{}, err
	}
	sum := sha256.Sum256(content)
	return program{path: path, digest: hex.EncodeToString(sum[:])}, nil
}

// sweep removes what test processes of more than an hour ago left behind.
func sweep() {
	old, _ := filepath.Glob(filepath.Join(os.TempDir(), dirPattern+"*"))
	for _, dir := range old {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > time.Hour {
			_ = os.RemoveAll(dir)
		}
	}
}
