package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// The identity PIM has when it calls, in every tenant.
const (
	// PIMAppID is the client id of PIM's first-party application.
	PIMAppID = "1c67c054-65c8-4f7f-92a1-eb7ba6e48627"
	// Authority is the authority of the public cloud.
	Authority = "https://login.microsoftonline.com"
)

// TenantOptions describe a tenant; the zero value is a tenant of its own in the public cloud.
type TenantOptions struct {
	// ID is the tenant id; a random one if empty.
	ID string
	// Authority is the base URL of the authority: the issuer of v2.0 tokens and the addresses in the
	// metadata begin with it. The public cloud's if empty; StartTenant sets it to its own address.
	Authority string
	// IssuerV1 is the issuer of v1.0 tokens; "https://sts.windows.net/{tenant}/" if empty.
	IssuerV1 string
	// ClientID is the gateway's application registration, the audience of v2.0 tokens; random if empty.
	ClientID string
	// AppIDURI is its Application ID URI, the audience of v1.0 tokens; "api://{ClientID}" if empty.
	AppIDURI string
	// PIMObjectID is the object id of PIM's service principal in this tenant; random if empty.
	PIMObjectID string
	// Keys sign the tokens; a set of its own if nil. Entra ID shares keys across tenants.
	Keys *Keys
	// Now is the clock of tokens; time.Now if nil.
	Now func() time.Time
}

// Tenant is a stand-in Entra tenant: an http.Handler that serves the OpenID metadata and the signing
// keys of both token versions, and the issuer of tokens that fit them. It is safe for concurrent use.
type Tenant struct {
	options TenantOptions
	server  *Server

	mu       sync.Mutex
	faults   map[Document]Fault
	requests map[Document]int
}

// Document is one of the documents that a tenant publishes.
type Document string

// The documents.
const (
	MetadataV1 Document = "metadata_v1"
	MetadataV2 Document = "metadata_v2"
	KeysV1     Document = "keys_v1"
	KeysV2     Document = "keys_v2"
)

// Documents are all documents that a tenant publishes.
func Documents() []Document { return []Document{MetadataV1, MetadataV2, KeysV1, KeysV2} }

// NewTenant makes a tenant that does not listen; it is served by whoever mounts it.
func NewTenant(o TenantOptions) (*Tenant, error) {
	o.ID = orRandom(o.ID)
	o.ClientID = orRandom(o.ClientID)
	o.PIMObjectID = orRandom(o.PIMObjectID)
	o.Authority = strings.TrimSuffix(or(o.Authority, Authority), "/")
	o.IssuerV1 = or(o.IssuerV1, "https://sts.windows.net/"+o.ID+"/")
	o.AppIDURI = or(o.AppIDURI, "api://"+o.ClientID)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Keys == nil {
		keys, err := NewKeys()
		if err != nil {
			return nil, err
		}
		o.Keys = keys
	}
	return &Tenant{options: o, faults: map[Document]Fault{}, requests: map[Document]int{}}, nil
}

// StartTenant makes a tenant that listens on a loopback port of its own until Close; unless the options
// name another authority, that port is its authority.
func StartTenant(ctx context.Context, o TenantOptions) (*Tenant, error) {
	listener, err := listen(ctx)
	if err != nil {
		return nil, err
	}
	o.Authority = or(o.Authority, "http://"+listener.Addr().String())
	t, err := NewTenant(o)
	if err != nil {
		_ = listener.Close()
		return nil, err
	}
	t.server = serve(listener, t)
	return t, nil
}

// Close stops listening; it does nothing for a tenant that does not listen.
func (t *Tenant) Close() error {
	if t.server == nil {
		return nil
	}
	return t.server.Close()
}

// ID is the tenant id.
func (t *Tenant) ID() string { return t.options.ID }

// Authority is the base URL of the authority.
func (t *Tenant) Authority() string { return t.options.Authority }

// ClientID is the client id of the gateway's application registration.
func (t *Tenant) ClientID() string { return t.options.ClientID }

// AppIDURI is the Application ID URI of the gateway's application registration.
func (t *Tenant) AppIDURI() string { return t.options.AppIDURI }

// PIMObjectID is the object id of PIM's service principal in the tenant.
func (t *Tenant) PIMObjectID() string { return t.options.PIMObjectID }

// Keys are the tenant's signing keys.
func (t *Tenant) Keys() *Keys { return t.options.Keys }

// Issuer is the issuer of tokens of a version, "1.0" or "2.0".
func (t *Tenant) Issuer(version string) string {
	if version == Version1 {
		return t.options.IssuerV1
	}
	return t.options.Authority + "/" + t.options.ID + "/v2.0"
}

// Requests is how often a document was asked for, faults included.
func (t *Tenant) Requests(d Document) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.requests[d]
}

// ServeHTTP serves the four documents. A tenant it does not know gets Entra ID's error AADSTS90002.
func (t *Tenant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, known := strings.CutPrefix(r.URL.Path, "/"+t.options.ID)
	if !known {
		writeJSON(w, http.StatusBadRequest, object{
			{"error", "invalid_tenant"},
			{"error_description", "AADSTS90002: Tenant not found."},
			{"error_codes", []int{90002}},
		})
		return
	}
	document, known := t.document(path)
	if !known || r.Method != http.MethodGet {
		http.NotFound(w, r)
		return
	}
	if t.take(document).spoil(w, r) {
		return
	}
	writeJSON(w, http.StatusOK, t.content(document))
}

func (t *Tenant) document(path string) (Document, bool) {
	documents := map[string]Document{
		"/.well-known/openid-configuration":      MetadataV1,
		"/v2.0/.well-known/openid-configuration": MetadataV2,
		"/discovery/keys":                        KeysV1,
		"/discovery/v2.0/keys":                   KeysV2,
	}
	d, ok := documents[path]
	return d, ok
}

// take counts a request and says what is wrong with its answer.
func (t *Tenant) take(d Document) Fault {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests[d]++
	return t.faults[d]
}

func (t *Tenant) content(d Document) object {
	switch d {
	case MetadataV1:
		return t.metadata(Version1)
	case KeysV1:
		return t.options.Keys.set("")
	case KeysV2:
		return t.options.Keys.set(t.Issuer(Version2))
	case MetadataV2:
		return t.metadata(Version2)
	}
	return object{}
}

func (t *Tenant) metadata(version string) object {
	base, segment := t.options.Authority+"/"+t.options.ID, ""
	if version == Version2 {
		segment = "/v2.0"
	}
	return object{
		{"token_endpoint", base + "/oauth2" + segment + "/token"},
		{"token_endpoint_auth_methods_supported", []string{"client_secret_post", "private_key_jwt", "client_secret_basic"}},
		{"jwks_uri", base + "/discovery" + segment + "/keys"},
		{"response_modes_supported", []string{"query", "fragment", "form_post"}},
		{"subject_types_supported", []string{"pairwise"}},
		{"id_token_signing_alg_values_supported", []string{"RS256"}},
		{"response_types_supported", []string{"code", "id_token", "code id_token", "id_token token"}},
		{"scopes_supported", []string{"openid", "profile", "email", "offline_access"}},
		{"issuer", t.Issuer(version)},
		{"request_uri_parameter_supported", false},
		{"authorization_endpoint", base + "/oauth2" + segment + "/authorize"},
		{"tenant_region_scope", "EU"},
		{"cloud_instance_name", "microsoftonline.com"},
		{"cloud_graph_host_name", "graph.windows.net"},
		{"msgraph_host", "graph.microsoft.com"},
	}
}

func writeJSON(w http.ResponseWriter, status int, content object) {
	body, err := json.Marshal(content)
	if err != nil {
		http.Error(w, "no answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "max-age=86400, private")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

func orRandom(id string) string {
	if id == "" {
		return uuid.NewString()
	}
	return id
}

// String names the tenant for messages.
func (t *Tenant) String() string {
	return fmt.Sprintf("tenant %s at %s", t.options.ID, t.options.Authority)
}
