package condition

import (
	"slices"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/countersign/countersign/gateway/internal/pim"
)

// The names that every expression may use.
const (
	activationName = "activation"
	nowName        = "now"
)

// Reserved reports whether an ask cannot have the name, since it already means something.
func Reserved(name string) bool {
	return name == activationName || name == nowName
}

// Facts are the facts of a capability, "found" included.
func Facts(c pim.Capability) []pim.Field {
	found := pim.Field{
		Name: pim.Found, Type: pim.Type{Kind: pim.Bool}, Sensitivity: pim.Public,
		Doc: "Whether the upstream knows what was asked for.",
	}
	return append([]pim.Field{found}, c.Facts...)
}

func factsShape(c pim.Capability) *pim.Type {
	return &pim.Type{Kind: pim.Message, Name: c.Method, Fields: Facts(c)}
}

// activationShape is what an expression can select from the activation.
func activationShape() *pim.Type {
	word := func(name string, words ...string) pim.Field {
		return pim.Field{Name: name, Type: pim.Type{Kind: pim.Enum, Words: words}, Sensitivity: pim.Requester}
	}
	plain := func(name string, kind pim.Kind) pim.Field {
		return pim.Field{Name: name, Type: pim.Type{Kind: kind}, Sensitivity: pim.Requester}
	}
	ticket := pim.Type{Kind: pim.Message, Name: "ticket", Fields: []pim.Field{
		plain("number", pim.String), plain("system", pim.String),
	}}
	return &pim.Type{Kind: pim.Message, Name: activationName, Fields: []pim.Field{
		word("provider", string(pim.EntraRole), string(pim.Group), string(pim.AzureResource)),
		word("stage", string(pim.PreApproval), string(pim.PostApproval)),
		word("action", actions()...),
		plain("tenant_id", pim.String), plain("request_id", pim.String),
		plain("principal_id", pim.String), plain("requested_by", pim.String),
		plain("role_id", pim.String), plain("role_name", pim.String), plain("scope", pim.String),
		plain("group_id", pim.String), word("access", string(pim.Member), string(pim.Owner)),
		plain("starts_at", pim.Timestamp), plain("ends_at", pim.Timestamp), plain("duration", pim.Duration),
		plain("justification", pim.String), plain("validation_only", pim.Bool),
		{Name: "ticket", Type: ticket, Sensitivity: pim.Requester},
	}}
}

// actions are those that policies see. Giving up access and what is not known never reach them, so that
// a comparison with these words is a mistake.
func actions() []string {
	return []string{
		string(pim.AdminAssign), string(pim.AdminUpdate), string(pim.AdminExtend), string(pim.AdminRenew),
		string(pim.SelfActivate), string(pim.SelfExtend), string(pim.SelfRenew),
	}
}

func fieldOf(message *pim.Type, name string) (*pim.Field, bool) {
	i := slices.IndexFunc(message.Fields, func(f pim.Field) bool { return f.Name == name })
	if i < 0 {
		return nil, false
	}
	return &message.Fields[i], true
}

func fieldNames(message *pim.Type) []string {
	names := make([]string, len(message.Fields))
	for i, f := range message.Fields {
		names[i] = f.Name
	}
	return names
}

// shown reports whether a reason may name the field. The fields of a message are judged when they are
// named; of a list or map all that is in it must be fit to be shown, since its way is lost in filter().
func shown(f pim.Field) bool {
	return f.Sensitivity.ShownToRequester() && (f.Type.Elem == nil || allShown(f.Type.Elem))
}

func allShown(t *pim.Type) bool {
	if t.Elem != nil && !allShown(t.Elem) {
		return false
	}
	return !slices.ContainsFunc(t.Fields, func(f pim.Field) bool { return !shown(f) || !allShown(&f.Type) })
}

// HoldsSecret reports whether the field or anything in it is secret.
func HoldsSecret(f pim.Field) bool {
	return f.Sensitivity == pim.Secret || typeHoldsSecret(&f.Type)
}

func typeHoldsSecret(t *pim.Type) bool {
	return t.Elem != nil && typeHoldsSecret(t.Elem) || slices.ContainsFunc(t.Fields, HoldsSecret)
}

// provider tells CEL the fields of our messages. Everything else is the standard registry's.
type provider struct {
	types.Provider
	messages map[string]map[string]*types.FieldType
}

func newProvider(standard types.Provider) *provider {
	return &provider{Provider: standard, messages: map[string]map[string]*types.FieldType{}}
}

// add registers a message and the messages within it, named by the way to them: two connectors may
// have different messages of one name. The slashes keep CEL from taking a selection for a type's name.
func (p *provider) add(name string, message *pim.Type) *types.Type {
	if _, known := p.messages[name]; !known {
		fields := make(map[string]*types.FieldType, len(message.Fields))
		p.messages[name] = fields
		for i := range message.Fields {
			f := &message.Fields[i]
			fields[f.Name] = &types.FieldType{Type: p.celType(name+"/"+f.Name, &f.Type)}
		}
	}
	return types.NewObjectType(name)
}

func (p *provider) celType(name string, t *pim.Type) *types.Type {
	switch t.Kind {
	case pim.List:
		return types.NewListType(p.celType(name, t.Elem))
	case pim.Map:
		return types.NewMapType(types.StringType, p.celType(name, t.Elem))
	case pim.Message:
		return p.add(name, t)
	case pim.Bool, pim.Int, pim.Uint, pim.Double, pim.String, pim.Bytes, pim.Timestamp, pim.Duration, pim.Enum:
		return scalarType(t.Kind)
	}
	return types.ErrorType
}

func scalarType(k pim.Kind) *types.Type {
	switch k {
	case pim.Bool:
		return types.BoolType
	case pim.Int:
		return types.IntType
	case pim.Uint:
		return types.UintType
	case pim.Double:
		return types.DoubleType
	case pim.String, pim.Enum:
		return types.StringType
	case pim.Bytes:
		return types.BytesType
	case pim.Timestamp:
		return types.TimestampType
	case pim.Duration:
		return types.DurationType
	case pim.List, pim.Map, pim.Message:
	}
	return types.ErrorType
}

// FindStructType tells whether the message exists.
func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if _, ours := p.messages[name]; ours {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return p.Provider.FindStructType(name)
}

// FindStructFieldNames names the fields of a message.
func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	fields, ours := p.messages[name]
	if !ours {
		return p.Provider.FindStructFieldNames(name)
	}
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	return names, true
}

// FindStructFieldType gives no functions to read the field, so that CEL reads it through
// traits.Mapper, which can answer that a field is unknown.
func (p *provider) FindStructFieldType(message, field string) (*types.FieldType, bool) {
	fields, ours := p.messages[message]
	if !ours {
		return p.Provider.FindStructFieldType(message, field)
	}
	f, ok := fields[field]
	return f, ok
}

// NewValue refuses to build messages; expressions that try are refused when they are loaded.
func (p *provider) NewValue(name string, fields map[string]ref.Val) ref.Val {
	if _, ours := p.messages[name]; ours {
		return types.NewErr("%s cannot be built", name)
	}
	return p.Provider.NewValue(name, fields)
}
