package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/countersign/countersign/connectors/connectortest"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
	rosterv1 "github.com/countersign/countersign/proto/countersign/plugins/roster/v1"
)

func TestAChangedFileCountsAtTheNextReading(t *testing.T) {
	t.Parallel()
	w := newWorld(t, example(t))
	w.write("all.yaml", with(t, "ends_at: none\n    department", "ends_at: 2026-11-22\n    department"))
	w.at(time.Minute)
	r, err := w.employment("00123", "")
	if err != nil || r.GetState().String() != "EMPLOYMENT_STATE_TERMINATED" {
		t.Errorf("got %v %v", r.GetState(), err)
	}
	if at := r.GetObservation().GetObservedAt().AsTime(); !at.Equal(noon().Add(time.Minute)) {
		t.Errorf("observed at %v", at)
	}
}

// A broken file, or one that is gone, leaves the old facts, with the time at which they were last known to
// be so, until they are too old.
func TestABrokenFileKeepsTheOldFactsForAWhile(t *testing.T) {
	t.Parallel()
	breakages := map[string]func(*world){
		"broken":           func(w *world) { w.write("all.yaml", "shifts: [") },
		"one wrong record": func(w *world) { w.write("all.yaml", with(w.t, "level: 3", "level: high")) },
		"empty":            func(w *world) { w.write("all.yaml", "") },
		"gone": func(w *world) {
			if err := os.Remove(filepath.Join(w.dir, "all.yaml")); err != nil {
				w.t.Fatal(err)
			}
		},
		"a folder": func(w *world) {
			path := filepath.Join(w.dir, "all.yaml")
			if err := os.Remove(path); err != nil {
				w.t.Fatal(err)
			}
			if err := os.Mkdir(path, 0o700); err != nil {
				w.t.Fatal(err)
			}
		},
		"writable by everybody": func(w *world) {
			if err := os.Chmod(filepath.Join(w.dir, "all.yaml"), 0o666); err != nil {
				w.t.Fatal(err)
			}
		},
		"too large": func(w *world) { w.write("all.yaml", example(w.t)+strings.Repeat("#\n", defaultBytes/2)) },
	}
	for name, breakFile := range breakages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, example(t))
			w.t = t
			w.at(time.Minute)
			breakFile(w)
			w.at(time.Hour)
			r, err := w.onCall("e.doe@acme.example", "PAYMENTS")
			if err != nil || !r.GetOnCall() {
				t.Fatalf("got %v %v, want the old facts", r, err)
			}
			if at := r.GetObservation().GetObservedAt().AsTime(); !at.Equal(noon().Add(time.Minute)) {
				t.Errorf("observed at %v, want when the file was last in order", at)
			}
			w.wantHealth(connectorv1.HealthStatus_HEALTH_STATUS_DEGRADED, "all.yaml")
			w.at(time.Minute + defaultMaxAge)
			_, err = w.onCall("boss@acme.example", "PAYMENTS")
			wantFault(t, err, unavailable)
			w.wantHealth(connectorv1.HealthStatus_HEALTH_STATUS_UNREACHABLE, "all.yaml")
		})
	}
}

func (w *world) wantHealth(want connectorv1.HealthStatus, message string) {
	w.t.Helper()
	health, err := w.client.CheckHealth(w.t.Context())
	if err != nil || health.GetStatus() != want || !strings.Contains(health.GetMessage(), message) {
		w.t.Errorf("health is %v %v, want %v with %q", health, err, want, message)
	}
}

func TestARepairedFileIsInOrderAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, example(t))
	w.wantHealth(connectorv1.HealthStatus_HEALTH_STATUS_OK, "in order")
	w.write("all.yaml", "shifts: [")
	w.at(time.Minute)
	w.write("all.yaml", example(t))
	w.at(2 * time.Minute)
	w.wantHealth(connectorv1.HealthStatus_HEALTH_STATUS_OK, "in order")
	r, err := w.onCall("e.doe@acme.example", "PAYMENTS")
	if err != nil || !r.GetObservation().GetObservedAt().AsTime().Equal(noon().Add(2*time.Minute)) {
		t.Errorf("got %v %v", r.GetObservation(), err)
	}
}

// A file that is being written is shorter than it will be; its people must not vanish in the meantime.
func TestAFileThatIsBeingWrittenDoesNotCountYet(t *testing.T) {
	t.Parallel()
	w := newWorld(t, example(t))
	path := w.write("all.yaml", strings.Split(example(t), "  - email: boss")[0])
	if err := os.Chtimes(path, noon(), noon().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	w.offset.Store(int64(time.Minute + settling/2))
	if again := w.roster.refresh(); !again {
		t.Error("does not come back for it")
	}
	if r, err := w.onCall("boss@acme.example", "PAYMENTS"); err != nil || !r.GetOnCall() {
		t.Errorf("got %v %v, want the old content", r, err)
	}
	w.offset.Store(int64(time.Minute + settling))
	if again := w.roster.refresh(); again {
		t.Error("comes back for it again")
	}
	_, err := w.onCall("boss@acme.example", "PAYMENTS")
	wantFault(t, err, notFound)
}

func TestFilesThatAreNotInOrderAreNotOpened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte("employments:\n  - state: gone\nshifts: 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := connectortest.Serve(t, connector()).Configure(t.Context(), &rosterv1.Config{
		EmploymentsFile: bad, ShiftsFile: bad, PrincipalsFile: filepath.Join(dir, "missing.csv"),
	})
	if err == nil {
		t.Fatal("was opened")
	}
	for _, want := range []string{"bad.yaml:2:12: state", "bad.yaml:3:9: shifts must be a list", "missing.csv: cannot be read: no such file"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
}

// The real thing: a running connector sees a file that is replaced, without being told to look.
func TestAReplacedFileIsNoticed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "people.csv")
	replace := func(text string) {
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	replace("employee_number,department\n1,Old\n")
	w := &world{t: t}
	w.client = connectortest.Start(t, connector(), &rosterv1.Config{EmploymentsFile: path, PollEvery: durationpb.New(time.Second)})
	replace("employee_number,department\n1,New\n")
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		r, err := w.employment("1", "")
		if err != nil {
			t.Fatal(err)
		}
		if r.GetDepartment() == "New" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("was not noticed")
		}
	}
}

// What is wrong is logged once, and not what the file says about people.
func TestProblemsAreLoggedOnceAndWithoutValues(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	dir := t.TempDir()
	w := &world{t: t, dir: dir}
	path := w.write("a.csv", "email,state\na@x.example,active\n")
	r, err := newRoster(&rosterv1.Config{EmploymentsFile: path}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	r.now = w.now
	w.write("a.csv", "email,state\ncanary-person@x.example,canary-state\n")
	for range 3 {
		r.refresh()
	}
	got := log.String()
	if strings.Count(got, "a.csv:2:25: state must be one of") != 1 || strings.Contains(got, "canary") {
		t.Errorf("logged %s", got)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestSettingsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		config *rosterv1.Config
		want   string
	}{
		"good":            {&rosterv1.Config{ShiftsFile: "/etc/countersign/shifts.yml"}, ""},
		"no file":         {&rosterv1.Config{}, "principals_file"},
		"a relative path": {&rosterv1.Config{ShiftsFile: "shifts.csv"}, "shifts_file"},
		"another format":  {&rosterv1.Config{EmploymentsFile: "/etc/people.xlsx"}, "employments_file"},
		"no zone":         {&rosterv1.Config{ShiftsFile: "/a.csv", TimeZone: "CEST?"}, "time_zone"},
		"max_age":         {&rosterv1.Config{ShiftsFile: "/a.csv", MaxAge: durationpb.New(time.Second)}, "max_age"},
		"poll_every":      {&rosterv1.Config{ShiftsFile: "/a.csv", PollEvery: durationpb.New(time.Hour)}, "poll_every"},
		"max_bytes":       {&rosterv1.Config{ShiftsFile: "/a.csv", MaxBytes: 1 << 40}, "max_bytes"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			for _, d := range connectortest.Serve(t, connector()).Validate(t, c.config) {
				got += d.GetFieldPath()
			}
			if got != c.want {
				t.Errorf("complains about %q, want %q", got, c.want)
			}
		})
	}
}
