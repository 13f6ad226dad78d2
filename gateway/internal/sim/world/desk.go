package world

import (
	"fmt"
	"io"
	"net/http"

	"github.com/countersign/countersign/gateway/internal/sim"
)

// Desk is the base URL where a person can fetch what PIM would send: a token at /token (with
// ?version=1.0 for that version) and a fresh body at /body/{scenario}.
func (w *World) Desk() string { return w.desk.URL }

func (w *World) deskRoutes() http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("GET /token", func(rw http.ResponseWriter, r *http.Request) {
		token, err := w.Tenant.Token(sim.TokenOptions{Version: r.URL.Query().Get("version")})
		if err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
			return
		}
		rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(rw, token)
	})
	routes.HandleFunc("GET /body/{scenario}", func(rw http.ResponseWriter, r *http.Request) {
		for _, s := range w.Scenarios() {
			if s.Name == r.PathValue("scenario") {
				rw.Header().Set("Content-Type", "application/json")
				_, _ = rw.Write(s.Request.Body)
				return
			}
		}
		http.NotFound(rw, r)
	})
	return routes
}

// Curl is a command that delivers a scenario's callout to the gateway at a base URL, as a new request.
func (w *World) Curl(gateway string, s Scenario) string {
	return fmt.Sprintf(`curl -s -H "Authorization: Bearer $(curl -s %s/token)" -H "Content-Type: application/json" `+
		`-d "$(curl -s %s/body/%s)" %s%s`, w.Desk(), w.Desk(), s.Name, gateway, path(s.Stage))
}
