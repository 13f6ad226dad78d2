package telemetry_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/telemetry"
)

// writer is a log file that can be stuck.
type writer struct {
	mu   sync.Mutex
	text bytes.Buffer
	hold chan struct{}
}

func (w *writer) Write(p []byte) (int, error) {
	if w.hold != nil {
		<-w.hold
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func TestCloseWritesWhatIsQueued(t *testing.T) {
	t.Parallel()
	w := &writer{}
	log := telemetry.NewLog(w, slog.LevelInfo, telemetry.JSON)
	for range 1000 {
		log.Info("line")
	}
	log.Debug("too detailed")
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	log.Info("too late")
	if n := strings.Count(w.text.String(), `"msg":"line"`); n != 1000 || strings.Contains(w.text.String(), "too ") {
		t.Errorf("%d lines, want 1000 and no other", n)
	}
	if log.Dropped() != 1 {
		t.Errorf("%d dropped, want the one after the end", log.Dropped())
	}
}

func TestStuckLogDelaysNobody(t *testing.T) {
	t.Parallel()
	w := &writer{hold: make(chan struct{})}
	log := telemetry.NewLog(w, slog.LevelInfo, telemetry.Text)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 20_000 {
			log.Info("line")
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("a logger waits for the file")
	}
	if log.Dropped() == 0 {
		t.Error("nothing was dropped, and nothing was written")
	}
	close(w.hold)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestMetricsCountWhatWasReturned(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics()
	m.Evaluated(pim.Evaluation{
		Activation: pim.Activation{Provider: pim.Group, Stage: pim.PreApproval, Action: pim.SelfActivate, UnknownMembers: []string{"x"}},
		Decision:   pim.Decision{Returned: pim.Denied, Recommended: pim.Approved},
		Findings:   []pim.Finding{{Ask: pim.Ask{Connector: "itsm"}, Fault: pim.Timeout, Took: time.Second}},
	}, 2*time.Second)
	m.Refused()
	m.Gauge("countersign_test", "A gauge.", map[string]string{"connector": "itsm"}, func() float64 { return 7 })
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`countersign_evaluations_total{cause="",provider="group",recommended="approved",returned="denied",stage="pre_approval"} 1`,
		`countersign_evaluation_seconds_sum{returned="denied"} 2`,
		`countersign_findings_total{connector="itsm",fault="timeout"} 1`,
		`countersign_unknown_members_total 1`,
		`countersign_callers_refused_total 1`,
		`countersign_test{connector="itsm"} 7`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}
