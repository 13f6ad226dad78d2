package main

import (
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/countersign/countersign/connectors/upstream"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
	entrav1 "github.com/countersign/countersign/proto/countersign/plugins/entra/v1"
)

const (
	defaultGraph     = "https://graph.microsoft.com"
	defaultAuthority = "https://login.microsoftonline.com"
)

// directory is one tenant, read through Microsoft Graph.
type directory struct {
	client            *upstream.Client
	leaveDateReadable bool
}

func newDirectory(c *entrav1.Config) (*directory, error) {
	graph := or(c.GetGraphUrl(), defaultGraph)
	authorize, tokenErr := upstream.ClientCredentials(upstream.TokenOptions{
		Setting:   "authority",
		Transport: c.GetTransport(),
		Credentials: &connectorv1.ClientCredentials{
			TokenUrl:     or(c.GetAuthority(), defaultAuthority) + upstream.Path(c.GetTenantId(), "oauth2", "v2.0", "token"),
			ClientId:     c.GetClientId(),
			ClientSecret: c.GetClientSecret(),
			Scopes:       []string{graph + "/.default"},
		},
	})
	client, err := upstream.New(upstream.Options{
		BaseURL:        graph,
		BaseURLSetting: "graph_url",
		Transport:      c.GetTransport(),
		Authorize:      authorize,
		// An administrator waits for the answer, so the call is of the kind that Graph throttles last.
		Header:    http.Header{"X-Ms-Throttle-Priority": {"high"}},
		RequestID: "request-id",
	})
	if err := errors.Join(err, tokenErr); err != nil {
		return nil, err
	}
	return &directory{client: client, leaveDateReadable: c.GetLeaveDateReadable()}, nil
}

// Close drops idle connections.
func (d *directory) Close() error { //nolint:unparam // This is how an io.Closer looks.
	d.client.Close()
	return nil
}

func validate(c *entrav1.Config) []*connectorv1.Diagnostic {
	var found []*connectorv1.Diagnostic
	for _, setting := range []struct{ path, value string }{{"tenant_id", c.GetTenantId()}, {"client_id", c.GetClientId()}} {
		if setting.value != "" && !isGUID(setting.value) {
			found = append(found, &connectorv1.Diagnostic{
				Severity: connectorv1.Severity_SEVERITY_ERROR, FieldPath: setting.path,
				Summary: "is no GUID", Remedy: "copy it from the overview page of the app registration",
			})
		}
	}
	if len(found) > 0 {
		return found
	}
	_, err := newDirectory(c)
	return unique(upstream.Diagnostics(err))
}

// unique drops repeats: both addresses are reached through the same transport.
func unique(all []*connectorv1.Diagnostic) []*connectorv1.Diagnostic {
	var kept []*connectorv1.Diagnostic
	seen := map[string]bool{}
	for _, d := range all {
		if key := d.GetFieldPath() + d.GetSummary(); !seen[key] {
			seen[key] = true
			kept = append(kept, d)
		}
	}
	return kept
}

// guid is the form of an object id.
var guid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// isGUID accepts 36 ASCII characters in the usual form and nothing else. Graph would take a user
// principal name in the same place.
func isGUID(text string) bool {
	return guid.MatchString(text)
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return strings.TrimRight(value, "/")
}
