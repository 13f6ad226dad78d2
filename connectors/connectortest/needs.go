package connectortest

import (
	"os"
	"os/exec"
	"testing"
)

// Needs returns the path of a program that a test cannot do without. Where it is missing the test is
// skipped and says which Debian package to install; with COUNTERSIGN_CI set it fails instead, so that
// nothing is skipped unseen where everything is installed.
func Needs(t testing.TB, program, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		Without(t, "there is no "+program+"; apt-get install "+pkg)
	}
	return path
}

// Without skips a test for want of something, or fails it with COUNTERSIGN_CI set.
func Without(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("COUNTERSIGN_CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}
