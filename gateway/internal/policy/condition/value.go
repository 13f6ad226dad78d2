package condition

import (
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"

	"github.com/countersign/countersign/gateway/internal/pim"
)

// Answer is what is known of one ask of a scope. Without a finding it has not come yet.
type Answer struct {
	Finding *pim.Finding
}

// Subject is what all expressions of an evaluation see alike: the activation and the time.
type Subject struct {
	activation activation
	now        ref.Val
}

// NewSubject prepares an activation. The role's name is empty where it is not known.
func (l *Library) NewSubject(a pim.Activation, roleName string, now time.Time) *Subject {
	return &Subject{activation: activation{Mapper: l.empty, a: a, roleName: roleName}, now: types.Timestamp{Time: now.UTC()}}
}

// Vars are the values that the expressions of one scope see. It is not safe for concurrent use.
type Vars struct {
	scope   *Scope
	subject *Subject
	answers []record
}

// NewVars returns variables without any answer.
func (s *Scope) NewVars(subject *Subject) *Vars {
	v := &Vars{scope: s, subject: subject, answers: make([]record, len(s.asks))}
	for i := range v.answers {
		v.answers[i] = record{Mapper: s.library.empty, ask: i}
	}
	return v
}

// Set gives the finding of an ask by its place in the scope; nil if it has not come yet.
func (v *Vars) Set(ask int, finding *pim.Finding) {
	v.answers[ask].finding, v.answers[ask].collections = finding, nil
}

// Pending reports whether the finding of an ask has not come yet.
func (v *Vars) Pending(ask int) bool { return v.answers[ask].finding == nil }

// Finding is what came back for an ask; nil if nothing has.
func (v *Vars) Finding(ask int) *pim.Finding { return v.answers[ask].finding }

// ResolveName finds a variable for CEL.
func (v *Vars) ResolveName(name string) (any, bool) {
	switch name {
	case activationName:
		return &v.subject.activation, true
	case nowName:
		return v.subject.now, true
	}
	for i := range v.scope.asks {
		if v.scope.asks[i].Name == name {
			return &v.answers[i], true
		}
	}
	return nil, false
}

// Parent is nil: the variables are not nested.
func (*Vars) Parent() interpreter.Activation { return nil }

// record is an ask as CEL sees it. Of the embedded map it keeps what no accepted expression calls.
type record struct {
	traits.Mapper
	ask     int
	finding *pim.Finding
	// collections are the lists and maps that were read: a loop within a loop reads them again and
	// again, and they are weighed once.
	collections []collection
}

type collection struct {
	fact  string
	value ref.Val
}

// Find reads one fact. CEL calls it for selections, and with a false result it is an error, and for
// has(), where it is false.
func (r *record) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return types.NewErr("a field is named by a text"), false
	}
	if r.finding == nil {
		return unknownFact(r.ask), true
	}
	fact := r.finding.Fact(string(name))
	switch fact.State {
	case pim.Known:
		value := r.value(string(name), fact.Value)
		return value, !types.IsError(value)
	case pim.None:
		return nil, false
	case pim.Unknown:
	}
	return unknownFact(r.ask), true
}

// value is a fact for CEL.
func (r *record) value(fact string, value any) ref.Val {
	for _, c := range r.collections {
		if c.fact == fact {
			return c.value
		}
	}
	if weight(value) > maxWeight {
		return types.NewErr("%s is larger than %d characters", fact, maxWeight)
	}
	out := native(value)
	switch value.(type) {
	case []any, map[string]any:
		r.collections = append(r.collections, collection{fact, out})
	}
	return out
}

// maxWeight bounds a fact, in characters and elements. CEL counts the cost of a function after its call,
// so that what one call reads has to be bounded before: a pattern takes 10 ms for this much.
const maxWeight = 1 << 17

func weight(value any) int {
	switch v := value.(type) {
	case string:
		return len(v)
	case []byte:
		return len(v)
	case []any:
		sum := len(v)
		for _, element := range v {
			sum += weight(element)
		}
		return sum
	case map[string]any:
		sum := len(v)
		for key, element := range v {
			sum += len(key) + weight(element)
		}
		return sum
	}
	return 0
}

// unknownFact is CEL's unknown value. The number it carries is not an expression's, as CEL has it, but
// the ask's, counted from 1, so that the result tells which asks it lacks.
func unknownFact(ask int) ref.Val { return types.NewUnknown(int64(ask)+1, nil) }

func native(value any) ref.Val {
	switch v := value.(type) {
	case string:
		return types.String(v)
	case bool:
		return types.Bool(v)
	case int64:
		return types.Int(v)
	case time.Time:
		return types.Timestamp{Time: v}
	}
	return types.DefaultTypeAdapter.NativeToValue(value)
}

// activation is PIM's request as CEL sees it. What PIM did not say is none.
type activation struct {
	traits.Mapper
	a        pim.Activation
	roleName string
}

// Find reads one field.
func (v *activation) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return types.NewErr("a field is named by a text"), false
	}
	switch name {
	case "starts_at":
		return types.Timestamp{Time: v.a.StartsAt.UTC()}, !v.a.StartsAt.IsZero()
	case "ends_at":
		ends, ok := v.a.EndsAt()
		return types.Timestamp{Time: ends.UTC()}, ok
	case "duration":
		return types.Duration{Duration: v.a.Duration}, v.a.Duration > 0
	case "validation_only":
		return types.Bool(v.a.ValidationOnly), true
	case "ticket":
		return &ticket{Mapper: v.Mapper, t: v.a.Ticket}, v.a.Ticket != pim.Ticket{}
	}
	text := v.text(string(name))
	return types.String(text), text != ""
}

func (v *activation) text(name string) string {
	switch name {
	case "provider":
		return string(v.a.Provider)
	case "stage":
		return string(v.a.Stage)
	case "action":
		return string(v.a.Action)
	case "tenant_id":
		return v.a.TenantID
	case "request_id":
		return v.a.RequestID
	case "principal_id":
		return v.a.PrincipalID
	case "requested_by":
		return v.a.RequestedBy
	case "role_id":
		return v.a.RoleID
	case "role_name":
		return v.roleName
	case "scope":
		return v.a.Scope
	case "group_id":
		return v.a.GroupID
	case "access":
		return string(v.a.Access)
	case "justification":
		return v.a.Justification
	}
	return ""
}

// ticket is what the requester typed into PIM's ticket fields.
type ticket struct {
	traits.Mapper
	t pim.Ticket
}

// Find reads one field.
func (v *ticket) Find(key ref.Val) (ref.Val, bool) {
	switch key {
	case types.String("number"):
		return types.String(v.t.Number), v.t.Number != ""
	case types.String("system"):
		return types.String(v.t.System), v.t.System != ""
	}
	return nil, false
}
