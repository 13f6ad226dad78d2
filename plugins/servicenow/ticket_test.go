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
	"github.com/countersign/countersign/connectors/connectortest/standin/fault"
	"github.com/countersign/countersign/connectors/connectortest/standin/servicenow"
	"github.com/countersign/countersign/connectors/finding"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
	servicenowv1 "github.com/countersign/countersign/proto/countersign/plugins/servicenow/v1"
	ticketv1 "github.com/countersign/countersign/proto/countersign/ticket/v1"
)

const (
	getTicket = "countersign.ticket.v1.TicketService/GetTicket"
	secret    = "canary-1f2e3d4c"

	value, absent, unknown = connectortest.Value, connectortest.None, connectortest.Unknown

	unavailable = connectorv1.FaultKind_FAULT_KIND_UNAVAILABLE
	timeout     = connectorv1.FaultKind_FAULT_KIND_TIMEOUT
	denied      = connectorv1.FaultKind_FAULT_KIND_DENIED
	malformed   = connectorv1.FaultKind_FAULT_KIND_MALFORMED
	ambiguous   = connectorv1.FaultKind_FAULT_KIND_AMBIGUOUS
	busy        = connectorv1.FaultKind_FAULT_KIND_BUSY
)

// world is an instance with some people and tickets.
type world struct {
	snow       *servicenow.Server
	config     *servicenowv1.Config
	ada, grace string
	change     string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	s := servicenow.New()
	s.Username, s.Password = "countersign", secret
	front := httptest.NewServer(s)
	t.Cleanup(front.Close)
	w := &world{snow: s, config: &servicenowv1.Config{
		BaseUrl: front.URL,
		Auth:    &servicenowv1.Config_Basic{Basic: &connectorv1.BasicAuth{Username: "countersign", Password: secret}},
	}}
	w.ada = s.Insert("sys_user", map[string]string{"name": "Ada Lovelace", "user_name": "ada", "email": "Ada@Example.com", "user_password": secret})
	w.grace = s.Insert("sys_user", map[string]string{"name": "Grace Hopper", "user_name": "grace@example.com", "email": ""})
	dba := s.Insert("sys_user_group", map[string]string{"name": "DBA"})
	db := s.Insert("cmdb_ci", map[string]string{"name": "db1.example.com"})
	w.change = s.Insert("change_request", map[string]string{
		"number": "CHG0042317", "state": "-1", "approval": "approved", "active": "true", "on_hold": "false", "type": "normal", "risk": "3",
		"priority": "2", "start_date": "2026-11-23 06:00:00", "end_date": "2026-11-23 10:00:00", "requested_by": w.ada, "assigned_to": w.grace,
		"opened_by": w.ada, "assignment_group": dba, "cmdb_ci": db, "short_description": "Upgrade db1", "opened_at": "2026-11-20 08:00:00",
		"sys_updated_on": "2026-11-23 05:59:59",
	})
	s.Insert("change_request", map[string]string{"number": "CHG0000001", "state": "-5", "approval": "not requested", "active": "true"})
	s.Insert("incident", map[string]string{
		"number": "INC0010001", "state": "3", "approval": "not requested", "active": "true", "priority": "1", "caller_id": w.ada,
	})
	s.Insert("sc_req_item", map[string]string{"number": "RITM0010001", "state": "2", "active": "true", "approval": "approved", "requested_for": w.ada})
	return w
}

func ask(t testing.TB, w *world, number string) (*ticketv1.GetTicketResponse, error) {
	t.Helper()
	resp := &ticketv1.GetTicketResponse{}
	err := connectortest.Start(t, connector(), w.config).Invoke(t.Context(), getTicket, &ticketv1.GetTicketRequest{Number: &number}, resp)
	return resp, err
}

func isNotFound(err error) bool {
	_, _, isFault := finding.Of(err)
	return err != nil && !isFault
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

func wantStates(t *testing.T, resp *ticketv1.GetTicketResponse, want map[string]string) {
	t.Helper()
	for field, state := range want {
		if got := connectortest.State(resp, field); got != state {
			t.Errorf("%s is %s, want %s", field, got, state)
		}
	}
}

func utc(day, hour int) *timestamppb.Timestamp {
	return timestamppb.New(time.Date(2026, 11, day, hour, 0, 0, 0, time.UTC))
}

func TestAChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got, err := ask(t, w, " chg0042317 ")
	if err != nil {
		t.Fatal(err)
	}
	want := &ticketv1.GetTicketResponse{
		Number: new("CHG0042317"), Kind: ticketv1.TicketKind_TICKET_KIND_CHANGE.Enum(),
		Status: ticketv1.TicketStatus_TICKET_STATUS_IMPLEMENTING.Enum(), Active: new(true),
		Approval: ticketv1.TicketApproval_TICKET_APPROVAL_APPROVED.Enum(), OnHold: new(false), Priority: new(int32(2)),
		ChangeType: ticketv1.ChangeType_CHANGE_TYPE_NORMAL.Enum(), Risk: new(int32(3)),
		WindowStart: utc(23, 6), WindowEnd: utc(23, 10), OpenedAt: utc(20, 8),
		UpdatedAt:      timestamppb.New(time.Date(2026, 11, 23, 5, 59, 59, 0, time.UTC)),
		RequesterEmail: new("ada@example.com"), RequesterLogin: new("ada"), OpenedByEmail: new("ada@example.com"),
		AssigneeLogin: new("grace@example.com"), AssignmentGroup: new("DBA"), ConfigurationItems: []string{"db1.example.com"},
		Title: new("Upgrade db1"), RawStatus: new("Implement"), RawApproval: new("Approved"),
		Url: new(w.config.GetBaseUrl() + "/change_request.do?sys_id=" + w.change),
	}
	if diff := cmp.Diff(want, got, protocmp.Transform(), protocmp.IgnoreFields(want, "observation")); diff != "" {
		t.Error(diff)
	}
	wantStates(t, got, map[string]string{
		"closed_at": absent, "conflicts": unknown, "assignee_email": unknown, // Grace has no address that we can see.
	})
	if o := got.GetObservation(); o.GetAttempts() != 1 || o.GetUpstreamRequestId() == "" {
		t.Errorf("observed %v", o)
	}
}

func TestOtherKinds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.snow.Insert("change_task", map[string]string{
		"number": "CTASK0010001", "state": "-5", "active": "true", "change_request": w.change,
		"planned_start_date": "2026-11-23 06:00:00", "planned_end_date": "2026-11-23 07:00:00",
	})
	w.snow.Insert("problem", map[string]string{"number": "PRB0010001", "state": "104", "active": "true", "opened_by": w.ada})
	w.snow.Insert("problem_task", map[string]string{"number": "PTASK0010001", "state": "152", "active": "true"})
	w.snow.AddTable("u_access", "task", "u_role")
	w.snow.Insert("u_access", map[string]string{"number": "TASK0010001", "state": "1", "active": "true"})
	for number, want := range map[string]struct {
		kind      ticketv1.TicketKind
		status    ticketv1.TicketStatus
		requester string
		states    map[string]string
	}{
		"INC0010001": {
			ticketv1.TicketKind_TICKET_KIND_INCIDENT, ticketv1.TicketStatus_TICKET_STATUS_PENDING, "ada@example.com",
			map[string]string{"on_hold": value, "window_start": absent, "window_end": absent, "change_type": absent, "risk": absent, "conflicts": absent, "assignee_email": absent, "configuration_items": unknown},
		},
		"RITM0010001": {
			ticketv1.TicketKind_TICKET_KIND_REQUEST, ticketv1.TicketStatus_TICKET_STATUS_OPEN, "ada@example.com",
			map[string]string{"on_hold": value, "window_start": absent, "approval": value},
		},
		"CTASK0010001": {
			ticketv1.TicketKind_TICKET_KIND_TASK, ticketv1.TicketStatus_TICKET_STATUS_PENDING, "ada@example.com",
			map[string]string{"window_start": value, "window_end": value, "change_type": absent},
		},
		"PRB0010001": {
			ticketv1.TicketKind_TICKET_KIND_PROBLEM, ticketv1.TicketStatus_TICKET_STATUS_OPEN, "ada@example.com",
			map[string]string{"opened_by_email": value},
		},
		"PTASK0010001": {
			ticketv1.TicketKind_TICKET_KIND_TASK, 0, "",
			map[string]string{"status": unknown, "raw_status": value, "on_hold": unknown, "requester_email": unknown},
		},
		"TASK0010001": {
			ticketv1.TicketKind_TICKET_KIND_OTHER, 0, "",
			map[string]string{"status": unknown, "window_start": unknown, "change_type": unknown, "conflicts": unknown, "requester_email": unknown},
		},
	} {
		got, err := ask(t, w, number)
		if err != nil || got.GetKind() != want.kind || got.GetStatus() != want.status || got.GetRequesterEmail() != want.requester {
			t.Errorf("%s: %v, %v", number, got, err)
		}
		wantStates(t, got, want.states)
	}
}

func TestHiddenColumnsAreUnknown(t *testing.T) {
	t.Parallel()
	for column, facts := range map[string][]string{
		"approval":         {"approval", "raw_approval"},
		"state":            {"status", "raw_status"},
		"active":           {"active"},
		"on_hold":          {"on_hold"},
		"start_date":       {"window_start"},
		"end_date":         {"window_end"},
		"requested_by":     {"requester_email", "requester_login"},
		"assigned_to":      {"assignee_email", "assignee_login"},
		"type":             {"change_type"},
		"risk":             {"risk"},
		"priority":         {"priority"},
		"assignment_group": {"assignment_group"},
		"cmdb_ci":          {"configuration_items"},
		"sys_class_name":   {"kind"},
		"closed_at":        {"closed_at"},
	} {
		t.Run(column, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.snow.HideField("change_request", column)
			got, err := ask(t, w, "CHG0042317")
			if err != nil {
				t.Fatal(err)
			}
			for _, fact := range facts {
				wantStates(t, got, map[string]string{fact: unknown})
			}
		})
	}
	t.Run("the address of people", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.snow.HideField("sys_user", "email")
		got, err := ask(t, w, "CHG0042317")
		if err != nil {
			t.Fatal(err)
		}
		wantStates(t, got, map[string]string{"requester_email": unknown, "requester_login": value})
	})
	t.Run("the number", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.snow.HideField("change_request", "number")
		_, err := ask(t, w, "CHG0042317")
		wantFault(t, err, malformed)
	})
}

func TestEmptyColumnsAreNone(t *testing.T) {
	t.Parallel()
	got, err := ask(t, newWorld(t), "CHG0000001")
	if err != nil {
		t.Fatal(err)
	}
	wantStates(t, got, map[string]string{
		"window_start": absent, "window_end": absent, "requester_email": absent, "requester_login": absent, "opened_by_email": absent,
		"assignee_email": absent, "assignee_login": absent, "assignment_group": absent, "change_type": absent, "risk": absent, "priority": absent,
		"title": absent, "closed_at": absent, "on_hold": unknown, "configuration_items": unknown, "opened_at": unknown,
	})
}

func TestNotFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := ask(t, w, "CHG9999999"); !isNotFound(err) {
		t.Errorf("no such ticket: %v", err)
	}
	w.snow.HideRow("change_request", w.change)
	if _, err := ask(t, w, "CHG0042317"); !isNotFound(err) {
		t.Errorf("a hidden ticket: %v", err)
	}
	if _, err := ask(t, w, "INC0042317"); !isNotFound(err) {
		t.Errorf("a ticket of another table: %v", err)
	}
}

func TestTwoRecordsWithOneNumber(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.snow.Insert("change_request", map[string]string{"number": "CHG0042317", "approval": "rejected"})
	_, err := ask(t, w, "CHG0042317")
	wantFault(t, err, ambiguous)
}

func TestClasses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.snow.AddTable("u_imac", "change_request")
	w.snow.Insert("u_imac", map[string]string{"number": "CHG0050000", "state": "-1", "approval": "approved", "active": "true"})
	_, err := ask(t, w, "CHG0050000")
	wantFault(t, err, malformed)
	w.config.Tables = []*servicenowv1.Table{{Prefix: "CHG", Table: "change_request", Classes: []string{"u_imac"}}}
	got, err := ask(t, w, "CHG0050000")
	if err != nil || got.GetKind() != ticketv1.TicketKind_TICKET_KIND_CHANGE || got.GetStatus() != ticketv1.TicketStatus_TICKET_STATUS_IMPLEMENTING {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := ask(t, w, "INC0010001"); !isNotFound(err) {
		t.Errorf("a prefix that is not configured: %v", err)
	}
}

func TestStatesOfTheInstance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.snow.Update("change_request", w.change, map[string]string{"state": "-17"})
	got, err := ask(t, w, "CHG0042317")
	if err != nil {
		t.Fatal(err)
	}
	wantStates(t, got, map[string]string{"status": unknown, "raw_status": value})
	w.config.States = []*servicenowv1.State{
		{Table: "change_request", Value: "-17", Status: ticketv1.TicketStatus_TICKET_STATUS_IMPLEMENTING},
	}
	if got, err = ask(t, w, "CHG0042317"); err != nil || got.GetStatus() != ticketv1.TicketStatus_TICKET_STATUS_IMPLEMENTING {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestPeopleByUserName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.config.PeopleKey = servicenowv1.PeopleKey_PEOPLE_KEY_USER_NAME
	got, err := ask(t, w, "CHG0042317")
	if err != nil || got.GetAssigneeEmail() != "grace@example.com" {
		t.Errorf("got %v, %v", got, err)
	}
	wantStates(t, got, map[string]string{"requester_email": unknown}) // "ada" is no address.
}

func TestFaultsOfTheInstance(t *testing.T) {
	t.Parallel()
	body := func(text string) *fault.Fault { return &fault.Fault{Body: text} }
	row := `{"number":{"display_value":"CHG0042317","value":"CHG0042317"}}`
	for name, tc := range map[string]struct {
		fault *fault.Fault
		want  connectorv1.FaultKind
	}{
		"hibernating":          {servicenow.Hibernating(), malformed},
		"moved":                {servicenow.Moved(), malformed},
		"rate limited":         {servicenow.RateLimited("1800"), busy},
		"rate limited, absurd": {servicenow.RateLimited("9223372037"), busy},
		"cancelled":            {servicenow.Cancelled(), timeout},
		"a node restarts":      {&fault.Fault{Status: 503, ContentType: "text/html"}, unavailable},
		"a broken answer":      {&fault.Fault{Reset: true}, unavailable},
		"garbage":              {fault.Garbage(), malformed},
		"a login page":         {fault.HTML(), malformed},
		"forbidden":            {&fault.Fault{Status: 403, Body: `{}`}, denied},
		"no such table":        {&fault.Fault{Status: 404, Body: `{"error":{"message":"No Record found"}}`}, denied},
		"an error with rows":   {body(`{"result":[` + row + `],"error":{"message":"boom"}}`), malformed},
		"a string":             {body(`{"result":"CHG0042317"}`), malformed},
		"an object":            {body(`{"result":` + row + `}`), malformed},
		"no result":            {body(`{}`), malformed},
		"null":                 {body(`{"result":null}`), malformed},
		"a row that is none":   {body(`{"result":["CHG0042317"]}`), malformed},
		"another number":       {body(`{"result":[{"number":{"value":"CHG0042318"}}]}`), malformed},
		"a lower-case number":  {body(`{"result":[{"number":{"value":"chg0042317"}}]}`), malformed},
		"number by display":    {body(`{"result":[{"number":{"display_value":"CHG0042317","value":"CHG1"}}]}`), malformed},
		"two numbers":          {body(`{"result":[{"number":"CHG0042317","number":"CHG0042317"}]}`), malformed},
		"two values":           {body(`{"result":[{"number":{"value":"CHG0042317","value":"CHG0042317"}}]}`), malformed},
		"another class":        {body(`{"result":[{"number":"CHG0042317","sys_class_name":"incident"}]}`), malformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.snow.SetFault(tc.fault)
			_, err := ask(t, w, "CHG0042317")
			wantFault(t, err, tc.want)
		})
	}
}

func TestFormsOfAValue(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]string{
		"bare strings": `{"number":"CHG0042317","sys_class_name":"change_request","state":"-1","active":"true","approval":"approved","cmdb_ci":"","start_date":"2026-11-23 06:00:00"}`,
		"references":   `{"number":"CHG0042317","sys_class_name":"change_request","state":"-1","active":"true","approval":"approved","assigned_to":{"link":"https://x/1","value":"1"},"start_date":"2026-11-23 06:00:00"}`,
		"pairs":        `{"number":{"display_value":"CHG0042317","value":"CHG0042317"},"sys_class_name":{"display_value":null,"value":"change_request"},"state":{"display_value":"Implement","value":"-1"},"active":{"value":"true"},"approval":{"value":"approved"},"start_date":{"display_value":"11/22/2026 22:00:00","value":"2026-11-23 06:00:00"}}`,
		"numbers":      `{"number":{"value":"CHG0042317"},"sys_class_name":{"value":"change_request"},"state":{"display_value":"Implement","value":-1.0},"active":{"value":true},"approval":{"value":"approved"},"start_date":{"display_value":"x","value":"2026-11-23 06:00:00","display_value_internal":"2026-11-22 22:00:00"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.snow.SetFault(&fault.Fault{Body: `{"result":[` + row + `]}`})
			got, err := ask(t, w, "CHG0042317")
			if err != nil || got.GetStatus() != ticketv1.TicketStatus_TICKET_STATUS_IMPLEMENTING || !got.GetActive() ||
				got.GetApproval() != ticketv1.TicketApproval_TICKET_APPROVAL_APPROVED || !got.GetWindowStart().AsTime().Equal(utc(23, 6).AsTime()) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestValuesThatCannotBeReadAreUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.snow.SetFault(&fault.Fault{Body: `{"result":[{"number":"CHG0042317","sys_class_name":"change_request","state":{"value":-1.5},"active":"yes",
		"approval":{"display_value":"Approved","value":"Approved"},"priority":"9","risk":{"value":["1"]},"on_hold":null,"type":{"value":"weird"},
		"start_date":"11/23/2026 06:00:00","end_date":"UNKNOWN","requested_by":{"display_value":"Ada"},"requested_by.email":"ada@example.com","sys_id":"../x"}]}`})
	got, err := ask(t, w, "CHG0042317")
	if err != nil {
		t.Fatal(err)
	}
	for _, fact := range []string{
		"status", "active", "approval", "priority", "risk", "on_hold", "change_type", "window_start", "window_end", "requester_email", "url",
	} {
		wantStates(t, got, map[string]string{fact: unknown})
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	client := func(secret string) *servicenowv1.Config_ClientCredentials {
		return &servicenowv1.Config_ClientCredentials{ClientCredentials: &servicenowv1.OAuthClient{ClientId: "me", ClientSecret: secret}}
	}
	t.Run("OAuth client", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.snow.ClientID, w.snow.ClientSecret = "me", secret
		w.config.Auth = client(secret)
		if _, err := ask(t, w, "CHG0042317"); err != nil {
			t.Error(err)
		}
		w.config.Auth = client("wrong")
		_, err := ask(t, w, "CHG0042317")
		wantFault(t, err, denied)
	})
	t.Run("API key", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.snow.APIKey = secret
		w.config.Auth = &servicenowv1.Config_ApiKey{ApiKey: &servicenowv1.ApiKey{Key: secret}}
		if _, err := ask(t, w, "CHG0042317"); err != nil {
			t.Error(err)
		}
		w.snow.APIKey = "another"
		_, err := ask(t, w, "CHG0042317")
		wantFault(t, err, denied)
	})
	t.Run("wrong password", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.snow.Password = "another"
		_, err := ask(t, w, "CHG0042317")
		wantFault(t, err, denied)
	})
}

func TestSettings(t *testing.T) {
	t.Parallel()
	basic := &servicenowv1.Config_Basic{Basic: &connectorv1.BasicAuth{Username: "u", Password: secret}}
	for name, tc := range map[string]struct {
		config *servicenowv1.Config
		want   []string
	}{
		"fine":           {&servicenowv1.Config{BaseUrl: "https://acme.example", Auth: basic}, nil},
		"no credentials": {&servicenowv1.Config{BaseUrl: "https://acme.example"}, []string{"auth"}},
		"plain http": {&servicenowv1.Config{BaseUrl: "http://acme.example", Auth: &servicenowv1.Config_ClientCredentials{
			ClientCredentials: &servicenowv1.OAuthClient{ClientId: "me", ClientSecret: secret},
		}}, []string{"base_url"}},
		"pattern": {&servicenowv1.Config{BaseUrl: "https://acme.example", Auth: basic, NumberPattern: "("}, []string{"number_pattern"}},
		"tables": {
			&servicenowv1.Config{BaseUrl: "https://acme.example", Auth: basic, Tables: []*servicenowv1.Table{
				{Prefix: "CHG", Table: "change_request"},
				{Prefix: "CHG", Table: "incident"},
				{Prefix: "X^", Table: "a/b"},
			}},
			[]string{"tables[1].prefix", "tables[2].prefix", "tables[2].table"},
		},
		"states": {&servicenowv1.Config{BaseUrl: "https://acme.example", Auth: basic, States: []*servicenowv1.State{{Table: "x"}}}, []string{"states[0]"}},
	} {
		var got []string
		for _, d := range validate(tc.config) {
			got = append(got, d.GetFieldPath())
			if strings.Contains(d.String(), secret) {
				t.Errorf("%s: the secret shows: %v", name, d)
			}
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
		said   string
	}{
		"fine":             {func(*world) {}, connectorv1.HealthStatus_HEALTH_STATUS_OK, "incident"},
		"a hidden column":  {func(w *world) { w.snow.HideField("task", "approval") }, connectorv1.HealthStatus_HEALTH_STATUS_DEGRADED, "incident.approval"},
		"nothing to see":   {func(w *world) { w.config.Tables = []*servicenowv1.Table{{Prefix: "PRB", Table: "problem"}} }, connectorv1.HealthStatus_HEALTH_STATUS_DEGRADED, "any record"},
		"a wrong password": {func(w *world) { w.snow.Password = "x" }, connectorv1.HealthStatus_HEALTH_STATUS_CREDENTIALS_REFUSED, "401"},
		"hibernating":      {func(w *world) { w.snow.SetFault(servicenow.Hibernating()) }, connectorv1.HealthStatus_HEALTH_STATUS_UNREACHABLE, "hibernating"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tc.change(w)
			got, err := connectortest.Start(t, connector(), w.config).CheckHealth(t.Context())
			if err != nil || got.GetStatus() != tc.want || !strings.Contains(got.GetMessage(), tc.said) || strings.Contains(got.GetMessage(), secret) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}
