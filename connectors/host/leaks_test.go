package host_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/countersign/countersign/connectors/connectortest"
	"github.com/countersign/countersign/connectors/host"
)

// TestNothingLeaks is not parallel: it counts what the whole process holds.
func TestNothingLeaks(t *testing.T) { //nolint:paralleltest // see above
	spec, o := hazard(t), options(t)
	cycle := func(team string) {
		c, err := host.Start(t.Context(), spec, o)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = ask(t, c, team)
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := host.Start(t.Context(), hazard(t, "liar"), o); err == nil {
			t.Fatal("a liar started")
		}
	}
	crash := func() string { return "crash:" + filepath.Join(t.TempDir(), "crashed") }
	cycle(crash())
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	for range 10 {
		cycle(crash())
		cycle("fine")
	}
	eventually(t, "the end of all goroutines", func() bool { return runtime.NumGoroutine() <= goroutines })
	if got := openFiles(t); got > files {
		t.Errorf("%d open files, %d before", got, files)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		connectortest.Without(t, "there is no /proc to count open files in; mount it")
	}
	return len(entries)
}
