package httpapi

import (
	"log/slog"
	"net/http"

	"github.com/gin-gonic/gin"
)

// Admin are the routes for operators and their machines. They belong on a loopback or management
// address: they are not authenticated.
type Admin struct {
	// Ready returns nil if callouts can be answered with more than a refusal; the error says what is
	// missing.
	Ready func() error
	// Metrics serves the metrics.
	Metrics http.Handler
	// Connectors returns the state of the connectors, to be shown as JSON.
	Connectors func() any
	Logger     *slog.Logger
}

// Handler serves /livez, /readyz, /metrics and /v1/connectors.
func (a Admin) Handler() http.Handler {
	engine := newEngine(a.Logger)
	engine.GET("/livez", func(g *gin.Context) { g.String(http.StatusOK, "ok\n") })
	engine.GET("/readyz", a.readyz)
	engine.GET("/metrics", gin.WrapH(a.Metrics))
	engine.GET("/v1/connectors", func(g *gin.Context) { g.JSON(http.StatusOK, a.Connectors()) })
	return engine
}

func (a Admin) readyz(g *gin.Context) {
	if err := a.Ready(); err != nil {
		g.String(http.StatusServiceUnavailable, "not ready: %v\n", err)
		return
	}
	g.String(http.StatusOK, "ready\n")
}
