// Package entraid stands in for the token endpoint of Microsoft Entra ID as a connector meets it: the
// client credentials grant of one tenant, with Entra's own errors.
//
// Its tokens are opaque; [Server.Check] says whether one of them admits to a resource.
package entraid

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign/connectors/connectortest/standin/fault"
)

// Server is the token endpoint at POST /{tenant}/oauth2/v2.0/token. It is safe for concurrent use.
type Server struct {
	fault.Injector

	// Tenant is the only tenant there is.
	Tenant string
	// Now is the clock.
	Now func() time.Time
	// Life is how long tokens are valid.
	Life time.Duration

	mu      sync.Mutex
	clients map[string]string
	tokens  map[string]grant
}

type grant struct {
	resource string
	ends     time.Time
}

// New returns the token endpoint of a tenant without clients.
func New(tenant string) *Server {
	return &Server{
		Tenant: tenant, Now: time.Now, Life: 3599 * time.Second,
		clients: map[string]string{}, tokens: map[string]grant{},
	}
}

// AddClient registers an application with a secret.
func (s *Server) AddClient(id, secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients[id] = secret
}

// Revoke makes all tokens invalid that were issued so far.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = map[string]grant{}
}

// Check says whether a token is valid now and was issued for a resource, such as
// https://graph.microsoft.com.
func (s *Server) Check(token, resource string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.tokens[token]
	return ok && g.resource == strings.TrimSuffix(resource, "/") && s.Now().Before(g.ends)
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.Intercept(w, r) {
		return
	}
	tenant, ok := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/"), "/oauth2/v2.0/token")
	if !ok || r.Method != http.MethodPost {
		http.NotFound(w, r)
		return
	}
	if e := s.refuse(tenant, r); e != nil {
		e.write(w)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"token_type": "Bearer", "expires_in": int(s.Life.Seconds()), "ext_expires_in": int(s.Life.Seconds()),
		"access_token": s.issue(strings.TrimSuffix(r.PostFormValue("scope"), "/.default")),
	})
}

func (s *Server) issue(resource string) string {
	token := "eyJ0eXAiOiJKV1Qi." + rand.Text() + "." + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = grant{resource: strings.TrimSuffix(resource, "/"), ends: s.Now().Add(s.Life)}
	return token
}

// refusal is an error of the token endpoint, with Entra's number for it.
type refusal struct {
	status int
	code   string
	number int
	text   string
}

// refuse says what is wrong with a request; nil if nothing is. The order of the checks is Entra's.
func (s *Server) refuse(tenant string, r *http.Request) *refusal {
	id, secret := r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	s.mu.Lock()
	want, known := s.clients[id]
	s.mu.Unlock()
	switch {
	case !strings.EqualFold(tenant, s.Tenant):
		return &refusal{http.StatusBadRequest, "invalid_request", 90002, "Tenant '" + tenant + "' not found."}
	case r.PostFormValue("grant_type") != "client_credentials":
		return &refusal{http.StatusBadRequest, "unsupported_grant_type", 70003, "The app requested an unsupported grant type."}
	case !known:
		return &refusal{http.StatusBadRequest, "unauthorized_client", 700016, "Application with identifier '" + id + "' was not found in the directory."}
	case secret != want:
		return &refusal{http.StatusUnauthorized, "invalid_client", 7000215, "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID."}
	case !isDefaultScope(r.PostFormValue("scope")):
		return &refusal{http.StatusBadRequest, "invalid_scope", 1002012, "The provided value for scope is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier."}
	}
	return nil
}

func isDefaultScope(scope string) bool {
	resource, ok := strings.CutSuffix(scope, "/.default")
	if !ok || regexp.MustCompile(`\s`).MatchString(scope) {
		return false
	}
	u, err := url.Parse(resource)
	return err == nil && u.Scheme != ""
}

func (e *refusal) write(w http.ResponseWriter) {
	trace := rand.Text()
	writeJSON(w, e.status, map[string]any{
		"error":             e.code,
		"error_description": fmt.Sprintf("AADSTS%d: %s Trace ID: %s", e.number, e.text, trace),
		"error_codes":       []int{e.number},
		"trace_id":          trace,
	})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store, no-cache")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
