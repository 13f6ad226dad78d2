package fleet

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/strictyaml"
)

// Problem is one thing that is wrong with a connector, at a path inside its entry in the
// configuration, such as "config.base_url" or "allow[0]".
type Problem struct {
	Connector string
	Path      string
	Message   string
	Remedy    string
	// Warning is set if the connector can be used nevertheless.
	Warning bool
}

// String is one line without a place; the command that loaded the configuration knows the line.
func (p Problem) String() string {
	text := "connector " + p.Connector + ": "
	if p.Path != "" {
		text += p.Path + ": "
	}
	text += p.Message
	if p.Remedy != "" {
		text += " (" + p.Remedy + ")"
	}
	return text
}

// Secrets resolves a reference such as "env:NAME" to what it stands for.
type Secrets func(reference string) (plain string, err error)

// settings builds a connector's configuration message from what the operator wrote. Every problem is
// found in one pass, and no code of the vendor runs for it.
type settings struct {
	secrets  Secrets
	problems []Problem
}

func (s *settings) problem(path, message, remedy string) {
	s.problems = append(s.problems, Problem{Path: path, Message: message, Remedy: remedy})
}

func (s *settings) message(d protoreflect.MessageDescriptor, path string, values map[string]any) proto.Message {
	m := dynamicpb.NewMessage(d)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		at := path + "." + name
		f := d.Fields().ByName(protoreflect.Name(name))
		if f == nil {
			s.problem(at, "unknown setting", suggest(name, fieldNames(d)))
			continue
		}
		if one := f.ContainingOneof(); one != nil && !one.IsSynthetic() && m.WhichOneof(one) != nil {
			s.problem(at, fmt.Sprintf("excludes %s", m.WhichOneof(one).Name()), "give one of them")
			continue
		}
		if values[name] != nil {
			s.set(m, f, at, values[name])
		}
	}
	return m
}

func suggest(name string, known []string) string {
	if near, ok := strictyaml.Nearest(name, known); ok {
		return "did you mean " + near + "?"
	}
	return "known are " + strings.Join(known, ", ")
}

func fieldNames(d protoreflect.MessageDescriptor) []string {
	names := make([]string, d.Fields().Len())
	for i := range names {
		names[i] = string(d.Fields().Get(i).Name())
	}
	return names
}

func (s *settings) set(m protoreflect.Message, f protoreflect.FieldDescriptor, path string, value any) {
	switch {
	case f.IsMap():
		s.setMap(m, f, path, value)
	case f.IsList():
		s.setList(m, f, path, value)
	default:
		if v, ok := s.value(f, path, value); ok {
			m.Set(f, v)
		}
	}
}

func (s *settings) setList(m protoreflect.Message, f protoreflect.FieldDescriptor, path string, value any) {
	items, ok := value.([]any)
	if !ok {
		s.problem(path, "expected a list", "")
		return
	}
	list := m.Mutable(f).List()
	for i, item := range items {
		if v, ok := s.value(f, fmt.Sprintf("%s[%d]", path, i), item); ok {
			list.Append(v)
		}
	}
}

func (s *settings) setMap(m protoreflect.Message, f protoreflect.FieldDescriptor, path string, value any) {
	members, ok := value.(map[string]any)
	if !ok || f.MapKey().Kind() != protoreflect.StringKind {
		s.problem(path, "expected names with values", "")
		return
	}
	target := m.Mutable(f).Map()
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if v, ok := s.value(f.MapValue(), path+"."+name, members[name]); ok {
			target.Set(protoreflect.ValueOfString(name).MapKey(), v)
		}
	}
}

// value converts one setting. Secrets are given by reference, so that the configuration can be shown
// to anybody.
func (s *settings) value(f protoreflect.FieldDescriptor, path string, value any) (protoreflect.Value, bool) {
	if members, ok := value.(map[string]any); ok && f.Kind() == protoreflect.MessageKind {
		return protoreflect.ValueOfMessage(s.message(f.Message(), path, members).ProtoReflect()), true
	}
	if sensitivity(rulesOf(f).GetSensitivity()) == pim.Secret {
		return s.secret(path, value)
	}
	value, err := clock(f, value)
	if err != nil {
		s.problem(path, err.Error(), "")
		return protoreflect.Value{}, false
	}
	v, err := scalar(f, value)
	if err != nil {
		s.problem(path, err.Error(), expected(f))
		return v, false
	}
	return v, true
}

// clock reads durations and times, which YAML has as text.
func clock(f protoreflect.FieldDescriptor, value any) (any, error) {
	text, ok := value.(string)
	if !ok || f.Message() == nil {
		return value, nil
	}
	switch f.Message().FullName() {
	case durationName:
		d, err := time.ParseDuration(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a duration; write it like 2s or 500ms", text)
		}
		return d, nil
	case timestampName:
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a time; write it like 2026-11-23T08:00:00Z", text)
		}
		return at, nil
	default:
		return value, nil
	}
}

func (s *settings) secret(path string, value any) (protoreflect.Value, bool) {
	reference, ok := value.(string)
	if !ok || !strings.HasPrefix(reference, "env:") && !strings.HasPrefix(reference, "file:") {
		s.problem(path, "a secret must not stand in the configuration", "refer to it as env:NAME or file:/absolute/path")
		return protoreflect.Value{}, false
	}
	plain, err := s.secrets(reference)
	if err != nil {
		s.problem(path, err.Error(), "")
		return protoreflect.Value{}, false
	}
	return protoreflect.ValueOfString(plain), true
}

// expected says what a setting can be.
func expected(f protoreflect.FieldDescriptor) string {
	t := single(f)
	switch t.Kind {
	case pim.Enum:
		return "expected one of " + strings.Join(t.Words, ", ")
	case pim.Message:
		return "expected settings by name"
	default:
		return "expected a value of type " + string(t.Kind)
	}
}
