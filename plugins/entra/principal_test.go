package main

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/countersign/countersign/connectors/connectortest"
	"github.com/countersign/countersign/connectors/connectortest/standin/entraid"
	"github.com/countersign/countersign/connectors/connectortest/standin/fault"
	"github.com/countersign/countersign/connectors/connectortest/standin/graph"
	"github.com/countersign/countersign/connectors/finding"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
	entrav1 "github.com/countersign/countersign/proto/countersign/plugins/entra/v1"
	principalv1 "github.com/countersign/countersign/proto/countersign/principal/v1"
)

const (
	getPrincipal = "countersign.principal.v1.PrincipalService/GetPrincipal"

	tenant  = "0b7e3b1c-4c4e-4b6a-9d5e-1f2a3b4c5d6e"
	client  = "7a1d5c3e-0f2b-4e8d-8c6a-5b4e3d2c1b0a"
	secret  = "canary-9f8e7d6c"
	ada     = "11111111-aaaa-4bbb-8ccc-000000000001"
	grace   = "11111111-aaaa-4bbb-8ccc-000000000002"
	admins  = "22222222-aaaa-4bbb-8ccc-000000000001"
	robot   = "33333333-aaaa-4bbb-8ccc-000000000001"
	nowhere = "99999999-aaaa-4bbb-8ccc-000000000009"
)

// world is a tenant with its directory and its token endpoint.
type world struct {
	graph  *graph.Server
	tokens *entraid.Server
	config *entrav1.Config
}

func newWorld(t *testing.T) *world {
	t.Helper()
	tokens := entraid.New(tenant)
	tokens.AddClient(client, secret)
	g := graph.New("", tokens)
	front, login := httptest.NewServer(g), httptest.NewServer(tokens)
	t.Cleanup(front.Close)
	t.Cleanup(login.Close)
	g.Resource = front.URL
	g.AddUser(ada, map[string]any{
		"displayName": "Ada Lovelace", "userPrincipalName": "Ada@Example.com", "mail": "Ada.Lovelace@Example.com", "employeeId": "4711",
		"employeeType": "Employee", "employeeHireDate": "2020-01-15T00:00:00Z", "employeeLeaveDateTime": "2027-03-31T21:59:59Z",
		"accountEnabled": true, "userType": "Member", "department": "Engines", "companyName": "Example", "jobTitle": "Analyst",
		"onPremisesSamAccountName": "ADAL", "createdDateTime": "2020-01-10T08:00:00Z",
	})
	g.AddUser(grace, map[string]any{
		"displayName": "Grace Hopper", "userPrincipalName": "grace_navy.mil#EXT#@example.com", "accountEnabled": false, "userType": "Guest",
		"mail": "grace@navy.mil",
	})
	g.SetManager(ada, grace)
	g.AddObject(admins, "group", map[string]any{"displayName": "Admins", "mail": "Admins@Example.com"})
	g.AddObject(robot, "servicePrincipal", map[string]any{"displayName": "Robot", "accountEnabled": true})
	return &world{graph: g, tokens: tokens, config: &entrav1.Config{
		TenantId: tenant, ClientId: client, ClientSecret: secret, GraphUrl: front.URL, Authority: login.URL,
	}}
}

func ask(t *testing.T, w *world, id string) (*principalv1.GetPrincipalResponse, error) {
	t.Helper()
	resp := &principalv1.GetPrincipalResponse{}
	err := connectortest.Start(t, connector(), w.config).Invoke(t.Context(), getPrincipal, &principalv1.GetPrincipalRequest{Id: &id}, resp)
	return resp, err
}

func wantFault(t *testing.T, err error, want connectorv1.FaultKind) {
	t.Helper()
	kind, _, isFault := finding.Of(err)
	if !isFault || kind != want {
		t.Errorf("got %v (%v), want %v", kind, err, want)
	}
	if err != nil && strings.Contains(err.Error(), secret) {
		t.Errorf("the error shows the secret: %v", err)
	}
}

func at(t *testing.T, text string) *timestamppb.Timestamp {
	t.Helper()
	parsed, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return timestamppb.New(parsed)
}

func TestAMember(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.graph.Grant(graph.UserReadAll, graph.UserLifeCycleReadAll)
	got, err := ask(t, w, strings.ToUpper(ada))
	if err != nil {
		t.Fatal(err)
	}
	want := &principalv1.GetPrincipalResponse{
		Id: new(ada), Kind: principalv1.PrincipalKind_PRINCIPAL_KIND_USER.Enum(), UserType: principalv1.UserType_USER_TYPE_MEMBER.Enum(),
		UserPrincipalName: new("ada@example.com"), Mail: new("ada.lovelace@example.com"), EmployeeNumber: new("4711"),
		AccountEnabled: new(true), HiredAt: at(t, "2020-01-15T00:00:00Z"), LeavesAt: at(t, "2027-03-31T21:59:59Z"),
		DisplayName: new("Ada Lovelace"), Department: new("Engines"), JobTitle: new("Analyst"),
		CompanyName: new("Example"), EmployeeType: new("Employee"), SamAccountName: new("adal"),
		ManagerId: new(grace), ManagerMail: new("grace@navy.mil"), CreatedAt: at(t, "2020-01-10T08:00:00Z"),
	}
	if diff := cmp.Diff(want, got, protocmp.Transform(), protocmp.IgnoreFields(want, "observation")); diff != "" {
		t.Error(diff)
	}
	if o := got.GetObservation(); len(o.GetUnknownFields()) != 0 || o.GetAttempts() != 2 || o.GetUpstreamRequestId() == "" {
		t.Errorf("observed %v", o)
	}
}

func TestWhatAnEmptyPropertyMeans(t *testing.T) {
	t.Parallel()
	const value, none, unknown = connectortest.Value, connectortest.None, connectortest.Unknown
	for name, tc := range map[string]struct {
		permissions  []string
		leaveDates   bool
		mayBeUnknown map[string]string
	}{
		"the full profile": {[]string{graph.UserReadAll}, false, map[string]string{
			"mail": value, "account_enabled": value, "user_type": value, "employee_number": none, "hired_at": none, "leaves_at": unknown,
			"department": none, "job_title": none, "company_name": none, "employee_type": none, "sam_account_name": none,
			"manager_id": unknown, "manager_mail": unknown, "created_at": unknown,
		}},
		"leave dates too": {[]string{graph.UserReadAll, graph.UserLifeCycleReadAll}, true, map[string]string{
			"leaves_at": none, "employee_number": none,
		}},
		"the basic profile": {[]string{graph.UserReadBasicAll}, false, map[string]string{
			"mail": value, "display_name": value, "user_principal_name": value, "account_enabled": unknown, "user_type": unknown,
			"employee_number": unknown, "hired_at": unknown, "leaves_at": unknown, "department": unknown, "job_title": unknown,
			"company_name": unknown, "employee_type": unknown, "sam_account_name": unknown,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.graph.Grant(tc.permissions...)
			w.config.LeaveDateReadable = tc.leaveDates
			got, err := ask(t, w, grace)
			if err != nil {
				t.Fatal(err)
			}
			for field, want := range tc.mayBeUnknown {
				if state := connectortest.State(got, field); state != want {
					t.Errorf("%s is %s, want %s", field, state, want)
				}
			}
		})
	}
}

func TestALeaveDateIsHiddenWithoutThePermission(t *testing.T) {
	t.Parallel()
	got, err := ask(t, newWorld(t), ada) // She does leave.
	if err != nil || connectortest.State(got, "leaves_at") != connectortest.Unknown {
		t.Errorf("leaves_at is %s, %v", connectortest.State(got, "leaves_at"), err)
	}
}

func TestAGuestWithoutMail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.graph.AddUser(grace, map[string]any{"userPrincipalName": "g#EXT#@example.com", "userType": "Guest", "accountEnabled": true})
	got, err := ask(t, w, grace)
	if err != nil || got.GetUserType() != principalv1.UserType_USER_TYPE_GUEST || connectortest.State(got, "mail") != connectortest.None {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestPrincipalsThatAreNoUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for id, want := range map[string]principalv1.PrincipalKind{
		admins: principalv1.PrincipalKind_PRINCIPAL_KIND_GROUP,
		robot:  principalv1.PrincipalKind_PRINCIPAL_KIND_SERVICE_PRINCIPAL,
	} {
		got, err := ask(t, w, id)
		if err != nil || got.GetKind() != want || got.GetId() != id {
			t.Errorf("got %v, %v", got, err)
		}
		for _, field := range []string{"leaves_at", "user_type", "employee_number", "manager_mail"} {
			if state := connectortest.State(got, field); state != connectortest.Unknown {
				t.Errorf("%s of no user is %s", field, state)
			}
		}
	}
	_, err := ask(t, w, nowhere)
	if _, _, isFault := finding.Of(err); err == nil || isFault {
		t.Errorf("got %v, want not found", err)
	}
}

func TestOnlyGUIDsAreAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, id := range []string{
		"ada@example.com", "Ada@Example.com", "me", ada + "/manager", ada + "?$select=id", ada + "\n", " " + ada, "{" + ada + "}", "../" + ada,
		strings.ReplaceAll(ada, "-", ""), "١" + ada[1:], strings.Replace(ada, "a", "\u0430", 1), ada + "' or 1 eq 1",
	} {
		_, err := ask(t, w, id)
		if _, source, _ := finding.Of(err); source != connectorv1.FaultSource_FAULT_SOURCE_QUESTION {
			t.Errorf("%q: %v", id, err)
		}
	}
	if got := w.graph.Requests(); len(got) != 0 {
		t.Errorf("asked %v", got)
	}
}

func TestFaultsOfGraph(t *testing.T) {
	t.Parallel()
	const (
		unavailable = connectorv1.FaultKind_FAULT_KIND_UNAVAILABLE
		denied      = connectorv1.FaultKind_FAULT_KIND_DENIED
		malformed   = connectorv1.FaultKind_FAULT_KIND_MALFORMED
		busy        = connectorv1.FaultKind_FAULT_KIND_BUSY
	)
	for name, tc := range map[string]struct {
		fault *fault.Fault
		want  connectorv1.FaultKind
	}{
		"throttled":             {graph.Throttled("37"), busy},
		"throttled, absurdly":   {graph.Throttled("9223372037"), busy},
		"outage":                {&fault.Fault{Status: 503}, unavailable},
		"a broken answer":       {&fault.Fault{Reset: true}, unavailable},
		"garbage":               {fault.Garbage(), malformed},
		"a login page":          {fault.HTML(), malformed},
		"an array":              {&fault.Fault{Body: `[]`}, malformed},
		"another user":          {&fault.Fault{Body: `{"id":"` + grace + `","accountEnabled":true}`}, malformed},
		"nobody":                {&fault.Fault{Body: `{}`}, malformed},
		"two ids":               {&fault.Fault{Body: `{"id":"` + ada + `","id":"` + ada + `"}`}, malformed},
		"two ids of a manager":  {&fault.Fault{Body: `{"id":"` + ada + `","manager":{"id":"a","id":"b"}}`}, malformed},
		"somebody else's 404":   {&fault.Fault{Status: 404, Body: `{"error":"nope"}`}, malformed},
		"a 404 without a body":  {&fault.Fault{Status: 404}, malformed},
		"a 404 of a wrong path": {&fault.Fault{Status: 404, Body: `{"error":{"code":"ResourceNotFound"}}`}, malformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.graph.SetFault(tc.fault)
			_, err := ask(t, w, ada)
			wantFault(t, err, tc.want)
		})
	}
	t.Run("no permission", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.graph.Grant()
		_, err := ask(t, w, ada)
		wantFault(t, err, denied)
	})
	t.Run("no permission for what is no user", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.graph.Grant(graph.UserReadAll)
		_, err := ask(t, w, nowhere)
		wantFault(t, err, denied) // A 403 is not "gone".
	})
}

func TestFaultsOfTheTokenEndpoint(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*world)
		said   string
	}{
		"a wrong secret":   {func(w *world) { w.config.ClientSecret = "wrong" }, "AADSTS7000215"},
		"a wrong client":   {func(w *world) { w.config.ClientId = nowhere }, "AADSTS700016"},
		"a wrong tenant":   {func(w *world) { w.config.TenantId = nowhere }, "AADSTS90002"},
		"a wrong audience": {func(w *world) { w.graph.Resource = "https://graph.microsoft.us" }, "401"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tc.change(w)
			_, err := ask(t, w, ada)
			wantFault(t, err, connectorv1.FaultKind_FAULT_KIND_DENIED)
			if err == nil || !strings.Contains(err.Error(), tc.said) {
				t.Errorf("got %v, want it to say %s", err, tc.said)
			}
		})
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		config *entrav1.Config
		want   []string
	}{
		"fine":            {&entrav1.Config{TenantId: tenant, ClientId: client, ClientSecret: secret}, nil},
		"fine, trailing":  {&entrav1.Config{TenantId: tenant, ClientId: client, ClientSecret: secret, Authority: "https://login.microsoftonline.us/"}, nil},
		"no GUID":         {&entrav1.Config{TenantId: "../common", ClientId: client, ClientSecret: secret}, []string{"tenant_id"}},
		"plain http":      {&entrav1.Config{TenantId: tenant, ClientId: client, ClientSecret: secret, GraphUrl: "http://graph.example"}, []string{"graph_url"}},
		"metadata":        {&entrav1.Config{TenantId: tenant, ClientId: client, ClientSecret: secret, Authority: "https://169.254.169.254"}, []string{"authority"}},
		"transport, once": {&entrav1.Config{TenantId: tenant, ClientId: client, ClientSecret: secret, Transport: &connectorv1.Transport{ProxyUrl: "x"}}, []string{"transport.proxy_url"}},
	} {
		var got []string
		for _, d := range validate(tc.config) {
			got = append(got, d.GetFieldPath())
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*world)
		want   connectorv1.HealthStatus
	}{
		"fine":           {func(*world) {}, connectorv1.HealthStatus_HEALTH_STATUS_OK},
		"basic profiles": {func(w *world) { w.graph.Grant(graph.UserReadBasicAll) }, connectorv1.HealthStatus_HEALTH_STATUS_DEGRADED},
		"no permission":  {func(w *world) { w.graph.Grant() }, connectorv1.HealthStatus_HEALTH_STATUS_CREDENTIALS_REFUSED},
		"a wrong secret": {func(w *world) { w.config.ClientSecret = "x" }, connectorv1.HealthStatus_HEALTH_STATUS_CREDENTIALS_REFUSED},
		"an outage":      {func(w *world) { w.graph.SetFault(&fault.Fault{Status: 502}) }, connectorv1.HealthStatus_HEALTH_STATUS_UNREACHABLE},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tc.change(w)
			got, err := connectortest.Start(t, connector(), w.config).CheckHealth(t.Context())
			if err != nil || got.GetStatus() != tc.want || strings.Contains(got.GetMessage(), secret) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}
