package callout_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gateway/internal/callout"
	"github.com/countersign/countersign/gateway/internal/pim"
)

// The bodies of testdata are synthetic, after the Graph and ARM reference pages.
func TestDecode(t *testing.T) {
	t.Parallel()
	bodies, err := filepath.Glob("testdata/*.json")
	if err != nil || len(bodies) < 13 {
		t.Fatalf("testdata: %d bodies, %v", len(bodies), err)
	}
	for _, path := range bodies {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := json.MarshalIndent(mustDecode(t, read(t, name+".json")), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(read(t, name+".golden")), string(got)+"\n"); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, body string
		edits      map[string]any
		want       string
	}{
		{"no shape", "entra_role.json", map[string]any{"roleDefinitionId": absent{}}, "the document is none of PIM's three kinds of request"},
		{"a null shape", "group.json", map[string]any{"groupId": nil, "accessId": nil}, "the document is none of PIM's three kinds of request"},
		{"group without group id", "group.json", map[string]any{"groupId": absent{}}, "groupId is missing"},
		{"group without access", "group.json", map[string]any{"accessId": absent{}}, "accessId is neither member nor owner"},
		{"an unknown access", "group.json", map[string]any{"accessId": "admin"}, "accessId is neither member nor owner"},
		{"a lookalike access", "group.json", map[string]any{"accessId": "mеmber"}, "accessId is neither member nor owner"},
		{"properties that are no object", "azure_resource.json", map[string]any{"properties": "x"}, "properties is not an object"},
		{"properties that are an array", "azure_resource.json", map[string]any{"properties": []any{}}, "properties is not an object"},
		{"no principal", "entra_role.json", map[string]any{"principalId": nil}, "principalId is missing"},
		{"a principal that is a number", "entra_role.json", map[string]any{"principalId": 7}, "principalId is not a string"},
		{"a principal in braces", "entra_role.json", map[string]any{"principalId": "{b7b1f0a4-52a1-4a3f-8f0e-0c5d7a1e2f31}"}, "principalId is not a GUID"},
		{"a principal without hyphens", "entra_role.json", map[string]any{"principalId": "b7b1f0a452a14a3f8f0e0c5d7a1e2f31"}, "principalId is not a GUID"},
		{"a principal with a full-width digit", "entra_role.json", map[string]any{"principalId": "b7b1f0a4-52a1-4a3f-8f0e-0c5d7a1e2f3１"}, "principalId is not a GUID"},
		{"a principal with a blank", "entra_role.json", map[string]any{"principalId": " b7b1f0a4-52a1-4a3f-8f0e-0c5d7a1e2f31"}, "principalId is not a GUID"},
		{"an id that is no GUID", "entra_role.json", map[string]any{"id": "1"}, "id is not a GUID"},
		{"an ARM id without a GUID", "azure_resource.json", map[string]any{"name": nil, "id": "/subscriptions/x"}, "id does not end in a GUID"},
		{"an ARM name that is no GUID", "azure_resource.json", map[string]any{"name": "x"}, "name is not a GUID"},
		{"a requester that is no GUID", "entra_role.json", map[string]any{"createdBy.user.id": "me"}, "createdBy.user.id is not a GUID"},
		{"a createdBy that is no object", "entra_role.json", map[string]any{"createdBy": "me"}, "createdBy is not an object"},
		{"an action that is a number", "entra_role.json", map[string]any{"action": 4}, "action is not a string"},
		{"a validation flag as text", "entra_role.json", map[string]any{"isValidationOnly": "true"}, "isValidationOnly is neither true nor false"},
		{"a justification that is a number", "entra_role.json", map[string]any{"justification": 1}, "justification is not a string"},
		{"a justification beyond 8 KiB", "entra_role.json", map[string]any{"justification": strings.Repeat("a", 8<<10+1)}, "justification is longer than 8 KiB"},
		{"a ticket number beyond 128 runes", "entra_role.json", map[string]any{"ticketInfo.ticketNumber": strings.Repeat("é", 129)}, "ticketInfo.ticketNumber is longer than 128 characters"},
		{"a ticket system beyond 128 runes", "entra_role.json", map[string]any{"ticketInfo.ticketSystem": strings.Repeat("é", 129)}, "ticketInfo.ticketSystem is longer than 128 characters"},
		{"a ticket number that is a number", "entra_role.json", map[string]any{"ticketInfo.ticketNumber": 42}, "ticketInfo.ticketNumber is not a string"},
		{"ticket info that is an array", "entra_role.json", map[string]any{"ticketInfo": []any{}}, "ticketInfo is not an object"},
		{"no role in properties", "azure_resource.json", map[string]any{"properties.roleDefinitionId": nil}, "properties.roleDefinitionId is missing"},
		{"no directory scope", "entra_role.json", map[string]any{"directoryScopeId": nil}, "directoryScopeId is missing"},
		{"both scopes", "entra_role.json", map[string]any{"directoryScopeId": "/administrativeUnits/ab01cd23-4567-489a-8bcd-ef0123456789", "appScopeId": "/"}, "appScopeId and directoryScopeId are both given"},
		{"both scopes, the other way round", "entra_role.json", map[string]any{"appScopeId": "/x"}, "appScopeId and directoryScopeId are both given"},
		{"no ARM scope", "azure_resource.json", map[string]any{"properties.scope": ""}, "properties.scope is missing"},
		{"a schedule that is text", "entra_role.json", map[string]any{"scheduleInfo": "PT1H"}, "scheduleInfo is not an object"},
		{"an expiration that is text", "entra_role.json", map[string]any{"scheduleInfo.expiration": "PT1H"}, "scheduleInfo.expiration is not an object"},
		{"an unknown expiration", "entra_role.json", map[string]any{"scheduleInfo.expiration.type": "whenever"}, "scheduleInfo.expiration.type is not a known kind of expiration"},
		{"after no duration", "entra_role.json", map[string]any{"scheduleInfo.expiration.duration": nil}, "scheduleInfo.expiration.duration is missing"},
		{"after no date", "entra_role.json", map[string]any{"scheduleInfo.expiration.type": "afterDateTime"}, "scheduleInfo.expiration.endDateTime is missing"},
		{"an end before the start", "entra_role_until_in_unit.json", map[string]any{"scheduleInfo.expiration.endDateTime": "2026-10-05T06:12:40.1234567Z"}, "scheduleInfo.expiration.endDateTime is not after the start"},
		{"an end after two years", "entra_role_until_in_unit.json", map[string]any{"scheduleInfo.expiration.endDateTime": "2028-10-05T06:12:40Z"}, "scheduleInfo.expiration.endDateTime is more than 366 days after the start"},
		{"an end after 8000 years", "entra_role_until_in_unit.json", map[string]any{"scheduleInfo.expiration.endDateTime": "9999-12-31T23:59:59.9999999Z"}, "scheduleInfo.expiration.endDateTime is more than 366 days after the start"},
		{"a contradictory end", "entra_role.json", map[string]any{"scheduleInfo.expiration.endDateTime": "2026-10-05T09:12:42Z"}, "scheduleInfo.expiration.endDateTime and duration contradict each other"},
		{"a start without an offset", "entra_role.json", map[string]any{"scheduleInfo.startDateTime": "2026-10-05T06:12:40"}, "scheduleInfo.startDateTime is not a date and time with an offset"},
		{"a duration that is a number", "entra_role.json", map[string]any{"scheduleInfo.expiration.duration": 3}, "scheduleInfo.expiration.duration is not a string"},
		{"a duration of years", "entra_role.json", map[string]any{"scheduleInfo.expiration.duration": "P1Y"}, "scheduleInfo.expiration.duration is not a duration of more than zero and at most 366 days"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := decode(edited(t, test.body, test.edits))
			if !errors.Is(err, callout.ErrMalformed) {
				t.Fatalf("Decode: %v, want ErrMalformed", err)
			}
			if diff := cmp.Diff("malformed callout: "+test.want, err.Error()); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff("The request could not be read: "+test.want+".", callout.Reason(err)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(pim.Activation{}, got); diff != "" {
				t.Errorf("an activation beside the error: %s", diff)
			}
		})
	}
}

func TestDecodeRefusesAmbiguousDocuments(t *testing.T) {
	t.Parallel()
	body := string(read(t, "entra_role.json"))
	tests := map[string]string{
		"nothing":               "",
		"an array":              "[" + body + "]",
		"trailing data":         body + `{"evaluationOutcome":"AutoApproved"}`,
		"a duplicate":           strings.Replace(body, `"status"`, `"principalId": "00000000-0000-0000-0000-000000000000", "status"`, 1),
		"a case variant":        strings.Replace(body, `"status"`, `"PrincipalID": "00000000-0000-0000-0000-000000000000", "status"`, 1),
		"a long s":              strings.Replace(body, `"status"`, `"directory\u017fcopeId": "/", "status"`, 1),
		"invalid UTF-8":         strings.Replace(body, "Leeds", "L\xe9eds", 1),
		"a lone surrogate":      strings.Replace(body, "Leeds", `\ud800`, 1),
		"two byte order marks":  "\ufeff\ufeff" + body,
		"33 levels":             strings.Replace(body, `"status"`, `"x": `+strings.Repeat("[", 32)+strings.Repeat("]", 32)+`, "status"`, 1),
		"one byte above 64 KiB": body + strings.Repeat(" ", callout.MaxBody+1-len(body)),
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := decode([]byte(body)); !errors.Is(err, callout.ErrMalformed) {
				t.Errorf("Decode: %v, want ErrMalformed", err)
			}
		})
	}
	if _, err := decode([]byte(body + strings.Repeat(" ", callout.MaxBody-len(body)))); err != nil {
		t.Errorf("exactly 64 KiB: %v", err)
	}
}

func TestReasonOfOtherErrorsSaysNothing(t *testing.T) {
	t.Parallel()
	if got := callout.Reason(errors.New("dial tcp 10.0.0.1: refused")); got != "The request could not be read." {
		t.Errorf("Reason: %q", got)
	}
}

// Every combination of the three shapes' own members: exactly the single ones are read.
func TestExactlyOneShape(t *testing.T) {
	t.Parallel()
	members := map[string]string{
		"properties":       `{}`,
		"groupId":          `"77d1c2b3-09af-4e21-8c0d-5a6b7c8d9e0f"`,
		"roleDefinitionId": `"29232cdf-9323-42fd-ade2-1d097af3e4de"`,
	}
	names := []string{"properties", "groupId", "roleDefinitionId"}
	types := []string{"#microsoft.graph.unifiedRoleAssignmentScheduleRequest", "#microsoft.graph.privilegedAccessGroupAssignmentScheduleRequest", ""}
	for set := range 1 << len(names) {
		for _, odata := range types {
			parts := []string{`"@odata.type":"` + odata + `"`}
			for i, name := range names {
				if set&(1<<i) != 0 {
					parts = append(parts, `"`+name+`":`+members[name])
				}
			}
			_, err := decode([]byte("{" + strings.Join(parts, ",") + "}"))
			want := "more than one kind"
			switch set {
			case 0:
				want = "none of PIM's three kinds"
			case 1, 2, 4:
				want = "is missing" // of the right shape, but empty
			}
			if !errors.Is(err, callout.ErrMalformed) || !strings.Contains(err.Error(), want) {
				t.Errorf("%v: %v, want %q", parts, err, want)
			}
		}
	}
}

func TestActions(t *testing.T) {
	t.Parallel()
	words := map[string]pim.Action{
		"selfActivate": pim.SelfActivate, "selfDeactivate": pim.SelfDeactivate, "selfExtend": pim.SelfExtend,
		"selfRenew": pim.SelfRenew, "adminAssign": pim.AdminAssign, "adminUpdate": pim.AdminUpdate,
		"adminRemove": pim.AdminRemove, "adminExtend": pim.AdminExtend, "adminRenew": pim.AdminRenew,
		"SELFACTIVATE": pim.SelfActivate, "AdminRemove": pim.AdminRemove,
		"unknownFutureValue": pim.UnknownAction, "": pim.UnknownAction, "selfActivate ": pim.UnknownAction,
		"ſelfDeactivate": pim.UnknownAction,
	}
	for word, want := range words {
		for body, member := range map[string]string{
			"entra_role.json": "action", "group.json": "action", "azure_resource.json": "properties.requestType",
		} {
			if got := mustDecode(t, edited(t, body, map[string]any{member: word})).Action; got != want {
				t.Errorf("%s %q: %s, want %s", body, word, got, want)
			}
		}
	}
	if got := mustDecode(t, edited(t, "group.json", map[string]any{"action": nil})).Action; got != pim.UnknownAction {
		t.Errorf("no action: %s", got)
	}
}

// Nobody is kept from giving up access because of times or a scope that do not matter for it.
func TestGivingUpAccessNeedsNeitherTimesNorScope(t *testing.T) {
	t.Parallel()
	for _, action := range []string{"selfDeactivate", "adminRemove"} {
		for name, edits := range map[string]map[string]any{
			"no schedule":     {"scheduleInfo": absent{}},
			"a broken one":    {"scheduleInfo": "x"},
			"a zero duration": {"scheduleInfo.expiration.duration": "PT0S"},
			"an odd start":    {"scheduleInfo.startDateTime": "now"},
			"no scope":        {"directoryScopeId": absent{}},
		} {
			edits["action"] = action
			a, err := decode(edited(t, "entra_role.json", edits))
			if err != nil || !a.Action.GivesUpAccess() || a.StartsAt.IsZero() {
				t.Errorf("%s with %s: %v, %v", action, name, a.Action, err)
			}
			edits["action"] = "selfActivate"
			if _, err := decode(edited(t, "entra_role.json", edits)); err == nil && name != "no schedule" {
				t.Errorf("selfActivate with %s was read", name)
			}
		}
	}
	if _, err := decode(edited(t, "azure_resource.json", map[string]any{"properties.requestType": "SelfDeactivate", "properties.scope": nil})); err != nil {
		t.Errorf("an Azure role without scope: %v", err)
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 10, 5, 6, 12, 40, 123456700, time.UTC)
	const end = "2026-10-05T09:12:40.1234567Z"
	tests := map[string]struct {
		edits map[string]any
		start time.Time
		want  time.Duration
	}{
		"as given":                        {nil, start, 3 * time.Hour},
		"no schedule":                     {map[string]any{"scheduleInfo": absent{}}, arrival(), 0},
		"a null schedule":                 {map[string]any{"scheduleInfo": nil}, arrival(), 0},
		"no start":                        {map[string]any{"scheduleInfo.startDateTime": nil}, arrival(), 3 * time.Hour},
		"no expiration":                   {map[string]any{"scheduleInfo.expiration": absent{}}, start, 0},
		"an empty expiration":             {map[string]any{"scheduleInfo.expiration": map[string]any{}}, start, 0},
		"no expiration by word":           {map[string]any{"scheduleInfo.expiration": map[string]any{"type": "NoExpiration"}}, start, 0},
		"not specified":                   {map[string]any{"scheduleInfo.expiration": map[string]any{"type": "notSpecified"}}, start, 0},
		"no end in spite of a duration":   {map[string]any{"scheduleInfo.expiration.type": "noExpiration"}, start, 0},
		"a duration without type":         {map[string]any{"scheduleInfo.expiration.type": nil}, start, 3 * time.Hour},
		"an end without type":             {map[string]any{"scheduleInfo.expiration": map[string]any{"endDateTime": end}}, start, 3 * time.Hour},
		"both in agreement":               {map[string]any{"scheduleInfo.expiration.endDateTime": end}, start, 3 * time.Hour},
		"both within a second":            {map[string]any{"scheduleInfo.expiration.endDateTime": "2026-10-05T09:12:41Z"}, start, 3*time.Hour + 876543300},
		"an end after the word in pascal": {map[string]any{"scheduleInfo.expiration": map[string]any{"type": "AfterDateTime", "endDateTime": end}}, start, 3 * time.Hour},
		"minutes":                         {map[string]any{"scheduleInfo.expiration.duration": "PT480M"}, start, 8 * time.Hour},
		"366 days":                        {map[string]any{"scheduleInfo.expiration.duration": "P366D"}, start, 366 * 24 * time.Hour},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := mustDecode(t, edited(t, "entra_role.json", test.edits))
			if a.StartsOnArrival != test.start.Equal(arrival()) {
				t.Errorf("starts on arrival: %v", a.StartsOnArrival)
			}
			if !a.StartsAt.Equal(test.start) || a.StartsAt.Location() != time.UTC || a.Duration != test.want {
				t.Errorf("%s for %s, want %s for %s", a.StartsAt, a.Duration, test.start, test.want)
			}
		})
	}
}

func TestRequestIDOfAzure(t *testing.T) {
	t.Parallel()
	const id = "e5f60718-2937-4a4b-9c5d-6e7f8091a2b3"
	for name, edits := range map[string]map[string]any{
		"name and id":     nil,
		"name alone":      {"id": absent{}},
		"id alone":        {"name": nil},
		"name in capital": {"name": strings.ToUpper(id)},
		"a bare id":       {"name": "", "id": strings.ToUpper(id)},
	} {
		if got := mustDecode(t, edited(t, "azure_resource.json", edits)).RequestID; got != id {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := mustDecode(t, read(t, "azure_resource_documented.json")).RequestID; got != "" {
		t.Errorf("neither: %q", got)
	}
}

func TestTenantAndStageNeverComeFromTheBody(t *testing.T) {
	t.Parallel()
	body := edited(t, "entra_role.json", map[string]any{"tenantId": "x", "stage": "pre_approval"})
	a, err := callout.Decode(body, pim.PostApproval, caller(), arrival())
	if err != nil || a.Stage != pim.PostApproval || a.TenantID != caller().TenantID {
		t.Errorf("stage %s, tenant %s, %v", a.Stage, a.TenantID, err)
	}
	if diff := cmp.Diff([]string{"stage", "tenantId"}, a.UnknownMembers); diff != "" {
		t.Error(diff)
	}
}

func TestUnknownMembersAreBounded(t *testing.T) {
	t.Parallel()
	edits := map[string]any{}
	for c := 'a'; c <= 'z'; c++ {
		edits[strings.Repeat(string(c), 100)+"\n"] = 1
	}
	a := mustDecode(t, edited(t, "group.json", edits))
	if len(a.UnknownMembers) != 16 {
		t.Fatalf("%d paths", len(a.UnknownMembers))
	}
	for i, path := range a.UnknownMembers {
		if path != strings.Repeat(string(rune('a'+i)), 64) {
			t.Errorf("path %d: %q", i, path)
		}
	}
}
