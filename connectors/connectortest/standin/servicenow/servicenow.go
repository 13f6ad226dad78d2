// Package servicenow stands in for a ServiceNow instance as a connector meets it: the Table API with
// encoded queries, field selection, display values, limits and access rules, and the three ways to
// authenticate. It keeps the habits that make a careless connector dangerous: an invalid part of a query
// is ignored and the rest is answered, an invalid field is left out, ^OR and ^NQ widen a query,
// javascript: values are evaluated, the limit is applied before the access rules, and hidden columns are
// absent without an error.
package servicenow

import (
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign/connectors/connectortest/standin/fault"
)

// Server is one instance. It is safe for concurrent use.
type Server struct {
	fault.Injector

	// Username and Password admit with Basic authentication; empty turns it off.
	Username, Password string
	// ClientID and ClientSecret admit to /oauth_token.do; empty turns it off.
	ClientID, ClientSecret string
	// APIKey admits in the header x-sn-apikey; empty turns it off.
	APIKey string
	// Zone and DateFormat are those of the integration user; display values use them.
	Zone       *time.Location
	DateFormat string
	// Now is the clock.
	Now func() time.Time

	mu       sync.Mutex
	tables   map[string]*table
	labels   map[string]string
	tokens   map[string]time.Time
	requests []string
}

// New returns an instance with the tables of a fresh installation and no records.
func New() *Server {
	return &Server{
		Zone: time.FixedZone("PST", -8*60*60), DateFormat: "01/02/2006 15:04:05", Now: time.Now,
		tables: freshTables(), labels: freshLabels(), tokens: map[string]time.Time{},
	}
}

// Insert adds a record to a table and returns its sys_id. Values are as the database has them: dates in
// UTC, references as sys_ids. A column that the table does not have is a mistake of the test, and panics.
func (s *Server) Insert(tableName string, row map[string]string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables[tableName]
	if t == nil {
		panic("no table " + tableName)
	}
	record := map[string]string{"sys_id": newSysID(), "sys_class_name": tableName}
	for column, value := range row {
		if !s.has(tableName, column) {
			panic("table " + tableName + " has no column " + column)
		}
		record[column] = value
	}
	t.rows = append(t.rows, record)
	return record["sys_id"]
}

// Update changes a record.
func (s *Server) Update(tableName, sysID string, change map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, row := range s.tables[tableName].rows {
		if row["sys_id"] == sysID {
			maps.Copy(row, change)
		}
	}
}

// AddTable adds a table that extends another, with further columns.
func (s *Server) AddTable(name, extends string, columns ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tables[name] = &table{extends: extends, columns: columns}
}

// HideField takes the right to read a column away: it is absent from answers.
func (s *Server) HideField(tableName, column string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables[tableName]
	t.hiddenColumns = append(t.hiddenColumns, column)
}

// HideRow takes the right to read a record away: it is absent from answers, and still counts towards the
// limit.
func (s *Server) HideRow(tableName, sysID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables[tableName]
	t.hiddenRows = append(t.hiddenRows, sysID)
}

// Revoke makes all tokens invalid that were issued so far.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = map[string]time.Time{}
}

// Requests returns path and query of every request that reached the Table API with valid credentials.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

func newSysID() string {
	const hexDigits = "0123456789abcdef"
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	for i, b := range raw {
		raw[i] = hexDigits[b%16]
	}
	return string(raw)
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.Intercept(w, r) {
		return
	}
	w.Header().Set("X-Transaction-Id", "4f1c7b0e9d2a")
	if r.URL.Path == "/oauth_token.do" {
		s.issueToken(w, r)
		return
	}
	name, ok := strings.CutPrefix(r.URL.Path, "/api/now/v2/table/")
	switch {
	case !s.admits(r):
		w.Header().Set("WWW-Authenticate", `BASIC realm="Service-now"`)
		refuse(w, http.StatusUnauthorized, "User Not Authenticated", "Required to provide Auth information")
	case !ok:
		refuse(w, http.StatusBadRequest, "Requested URI does not represent any resource", "")
	case !acceptsJSON(r):
		refuse(w, http.StatusBadRequest, "Invalid or missing header Accept", "")
	case r.Method != http.MethodGet:
		refuse(w, http.StatusMethodNotAllowed, "Method not supported", "")
	default:
		s.list(w, r, name)
	}
}

func acceptsJSON(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	return strings.Contains(accept, "application/json") || strings.Contains(accept, "*/*")
}

func (s *Server) admits(r *http.Request) bool {
	if key := r.Header.Get("X-Sn-Apikey"); key != "" {
		return key == s.APIKey
	}
	if user, password, ok := r.BasicAuth(); ok {
		return s.Username != "" && user == s.Username && password == s.Password
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	defer s.mu.Unlock()
	ends, known := s.tokens[token]
	return ok && known && s.Now().Before(ends)
}

// tokenLife is the default of an instance; while a token is valid, every request gets the same one.
const tokenLife = 1800 * time.Second

func (s *Server) issueToken(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.PostFormValue("grant_type") != "client_credentials" || s.ClientID == "" ||
		r.PostFormValue("client_id") != s.ClientID || r.PostFormValue("client_secret") != s.ClientSecret {
		write(w, http.StatusUnauthorized, map[string]any{"error_description": "access_denied", "error": "server_error"})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	token, ends := s.current()
	write(w, http.StatusOK, map[string]any{
		"access_token": token, "scope": "useraccount", "token_type": "Bearer", "expires_in": int(ends.Sub(s.Now()).Seconds()),
	})
}

func (s *Server) current() (string, time.Time) {
	for token, ends := range s.tokens {
		if s.Now().Before(ends) {
			return token, ends
		}
	}
	token, ends := rand.Text(), s.Now().Add(tokenLife)
	s.tokens[token] = ends
	return token, ends
}

func refuse(w http.ResponseWriter, status int, message, detail string) {
	write(w, status, map[string]any{"error": map[string]any{"message": message, "detail": detail}, "status": "failure"})
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// Hibernating is a developer instance that sleeps: a web page with status 200.
func Hibernating() *fault.Fault {
	return &fault.Fault{
		Body:        "<!DOCTYPE html><html><head><title>Instance Hibernating page</title></head><body><h1>Your instance is hibernating</h1></body></html>",
		ContentType: "text/html;charset=UTF-8",
	}
}

// Moved is the other form of a sleeping instance: a redirect to another host.
func Moved() *fault.Fault {
	return &fault.Fault{
		Status: http.StatusFound, ContentType: "text/html",
		Header: http.Header{"Location": {"https://developer.servicenow.com/dev.do#!/home?wu=true"}},
	}
}

// RateLimited is an instance whose rule allows no more requests this hour.
func RateLimited(retryAfter string) *fault.Fault {
	return &fault.Fault{
		Status: http.StatusTooManyRequests,
		Header: http.Header{"Retry-After": {retryAfter}, "X-RateLimit-Limit": {"100"}, "X-RateLimit-Rule": {"8b7c6d5e4f3a2b1c8b7c6d5e4f3a2b1c"}},
		Body:   `{"error":{"message":"Rate limit exceeded","detail":"Rate limit of 100 requests per hour for Table API exceeded"},"status":"failure"}`,
	}
}

// Cancelled is a transaction that ran into its quota: status 200 with an error behind the result.
func Cancelled() *fault.Fault {
	return &fault.Fault{
		Body: `{"result":[],"error":{"message":"Transaction cancelled: maximum execution time exceeded","detail":"maximum execution time exceeded Check logs for error trace or enable glide.rest.debug property to verify REST request processing"},"status":"failure"}`,
	}
}
