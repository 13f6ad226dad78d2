package callout_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/countersign/countersign/gateway/internal/callout"
	"github.com/countersign/countersign/gateway/internal/pim"
)

// None of these may change what the gateway decides about.
func TestEquivalentBodiesHaveOneDigest(t *testing.T) {
	t.Parallel()
	groups := map[string][]map[string]any{
		"entra_role.json": {
			{"ticketInfo": absent{}},
			{"ticketInfo": nil},
			{"ticketInfo": map[string]any{}},
			{"ticketInfo": map[string]any{"ticketNumber": nil, "ticketSystem": nil}},
			{"ticketInfo": map[string]any{"ticketNumber": "", "ticketSystem": ""}},
			{"ticketInfo": map[string]any{"ticketNumber": "  ", "@odata.type": "microsoft.graph.ticketInfo"}},
		},
		"entra_role_documented.json": {
			nil,
			{"isValidationOnly": false},
			{"isValidationOnly": nil, "appScopeId": nil, "createdBy": nil},
			{"appScopeId": "", "createdBy": map[string]any{"user": nil}},
			{"action": "SelfActivate", "scheduleInfo.expiration.type": "AfterDuration"},
			{"action": "SELFACTIVATE", "scheduleInfo.expiration.type": "AFTERDURATION"},
			{"scheduleInfo.expiration.type": nil},
			{"scheduleInfo.expiration.duration": "PT180M"},
			{"scheduleInfo.expiration.duration": "03:00:00"},
			{"scheduleInfo.expiration.duration": "0.03:00:00.0000000"},
			{"scheduleInfo.expiration": map[string]any{"type": "afterDateTime", "endDateTime": "2026-10-05T11:12:40.0000000+02:00"}},
			{"scheduleInfo.startDateTime": "2026-10-05T06:12:40.0000000Z"},
			{"scheduleInfo.startDateTime": "2026-10-05T08:12:40+02:00"},
			{"@odata.type": "https://graph.microsoft.com/v1.0/$metadata#x/$entity"},
			{"@odata.type": absent{}, "status": "Granted", "targetScheduleId": "x", "future": 1},
			{"id": "4F2D9A10-7C1E-4B55-9D64-3A8E5B0C7711"},
			{"roleDefinitionId": "29232CDF-9323-42FD-ADE2-1D097AF3E4DE"},
			{"ticketInfo.ticketNumber": "\tCHG0090125 "},
		},
		"entra_role_no_end_validation.json": {
			nil,
			{"scheduleInfo.expiration": absent{}},
			{"scheduleInfo.expiration": nil},
			{"scheduleInfo.expiration": map[string]any{"type": "notSpecified"}},
			{"scheduleInfo.expiration": map[string]any{"type": "NoExpiration", "duration": ""}},
		},
		"group.json": {nil, {"accessId": "Member"}, {"accessId": "MEMBER", "action": "SelfActivate"}, {"groupId": "77D1C2B3-09AF-4E21-8C0D-5A6B7C8D9E0F"}},
		"azure_resource.json": {
			nil,
			{"properties.requestType": "selfActivate", "properties.principalType": "user"},
			{"properties.scope": "subscriptions/0C9E5D1A-2B3C-4D5E-8F60-718293A4B5C6/RESOURCEGROUPS/RG-BILLING-PROD/"},
			{"properties.scope": "providers/Microsoft.Subscription/subscriptions/0c9e5d1a-2b3c-4d5e-8f60-718293a4b5c6/resourceGroups/rg-billing-prod"},
			{"properties.expandedProperties": nil, "type": nil},
			{"name": nil},
		},
	}
	for body, forms := range groups {
		digests := map[string]bool{}
		for _, edits := range forms {
			digests[mustDecode(t, edited(t, body, edits)).Digest()] = true
		}
		if len(digests) != 1 {
			t.Errorf("%s: %d forms have %d digests", body, len(forms), len(digests))
		}
	}
}

// PIM repeats a request with the same body, which comes in later.
func TestRepeatsHaveOneDigest(t *testing.T) {
	t.Parallel()
	for name, edits := range map[string]map[string]any{
		"without a start":    {"scheduleInfo.startDateTime": nil},
		"without a schedule": {"scheduleInfo": nil},
		"giving up access":   {"action": "selfDeactivate", "scheduleInfo": nil},
		"giving up, broken":  {"action": "selfDeactivate", "scheduleInfo": 1},
		"with a start":       nil,
	} {
		body := edited(t, "entra_role.json", edits)
		later, err := callout.Decode(body, pim.PreApproval, caller(), arrival().Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		if later.Digest() != mustDecode(t, body).Digest() {
			t.Errorf("%s: another digest a minute later", name)
		}
	}
}

// Each of these must change it.
func TestDifferentBodiesHaveDifferentDigests(t *testing.T) {
	t.Parallel()
	digests := map[string]string{}
	for name, edits := range map[string]map[string]any{
		"as given": nil, "action": {"action": "selfExtend"}, "principal": {"principalId": globalAdministrator},
		"role": {"roleDefinitionId": globalAdministrator}, "scope": {"directoryScopeId": "/" + globalAdministrator},
		"duration": {"scheduleInfo.expiration.duration": "PT3H1S"}, "no end": {"scheduleInfo.expiration": nil},
		"start": {"scheduleInfo.startDateTime": "2026-10-05T06:12:40.1234568Z"}, "ticket": {"ticketInfo.ticketNumber": "CHG0090126"},
		"system": {"ticketInfo.ticketSystem": "servicenow"}, "text": {"justification": "chg0090125: move the shared mailboxes of the Leeds office"},
		"requester": {"createdBy.user.id": nil}, "validation": {"isValidationOnly": true}, "id": {"id": globalAdministrator},
	} {
		digest := mustDecode(t, edited(t, "entra_role.json", edits)).Digest()
		if other, taken := digests[digest]; taken {
			t.Errorf("%s and %s have the same digest", name, other)
		}
		digests[digest] = name
	}
}

// Any spelling of member names, any order, and members beside them, read the same.
func TestSpellingOfMembersDoesNotMatter(t *testing.T) {
	t.Parallel()
	bodies := []string{"entra_role.json", "group.json", "azure_resource.json", "entra_role_until_in_unit.json"}
	want := map[string]string{}
	trees := map[string]any{}
	for _, body := range bodies {
		want[body] = mustDecode(t, read(t, body)).Digest()
		var tree any
		if err := json.Unmarshal(read(t, body), &tree); err != nil {
			t.Fatal(err)
		}
		trees[body] = tree
	}
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SampledFrom(bodies).Draw(t, "body")
		var out bytes.Buffer
		respell(t, &out, trees[body])
		a, err := decode(out.Bytes())
		if err != nil {
			t.Fatalf("%v\n%s", err, out.Bytes())
		}
		if a.Digest() != want[body] {
			t.Errorf("another digest: %s", out.Bytes())
		}
	})
}

// respell writes a document with its members in any order and case, names escaped or not, and with
// unknown members, annotations and nulls added.
func respell(t *rapid.T, out *bytes.Buffer, value any) {
	object, ok := value.(map[string]any)
	if !ok {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
		return
	}
	names := make([]string, 0, len(object)+1)
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names)
	names = append(names, rapid.SampledFrom([]string{"x-future", "note@odata.type", "ʀoleDefinitionId"}).Draw(t, "added"))
	names = rapid.Permutation(names).Draw(t, "order")
	out.WriteByte('{')
	for i, name := range names {
		if i > 0 {
			out.WriteByte(',')
		}
		spelt := name
		if _, known := object[name]; known {
			spelt = rapid.SampledFrom([]string{name, strings.ToUpper(name), strings.ToLower(name), strings.ToUpper(name[:1]) + name[1:]}).Draw(t, "spelling")
		}
		quoted, err := json.Marshal(spelt)
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "escaped") {
			quoted = bytes.Replace(quoted, []byte("d"), []byte(`\u0064`), 1)
		}
		out.Write(quoted)
		out.WriteByte(':')
		respell(t, out, object[name])
	}
	out.WriteByte('}')
}

// A member whose name collides with another's, inserted anywhere, makes the whole body malformed.
func TestCollisionsAreMalformedAtEveryPath(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"entra_role.json", "group.json", "azure_resource.json", "entra_role_unknown_members.json"} {
		body := read(t, name)
		for _, place := range members(t, body) {
			for _, twin := range twins(place.name) {
				for _, value := range []string{"null", `"` + globalAdministrator + `"`, "{}"} {
					quoted, err := json.Marshal(twin)
					if err != nil {
						t.Fatal(err)
					}
					insert := string(quoted) + ":" + value + ","
					changed := slices.Concat(body[:place.at], []byte(insert), body[place.at:])
					if _, err := decode(changed); !errors.Is(err, callout.ErrMalformed) {
						t.Errorf("%s: %s before %s: %v", name, insert, place.name, err)
					}
				}
			}
		}
	}
}

func twins(name string) []string {
	all := []string{name, strings.ToUpper(name), strings.ToLower(name)}
	if long := strings.NewReplacer("s", "ſ", "S", "ſ", "k", "\u212a").Replace(name); long != name {
		all = append(all, long)
	}
	return all
}

type member struct {
	name string
	at   int // where a sibling can be put in front of it
}

// members finds the members of a document with encoding/json, which is not what reads callouts.
func members(t *testing.T, body []byte) []member {
	t.Helper()
	var all []member
	decoder := json.NewDecoder(bytes.NewReader(body))
	type level struct{ object, name bool }
	var stack []level
	for decoder.More() || len(stack) > 0 {
		before := int(decoder.InputOffset())
		token, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := token.(string); ok && len(stack) > 0 && stack[len(stack)-1].name {
			all = append(all, member{text, before + bytes.IndexByte(body[before:], '"')})
			stack[len(stack)-1].name = false
			continue
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			stack = append(stack, level{token == json.Delim('{'), token == json.Delim('{')})
			continue
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
		}
		if len(stack) > 0 {
			stack[len(stack)-1].name = stack[len(stack)-1].object
		}
	}
	if len(all) < 20 {
		t.Fatalf("only %d members found", len(all))
	}
	return all
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{
		"entra_role.json", "group.json", "azure_resource.json", "azure_resource_documented.json", "entra_role_deactivate.json",
		"entra_role_until_in_unit.json", "entra_role_unknown_members.json", "entra_role_any_text.json", "azure_resource_management_group.json",
	} {
		f.Add(read(f, name))
	}
	f.Add([]byte(`{"PrincipalId":"b7b1f0a4-52a1-4a3f-8f0e-0c5d7a1e2f31","principalid":null,"roleDefinitionId":"x"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := decode(body)
		if err != nil {
			if !errors.Is(err, callout.ErrMalformed) || len([]rune(callout.Reason(err))) > 200 {
				t.Fatalf("error %v, reason %q", err, callout.Reason(err))
			}
			return
		}
		checkNormal(t, a)
		var other map[string]any
		if err := json.Unmarshal(bytes.TrimPrefix(body, []byte("\ufeff")), &other); err != nil {
			t.Fatalf("encoding/json refuses it: %v", err)
		}
		if a.Provider == pim.AzureResource {
			other, _ = lookUp(other, "properties").(map[string]any)
		}
		if principal, _ := lookUp(other, "principalId").(string); strings.ToLower(principal) != a.PrincipalID {
			t.Errorf("principal %s, encoding/json says %s", a.PrincipalID, principal)
		}
	})
}

func lookUp(object map[string]any, name string) any {
	for spelt, value := range object {
		if upperASCII(spelt) == upperASCII(name) {
			return value
		}
	}
	return nil
}

func checkNormal(t *testing.T, a pim.Activation) {
	t.Helper()
	for _, text := range []string{a.RequestID, a.PrincipalID, a.RequestedBy, a.RoleID, a.GroupID} {
		if text != "" && (len(text) != 36 || strings.ToLower(text) != text) {
			t.Errorf("id %q", text)
		}
	}
	if a.PrincipalID == "" || a.Duration < 0 || a.Duration > 366*24*time.Hour || a.StartsAt.Location() != time.UTC {
		t.Errorf("principal %q, start %s, duration %s", a.PrincipalID, a.StartsAt, a.Duration)
	}
	isGroup := a.Provider == pim.Group
	if isGroup != (a.GroupID != "") || isGroup != (a.Access != "") || isGroup == (a.RoleID != "") {
		t.Errorf("a %s with role %q, group %q, access %q", a.Provider, a.RoleID, a.GroupID, a.Access)
	}
	if !isGroup && a.Scope == "" && !a.Action.GivesUpAccess() {
		t.Error("no scope")
	}
	if len(a.UnknownMembers) > 16 || !slices.IsSorted(a.UnknownMembers) {
		t.Errorf("unknown members %v", a.UnknownMembers)
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, name := range []string{"entra_role.json", "group.json", "azure_resource.json"} {
		body := read(b, name)
		b.Run(strings.TrimSuffix(name, ".json"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decode(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
