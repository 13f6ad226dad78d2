package strictyaml

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Defaulter is a struct that has defaults: they are set before it is decoded, so that the keys that
// are there replace them and the others keep them.
type Defaulter interface{ SetDefaults() }

// Worder is a string type that knows which words it may be.
type Worder interface{ Words() []string }

// Flaw is an error with a remedy, for types that decode themselves (encoding.TextUnmarshaler). Its
// message must not repeat a value that may be a secret.
type Flaw struct{ Message, Remedy string } //nolint:errname // the word for half a Problem

// Error is the message without the remedy.
func (f *Flaw) Error() string { return f.Message }

// Decode reads one document into a struct and reports everything that is wrong with it, in order.
// The document is never nil, so that positions can be asked for in any case.
//
// Struct fields carry the tag `yaml:"name"` or `yaml:"name,required"`; fields without a tag are not
// decoded, embedded structs without one contribute their fields. A value is a string, bool, integer,
// float, time.Duration, slice, map with string keys, struct, pointer to one of these,
// encoding.TextUnmarshaler (which is given the scalar as written, numbers too) or any, which becomes
// map[string]any, []any, string, int64, float64, bool or nil. Other types are a mistake of the
// program and panic.
func Decode(file string, data []byte, into any) (*Document, Problems) {
	d := &Document{file: file}
	source, ok := d.source(data)
	if !ok {
		return d, d.reported()
	}
	d.lines = strings.Split(source, "\n")
	d.parse(source)
	if d.root == nil {
		if len(d.problems) > 0 {
			return d, d.reported()
		}
		d.root = &node{kind: mapping, line: 1, column: 1} // an empty file has no keys
	}
	target := reflect.ValueOf(into).Elem()
	c := cursor{node: d.root, line: d.root.line, column: d.root.column}
	d.decode(c, target)
	return d, d.reported()
}

// cursor is where decoding stands: a node, its path, and where a problem with it is shown.
type cursor struct {
	node         *node
	path         string
	line, column int
}

func (c cursor) member(m member) cursor {
	line, column := m.place()
	return cursor{node: m.value, path: Join(c.path, m.key.text), line: line, column: column}
}

// key is where a member's key stands.
func (c cursor) key(m member) cursor {
	return cursor{node: m.key, path: Join(c.path, m.key.text), line: m.key.line, column: m.key.column}
}

func (c cursor) item(i int) cursor {
	item := c.node.items[i]
	return cursor{node: item, path: Index(c.path, i), line: item.line, column: item.column}
}

// decode sets one value. What cannot be decoded keeps its default.
func (d *Document) decode(c cursor, v reflect.Value) {
	switch {
	case c.node.kind == refused:
		return
	case v.Kind() == reflect.Interface:
		if value := d.free(c); value != nil {
			v.Set(reflect.ValueOf(value))
		}
		return
	case c.node.kind == null:
		d.problem(c, "has no value", "give it one, or remove the key to have the default")
		return
	case v.Kind() == reflect.Pointer:
		fresh := reflect.New(v.Type().Elem())
		d.decode(c, fresh.Elem())
		v.Set(fresh)
		return
	}
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		d.decodeText(c, u)
		return
	}
	if v.Type() == reflect.TypeFor[time.Duration]() {
		d.decodeDuration(c, v)
		return
	}
	d.decodeKind(c, v)
}

func (d *Document) decodeKind(c cursor, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		d.decodeStruct(c, v)
	case reflect.Map:
		d.decodeMap(c, v)
	case reflect.Slice:
		d.decodeSlice(c, v)
	case reflect.String:
		d.decodeString(c, v)
	case reflect.Bool:
		d.decodeBool(c, v)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		d.decodeInt(c, v)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		d.decodeUint(c, v)
	case reflect.Float32, reflect.Float64:
		d.decodeFloat(c, v)
	default:
		panic(fmt.Sprintf("strictyaml: cannot decode into %s", v.Type()))
	}
}

// wants reports that a value is not of the kind it should be.
func (d *Document) wants(c cursor, wanted, remedy string) {
	d.problem(c, fmt.Sprintf("must be %s, but %s is here", wanted, c.node.kind), remedy)
}

func (d *Document) decodeText(c cursor, u encoding.TextUnmarshaler) {
	if !c.node.scalar() {
		d.wants(c, text.String(), "")
		return
	}
	err := u.UnmarshalText([]byte(c.node.text))
	if err == nil {
		return
	}
	if flaw, ok := errors.AsType[*Flaw](err); ok {
		d.problem(c, flaw.Message, flaw.Remedy)
		return
	}
	d.problem(c, err.Error(), "")
}

func (d *Document) decodeMap(c cursor, v reflect.Value) {
	if c.node.kind != mapping {
		d.wants(c, mapping.String(), `write "name: value" lines, indented`)
		return
	}
	out := reflect.MakeMapWithSize(v.Type(), len(c.node.members))
	for _, m := range d.named(c) {
		value := reflect.New(v.Type().Elem()).Elem()
		setDefaults(value)
		d.decode(c.member(m), value)
		out.SetMapIndex(reflect.ValueOf(m.key.text).Convert(v.Type().Key()), value)
	}
	v.Set(out)
}

func (d *Document) decodeSlice(c cursor, v reflect.Value) {
	if c.node.kind != list {
		d.wants(c, list.String(), `write "- " before each item, or [a, b]`)
		return
	}
	out := reflect.MakeSlice(v.Type(), len(c.node.items), len(c.node.items))
	for i := range c.node.items {
		setDefaults(out.Index(i))
		d.decode(c.item(i), out.Index(i))
	}
	v.Set(out)
}

// unique are the members of a mapping, each key once; the others are reported.
func (d *Document) unique(c cursor) []member {
	first := make(map[string]*node, len(c.node.members))
	out := make([]member, 0, len(c.node.members))
	for _, m := range c.node.members {
		if m.key.kind == refused {
			continue
		}
		if earlier, twice := first[m.key.text]; twice {
			d.problem(c.key(m), fmt.Sprintf("is here twice, first on line %d", earlier.line), "remove one of them")
			continue
		}
		first[m.key.text] = m.key
		out = append(out, m)
	}
	return out
}

// named are the unique members whose keys are text as written.
func (d *Document) named(c cursor) []member {
	return slices.DeleteFunc(d.unique(c), func(m member) bool {
		if m.key.kind == text {
			return false
		}
		d.problem(c.key(m), fmt.Sprintf("the key must be text, but %s is here", m.key.kind), "quote it")
		return true
	})
}

// setDefaults sets the defaults of a fresh struct.
func setDefaults(v reflect.Value) {
	if !v.CanAddr() {
		return
	}
	if defaulter, ok := reflect.TypeAssert[Defaulter](v.Addr()); ok {
		defaulter.SetDefaults()
	}
}

// field is one key of a struct.
type field struct {
	name     string
	required bool
	index    []int
}

// fields are the keys of a struct in the order of its fields, those of embedded structs included.
func fields(t reflect.Type) []field {
	var out []field
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case name == "-" || !f.IsExported() && !f.Anonymous:
		case name != "":
			out = append(out, field{name: name, required: options == "required", index: f.Index})
		case f.Anonymous && f.Type.Kind() == reflect.Struct:
			for _, inner := range fields(f.Type) {
				inner.index = append(append([]int(nil), f.Index...), inner.index...)
				out = append(out, inner)
			}
		}
	}
	return out
}

func (d *Document) decodeStruct(c cursor, v reflect.Value) {
	if c.node.kind != mapping {
		d.wants(c, mapping.String(), "its keys are "+strings.Join(names(fields(v.Type())), ", "))
		return
	}
	setDefaults(v)
	known := fields(v.Type())
	given := map[string]bool{}
	for _, m := range d.unique(c) {
		f, ok := lookup(known, m.key.text)
		if !ok {
			d.problem(c.key(m), "is not a key of this mapping", remedyForKey(m.key.text, names(known)))
			continue
		}
		given[f.name] = true
		d.decode(c.member(m), v.FieldByIndex(f.index))
	}
	if slices.ContainsFunc(c.node.members, func(m member) bool { return m.key.kind == refused }) {
		return // the refused key may be the one that is lacking
	}
	for _, f := range known {
		if f.required && !given[f.name] {
			d.problem(c, fmt.Sprintf("lacks the key %q", f.name), "")
		}
	}
}

func lookup(known []field, name string) (field, bool) {
	for _, f := range known {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

func names(known []field) []string {
	out := make([]string, len(known))
	for i, f := range known {
		out[i] = f.name
	}
	return out
}
