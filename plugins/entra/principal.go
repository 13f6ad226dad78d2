package main

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/countersign/countersign/connectors/finding"
	"github.com/countersign/countersign/connectors/upstream"
	principalv1 "github.com/countersign/countersign/proto/countersign/principal/v1"
)

const (
	selectUser = "id,displayName,userPrincipalName,mail,employeeId,employeeType,employeeHireDate,employeeLeaveDateTime," +
		"accountEnabled,userType,department,companyName,jobTitle,onPremisesSamAccountName,createdDateTime"
	expandManager = "manager($select=id,mail)"
)

// GetPrincipal reads a user with his or her manager. Graph answers 404 to a group or a service principal
// there, so that a second request tells those from a principal that is gone.
func (d *directory) GetPrincipal(ctx context.Context, r *principalv1.GetPrincipalRequest) (*principalv1.GetPrincipalResponse, error) {
	id := strings.ToLower(r.GetId())
	if !isGUID(id) {
		return nil, finding.BadQuestion("the id of a principal is a GUID")
	}
	var user object
	found, err := d.read(ctx, upstream.Request{
		Path: upstream.Path("v1.0", "users", id), Template: "/v1.0/users/{id}",
		Query: url.Values{"$select": {selectUser}, "$expand": {expandManager}},
	}, &user)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return d.other(ctx, id)
	case !user.is(id):
		return nil, finding.Malformed("asked for one user, Graph answered with another")
	}
	return d.person(ctx, id, user), nil
}

// other reads a principal that is no user.
func (d *directory) other(ctx context.Context, id string) (*principalv1.GetPrincipalResponse, error) {
	var entry object
	found, err := d.read(ctx, upstream.Request{
		Path: upstream.Path("v1.0", "directoryObjects", id), Template: "/v1.0/directoryObjects/{id}",
	}, &entry)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, finding.NotFound("no principal has this id")
	case !entry.is(id):
		return nil, finding.Malformed("asked for one directory object, Graph answered with another")
	}
	kind, ok := kindOf(entry)
	if !ok {
		return nil, finding.Malformed("Graph answered that no user has this id, and then with that user")
	}
	resp := &principalv1.GetPrincipalResponse{Id: new(id), Kind: kind}
	resp.DisplayName = entry.text("displayName")
	resp.Mail = entry.address("mail")
	resp.AccountEnabled = entry.enabled()
	resp.CreatedAt = entry.instant("createdDateTime")
	return resp, nil
}

// kindOf reads the type of a directory object that should be no user. It is not ok if it is one: then
// the two answers contradict each other.
func kindOf(entry object) (*principalv1.PrincipalKind, bool) {
	name := entry.text("@odata.type")
	if name == nil {
		return nil, true
	}
	switch *name {
	case "#microsoft.graph.user":
		return nil, false
	case "#microsoft.graph.group":
		return principalv1.PrincipalKind_PRINCIPAL_KIND_GROUP.Enum(), true
	case "#microsoft.graph.servicePrincipal":
		return principalv1.PrincipalKind_PRINCIPAL_KIND_SERVICE_PRINCIPAL.Enum(), true
	case "#microsoft.graph.device":
		return principalv1.PrincipalKind_PRINCIPAL_KIND_DEVICE.Enum(), true
	default:
		return principalv1.PrincipalKind_PRINCIPAL_KIND_OTHER.Enum(), true
	}
}

// read says whether the object exists. Only Graph's own code for a missing resource counts as that.
func (d *directory) read(ctx context.Context, r upstream.Request, into *object) (bool, error) {
	r.Accept = []int{http.StatusNotFound}
	resp, err := d.client.JSON(ctx, r, into)
	if err != nil {
		return false, err
	}
	if resp.Status != http.StatusNotFound {
		return true, nil
	}
	var body struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	if json.Unmarshal(resp.Body, &body) != nil || body.Error.Code != "Request_ResourceNotFound" {
		return false, finding.Malformed("GET %s: answered 404, but not in Graph's words; is graph_url right?", r.Template)
	}
	return false, nil
}
