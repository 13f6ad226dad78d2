package serve

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// missing names every required field that is not given, as paths such as "people.key" or
// "tables[2].prefix", in the order of the descriptors. It looks into every message that is set, the
// chosen member of a oneof included.
func missing(m protoreflect.Message, prefix string) []gap {
	var gaps []gap
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		path := prefix + string(f.Name())
		if rules := rulesOf(f); rules.GetRequired() && empty(m, f) {
			gaps = append(gaps, gap{path: path, doc: rules.GetDoc()})
			continue
		}
		gaps = append(gaps, within(m, f, path)...)
	}
	return gaps
}

type gap struct{ path, doc string }

func within(m protoreflect.Message, f protoreflect.FieldDescriptor, path string) []gap {
	var gaps []gap
	switch {
	case !m.Has(f):
	case f.IsMap() && f.MapValue().Message() != nil:
		m.Get(f).Map().Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
			gaps = append(gaps, missing(value.Message(), fmt.Sprintf("%s[%q].", path, key.String()))...)
			return true
		})
		slices.SortStableFunc(gaps, func(a, b gap) int { return strings.Compare(a.path, b.path) })
	case f.IsMap() || f.Message() == nil:
	case f.IsList():
		for i := range m.Get(f).List().Len() {
			gaps = append(gaps, missing(m.Get(f).List().Get(i).Message(), fmt.Sprintf("%s[%d].", path, i))...)
		}
	default:
		gaps = missing(m.Get(f).Message(), path+".")
	}
	return gaps
}

// empty reports whether a field has no value that could mean something. An empty string that was set
// on purpose is still empty: asked upstream it would match everything.
func empty(m protoreflect.Message, f protoreflect.FieldDescriptor) bool {
	if !m.Has(f) {
		return true
	}
	if f.Cardinality() == protoreflect.Repeated {
		return false
	}
	switch f.Kind() {
	case protoreflect.StringKind:
		return strings.TrimSpace(m.Get(f).String()) == ""
	case protoreflect.BytesKind:
		return len(m.Get(f).Bytes()) == 0
	default:
		return false
	}
}

func rulesOf(f protoreflect.FieldDescriptor) *connectorv1.FieldRules {
	rules, _ := proto.GetExtension(f.Options(), connectorv1.E_Field).(*connectorv1.FieldRules)
	return rules
}

func diagnose(gaps []gap) []*connectorv1.Diagnostic {
	diagnostics := make([]*connectorv1.Diagnostic, len(gaps))
	for i, g := range gaps {
		diagnostics[i] = &connectorv1.Diagnostic{
			Severity: connectorv1.Severity_SEVERITY_ERROR, FieldPath: g.path,
			Summary: "a required setting is missing", Remedy: g.doc,
		}
	}
	return diagnostics
}
