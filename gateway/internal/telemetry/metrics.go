package telemetry

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/countersign/countersign/gateway/internal/pim"
)

// Metrics counts what the gateway does. Its registry is its own.
type Metrics struct {
	registry    *prometheus.Registry
	evaluations *prometheus.CounterVec
	seconds     *prometheus.HistogramVec
	findings    *prometheus.CounterVec
	asked       *prometheus.HistogramVec
	unknown     prometheus.Counter
	refused     prometheus.Counter
}

// NewMetrics returns metrics of nothing yet.
func NewMetrics() *Metrics {
	// PIM allows 1 to 60 s; an answer is due at 0.65 of that.
	buckets := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		evaluations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "countersign_evaluations_total", Help: "Evaluations by what was returned and recommended, and by cause where no policy decided.",
		}, []string{"provider", "stage", "returned", "recommended", "cause"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "countersign_evaluation_seconds", Help: "Time from a callout's arrival to its answer.", Buckets: buckets,
		}, []string{"returned"}),
		findings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "countersign_findings_total", Help: "Findings by connector and fault; no fault means facts, or the knowledge that there are none.",
		}, []string{"connector", "fault"}),
		asked: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "countersign_ask_seconds", Help: "Time an ask took.", Buckets: buckets,
		}, []string{"connector"}),
		unknown: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "countersign_unknown_members_total", Help: "Callouts with members or actions this version does not know: the sign of a change on PIM's side.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "countersign_callers_refused_total", Help: "Calls whose token was refused.",
		}),
	}
	m.registry.MustRegister(m.evaluations, m.seconds, m.findings, m.asked, m.unknown, m.refused,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Evaluated counts one evaluation and its findings.
func (m *Metrics) Evaluated(e pim.Evaluation, took time.Duration) {
	d := e.Decision
	m.evaluations.WithLabelValues(string(e.Activation.Provider), string(e.Activation.Stage), string(d.Returned), string(d.Recommended), d.Cause).Inc()
	m.seconds.WithLabelValues(string(d.Returned)).Observe(took.Seconds())
	for _, f := range e.Findings {
		m.findings.WithLabelValues(f.Ask.Connector, string(f.Fault)).Inc()
		m.asked.WithLabelValues(f.Ask.Connector).Observe(f.Took.Seconds())
	}
	if len(e.Activation.UnknownMembers) > 0 || e.Activation.Action == pim.UnknownAction {
		m.unknown.Inc()
	}
}

// Refused counts one refused token.
func (m *Metrics) Refused() { m.refused.Inc() }

// Gauge adds a gauge that is read when the metrics are.
func (m *Metrics) Gauge(name, help string, labels map[string]string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, read))
}

// Handler serves the metrics in Prometheus' text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
