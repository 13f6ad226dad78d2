package callout

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/strictjson"
)

// reading takes members out of a body and keeps the first thing that is wrong, so that the shapes can be
// written down as lists. What it returns counts only if err is nil in the end.
type reading struct {
	arrival time.Time
	err     error
}

func (r *reading) fail(o strictjson.Object, name, problem string) {
	if r.err == nil {
		r.err = &strictjson.Error{Path: o.Path(name), Problem: problem}
	}
}

func (r *reading) keep(err error) {
	if r.err == nil && err != nil {
		r.err = err
	}
}

// text is empty for an absent member: PIM and its clients send absent, null and "" for the same thing.
func (r *reading) text(o strictjson.Object, name string) string {
	text, _, err := o.String(name)
	r.keep(err)
	return text
}

func (r *reading) boolean(o strictjson.Object, name string) bool {
	value, _, err := o.Bool(name)
	r.keep(err)
	return value
}

func (r *reading) object(o strictjson.Object, name string) strictjson.Object {
	inner, _, err := o.Object(name)
	r.keep(err)
	return inner
}

// guid is empty for an absent member.
func (r *reading) guid(o strictjson.Object, name string) string {
	text := r.text(o, name)
	if text == "" {
		return ""
	}
	if !isGUID(text) {
		r.fail(o, name, "is not a GUID")
	}
	return strings.ToLower(text)
}

func (r *reading) requiredGUID(o strictjson.Object, name string) string {
	guid := r.guid(o, name)
	if guid == "" {
		r.fail(o, name, "is missing")
	}
	return guid
}

// action never fails on a word: PIM's enumerations are open, and policy says what to do with actions
// that nobody knows.
func (r *reading) action(o strictjson.Object, name string) pim.Action {
	text := r.text(o, name)
	for _, known := range [...]struct {
		word   string
		action pim.Action
	}{
		{"selfActivate", pim.SelfActivate},
		{"selfDeactivate", pim.SelfDeactivate},
		{"selfExtend", pim.SelfExtend},
		{"selfRenew", pim.SelfRenew},
		{"adminAssign", pim.AdminAssign},
		{"adminUpdate", pim.AdminUpdate},
		{"adminRemove", pim.AdminRemove},
		{"adminExtend", pim.AdminExtend},
		{"adminRenew", pim.AdminRenew},
	} {
		if strictjson.EqualASCII(text, known.word) {
			return known.action
		}
	}
	return pim.UnknownAction
}

// access fails on a word that it does not know: there is nothing restrictive to take it for.
func (r *reading) access(o strictjson.Object, name string) pim.Access {
	switch text := r.text(o, name); {
	case strictjson.EqualASCII(text, "member"):
		return pim.Member
	case strictjson.EqualASCII(text, "owner"):
		return pim.Owner
	default:
		r.fail(o, name, "is neither member nor owner")
		return ""
	}
}

func (r *reading) justification(o strictjson.Object) string {
	text := r.text(o, "justification")
	if len(text) > longestJustification {
		r.fail(o, "justification", "is longer than 8 KiB")
	}
	return text
}

func (r *reading) ticket(o strictjson.Object) pim.Ticket {
	info := r.object(o, "ticketInfo")
	return pim.Ticket{Number: r.ticketField(info, "ticketNumber"), System: r.ticketField(info, "ticketSystem")}
}

func (r *reading) ticketField(info strictjson.Object, name string) string {
	text := strings.TrimSpace(r.text(info, name))
	if utf8.RuneCountInString(text) > longestTicketField {
		r.fail(info, name, "is longer than 128 characters")
	}
	return text
}

// armRequestID is the GUID that names the request: the resource's name, which is also the last segment
// of its id. The body in Microsoft's documentation has neither.
func (r *reading) armRequestID(root strictjson.Object) string {
	if name := r.guid(root, "name"); name != "" {
		return name
	}
	id := r.text(root, "id")
	if id == "" {
		return ""
	}
	last := id[strings.LastIndexByte(id, '/')+1:]
	if !isGUID(last) {
		r.fail(root, "id", "does not end in a GUID")
	}
	return strings.ToLower(last)
}

func (r *reading) roleID(o strictjson.Object, name string) string {
	text := r.text(o, name)
	if text == "" {
		r.fail(o, name, "is missing")
		return ""
	}
	id, ok := RoleID(text)
	if !ok {
		r.fail(o, name, "is not a role definition id")
	}
	return id
}

// directoryScope reads where an Entra role applies. Graph has two members for it, of which a request
// uses one.
func (r *reading) directoryScope(o strictjson.Object, action pim.Action) string {
	directory, app := r.text(o, "directoryScopeId"), r.text(o, "appScopeId")
	switch {
	case directory != "" && app != "" && (directory != "/" || app != "/"):
		r.fail(o, "appScopeId", "and directoryScopeId are both given")
		return ""
	case directory != "":
		scope, ok := DirectoryScope(directory)
		if !ok {
			r.fail(o, "directoryScopeId", "is not a directory scope")
		}
		return scope
	case app != "":
		scope, ok := AppScope(app)
		if !ok {
			r.fail(o, "appScopeId", "is not an application scope")
		}
		return scope
	case !action.GivesUpAccess():
		r.fail(o, "directoryScopeId", "is missing")
	}
	return ""
}

func (r *reading) armScope(o strictjson.Object, action pim.Action) string {
	text := r.text(o, "scope")
	if text == "" {
		if !action.GivesUpAccess() {
			r.fail(o, "scope", "is missing")
		}
		return ""
	}
	scope, ok := ARMScope(text)
	if !ok {
		r.fail(o, "scope", "is not an Azure scope")
	}
	return scope
}

// unknownMembers lists what this version does not know, so that a change of PIM's shows.
func unknownMembers(root strictjson.Object, provider pim.Provider) []string {
	u := unknowns{lower: make([]byte, 0, 64)}
	u.walk(root, shapeFor(provider))
	slices.Sort(u.paths)
	return u.paths[:min(len(u.paths), maxUnknownMembers)]
}
