// Package graph stands in for the part of Microsoft Graph that reads directory objects. It keeps Graph's
// habits that matter to a connector: properties that are not selected are absent, properties that the
// application may not read are null without an error, a user that does not exist is a 404 although a
// group has the id, and every error has Graph's own body.
package graph

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/countersign/countersign/connectors/connectortest/standin/fault"
)

// Tokens says whether a bearer token admits to a resource; [entraid.Server] of the neighbouring package
// does.
type Tokens interface {
	Check(token, resource string) bool
}

// Application permissions that change what is answered.
const (
	UserReadAll          = "User.Read.All"
	UserReadBasicAll     = "User.ReadBasic.All"
	UserLifeCycleReadAll = "User-LifeCycleInfo.Read.All"
	DirectoryReadAll     = "Directory.Read.All"
)

// Server is Microsoft Graph for one tenant. It is safe for concurrent use.
type Server struct {
	fault.Injector

	// Resource is what tokens must have been issued for.
	Resource string

	tokens      Tokens
	mu          sync.Mutex
	users       map[string]map[string]any
	managers    map[string]string
	objects     map[string]map[string]any
	permissions map[string]bool
	requests    []string
}

// New returns an empty directory whose callers have UserReadAll and DirectoryReadAll.
func New(resource string, tokens Tokens) *Server {
	return &Server{
		Resource: resource, tokens: tokens,
		users: map[string]map[string]any{}, managers: map[string]string{}, objects: map[string]map[string]any{},
		permissions: map[string]bool{UserReadAll: true, DirectoryReadAll: true},
	}
}

// Grant replaces the application permissions of the callers.
func (s *Server) Grant(permissions ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.permissions = map[string]bool{}
	for _, p := range permissions {
		s.permissions[p] = true
	}
}

// AddUser adds or replaces a user. Properties have Graph's names; those not given are null.
func (s *Server) AddUser(id string, properties map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[strings.ToLower(id)] = withID(id, properties)
}

// SetManager makes one user the manager of another.
func (s *Server) SetManager(id, manager string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.managers[strings.ToLower(id)] = strings.ToLower(manager)
}

// AddObject adds a group, servicePrincipal, device or any other directory object that is no user.
func (s *Server) AddObject(id, kind string, properties map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	object := withID(id, properties)
	object["@odata.type"] = "#microsoft.graph." + kind
	s.objects[strings.ToLower(id)] = object
}

// Remove makes an id unknown.
func (s *Server) Remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.users, strings.ToLower(id))
	delete(s.objects, strings.ToLower(id))
}

// Requests returns method, path and query of everything that was asked with a valid token.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

func withID(id string, properties map[string]any) map[string]any {
	object := map[string]any{"id": id}
	maps.Copy(object, properties)
	return object
}

// Throttled is Graph's answer to a caller that asks too much.
func Throttled(retryAfter string) *fault.Fault {
	return &fault.Fault{
		Status: http.StatusTooManyRequests,
		Header: http.Header{"Retry-After": {retryAfter}},
		Body:   `{"error":{"code":"TooManyRequests","message":"Too many requests.","innerError":{"code":"429"}}}`,
	}
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.Intercept(w, r) {
		return
	}
	w.Header().Set("request-id", "5f1c7b0e-0000-4000-8000-000000000001")
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case !ok || token == "":
		refuse(w, http.StatusUnauthorized, "InvalidAuthenticationToken", "Access token is empty.")
	case !s.tokens.Check(token, s.Resource):
		refuse(w, http.StatusUnauthorized, "InvalidAuthenticationToken", "Access token validation failure. Invalid audience.")
	case r.Method != http.MethodGet:
		refuse(w, http.StatusMethodNotAllowed, "BadRequest", "Specified HTTP method is not allowed for the request target.")
	default:
		s.route(w, r)
	}
}

func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Method+" "+r.URL.RequestURI())
	collection, id, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1.0/"), "/")
	switch {
	case collection == "users" && id == "":
		s.listUsers(w, r)
	case collection == "users":
		s.getUser(w, r, id)
	case collection == "directoryObjects" && id != "":
		s.getObject(w, id)
	default:
		refuse(w, http.StatusBadRequest, "BadRequest", "Resource not found for the segment '"+collection+"'.")
	}
}

// listUsers answers one page of at most one user, which is all that a health check reads.
func (s *Server) listUsers(w http.ResponseWriter, r *http.Request) {
	if !s.mayReadUsers() {
		forbid(w)
		return
	}
	page := []any{}
	for _, user := range s.users {
		if len(page) == 0 {
			page = append(page, s.visible(user, selected(r.URL.Query().Get("$select"))))
		}
	}
	write(w, http.StatusOK, map[string]any{"value": page})
}

func (s *Server) getUser(w http.ResponseWriter, r *http.Request, id string) {
	if !s.mayReadUsers() {
		forbid(w)
		return
	}
	if unknown := firstUnknown(selected(r.URL.Query().Get("$select"))); unknown != "" {
		refuse(w, http.StatusBadRequest, "BadRequest", "Could not find a property named '"+unknown+"' on type 'microsoft.graph.user'.")
		return
	}
	user, ok := s.find(id)
	if !ok {
		s.missing(w, id)
		return
	}
	answer := s.visible(user, selected(r.URL.Query().Get("$select")))
	answer["@odata.context"] = s.Resource + "/v1.0/$metadata#users/$entity"
	s.expand(answer, user, r.URL.Query().Get("$expand"))
	write(w, http.StatusOK, answer)
}

// find looks a user up by object id or by user principal name, as Graph does: an id that has not been
// checked can name somebody else.
func (s *Server) find(id string) (map[string]any, bool) {
	if user, ok := s.users[strings.ToLower(id)]; ok {
		return user, true
	}
	for _, user := range s.users {
		if upn, _ := user["userPrincipalName"].(string); upn != "" && strings.EqualFold(upn, id) {
			return user, true
		}
	}
	return nil, false
}

func (s *Server) getObject(w http.ResponseWriter, id string) {
	object, ok := s.objects[strings.ToLower(id)]
	if !ok {
		object, ok = s.users[strings.ToLower(id)]
	}
	switch {
	case !s.permissions[DirectoryReadAll]:
		forbid(w)
	case !ok:
		s.missing(w, id)
	default:
		write(w, http.StatusOK, object)
	}
}

func (s *Server) mayReadUsers() bool {
	return s.permissions[UserReadAll] || s.permissions[UserReadBasicAll] || s.permissions[DirectoryReadAll]
}

// visible picks the selected properties and blanks the ones that the permissions do not show.
func (s *Server) visible(user map[string]any, names []string) map[string]any {
	answer := map[string]any{}
	for _, name := range names {
		if s.shows(name) {
			answer[name] = user[name]
		} else {
			answer[name] = nil
		}
	}
	return answer
}

func (s *Server) shows(name string) bool {
	switch {
	case slices.Contains(basic(), name):
		return true
	case name == "employeeLeaveDateTime":
		return s.permissions[UserLifeCycleReadAll]
	default:
		return s.permissions[UserReadAll] || s.permissions[DirectoryReadAll]
	}
}

// expand adds the manager. A user without a manager has no member of that name at all.
func (s *Server) expand(answer, user map[string]any, expand string) {
	inner := regexp.MustCompile(`^manager\(\$select=([A-Za-z,]+)\)$`).FindStringSubmatch(expand)
	id, _ := user["id"].(string)
	manager, ok := s.users[s.managers[strings.ToLower(id)]]
	if inner == nil || !ok {
		return
	}
	shown := s.visible(manager, selected(inner[1]))
	shown["@odata.type"] = "#microsoft.graph.user"
	answer["manager"] = shown
}

func selected(text string) []string {
	if text == "" {
		return append(basic(), "jobTitle", "officeLocation", "businessPhones", "mobilePhone", "preferredLanguage")
	}
	return strings.Split(text, ",")
}

// basic are the properties that User.ReadBasic.All shows.
func basic() []string {
	return []string{"id", "displayName", "givenName", "surname", "mail", "userPrincipalName"}
}

func firstUnknown(names []string) string {
	known := append(selected(""), "accountEnabled", "employeeId", "employeeType", "employeeHireDate", "employeeLeaveDateTime",
		"department", "companyName", "userType", "createdDateTime", "onPremisesSamAccountName", "onPremisesSyncEnabled",
		"onPremisesImmutableId", "otherMails", "proxyAddresses", "externalUserState")
	for _, name := range names {
		if !slices.Contains(known, name) {
			return name
		}
	}
	return ""
}

func (s *Server) missing(w http.ResponseWriter, id string) {
	refuse(w, http.StatusNotFound, "Request_ResourceNotFound",
		"Resource '"+id+"' does not exist or one of its queried reference-property objects are not present.")
}

func forbid(w http.ResponseWriter) {
	refuse(w, http.StatusForbidden, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	write(w, status, map[string]any{"error": map[string]any{
		"code": code, "message": message,
		"innerError": map[string]any{"date": "2026-11-23T06:00:00", "request-id": "5f1c7b0e-0000-4000-8000-000000000001"},
	}})
}

func write(w http.ResponseWriter, status int, body any) {
	contentType := "application/json"
	if status == http.StatusOK {
		contentType = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
