package strictjson

import (
	"iter"
	"strconv"
)

// Object is one object of a document. Its getters treat null like an absent member and refuse every
// other kind than theirs with an *Error that names the path. The zero Object has no members.
type Object struct {
	tree       *tree
	at         int32
	ignoreCase bool
}

// IgnoringCase is the same object, and the objects in it, looked up without regard to ASCII case. Names
// with other than ASCII letters never match: Parse saw to it that at most one member does.
func (o Object) IgnoringCase() Object {
	o.ignoreCase = true
	return o
}

// Kind tells what a member is, null and absent apart.
func (o Object) Kind(name string) Kind {
	at := o.find(name)
	if at == noNode {
		return Absent
	}
	return o.tree.nodes[at].kind
}

// Has reports whether a member is there and not null.
func (o Object) Has(name string) bool { return o.Kind(name) > Null }

// String reads a string; the second result is false if it is absent or null.
func (o Object) String(name string) (string, bool, error) {
	at, ok, err := o.member(name, String, "is not a string")
	if !ok {
		return "", false, err
	}
	return o.tree.nodes[at].text, true, nil
}

// Bool reads true or false; the second result is false if it is absent or null.
func (o Object) Bool(name string) (value, ok bool, err error) {
	at, ok, err := o.member(name, Bool, "is neither true nor false")
	if !ok {
		return false, false, err
	}
	return o.tree.nodes[at].isTrue, true, nil
}

// Int reads a number that is written as an integer: 1.0, 1e3 and -0 are none.
func (o Object) Int(name string) (int64, bool, error) {
	at, ok, err := o.member(name, Number, "is not an integer")
	if !ok {
		return 0, false, err
	}
	text := o.tree.nodes[at].text
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil || text == "-0" {
		return 0, false, &Error{Path: o.tree.path(at), Problem: "is not an integer"}
	}
	return value, true, nil
}

// Object reads an object, which ignores case if this one does. An absent one has no members.
func (o Object) Object(name string) (Object, bool, error) {
	at, ok, err := o.member(name, IsObject, "is not an object")
	if !ok {
		return Object{}, false, err
	}
	return Object{tree: o.tree, at: at, ignoreCase: o.ignoreCase}, true, nil
}

// Objects reads an array whose elements are all objects.
func (o Object) Objects(name string) ([]Object, bool, error) {
	at, ok, err := o.member(name, IsArray, "is not an array")
	if !ok {
		return nil, false, err
	}
	var all []Object
	for child := o.tree.nodes[at].first; child != noNode; child = o.tree.nodes[child].next {
		if o.tree.nodes[child].kind != IsObject {
			return nil, false, &Error{Path: o.tree.path(child), Problem: "is not an object"}
		}
		all = append(all, Object{tree: o.tree, at: child, ignoreCase: o.ignoreCase})
	}
	return all, true, nil
}

// Strings reads an array whose elements are all strings.
func (o Object) Strings(name string) ([]string, bool, error) {
	at, ok, err := o.member(name, IsArray, "is not an array")
	if !ok {
		return nil, false, err
	}
	var all []string
	for child := o.tree.nodes[at].first; child != noNode; child = o.tree.nodes[child].next {
		if o.tree.nodes[child].kind != String {
			return nil, false, &Error{Path: o.tree.path(child), Problem: "is not a string"}
		}
		all = append(all, o.tree.nodes[child].text)
	}
	return all, true, nil
}

// Members are the names and kinds of the object's members, as they are spelt and in their order.
func (o Object) Members() iter.Seq2[string, Kind] {
	return func(yield func(string, Kind) bool) {
		if o.tree == nil {
			return
		}
		for child := o.tree.nodes[o.at].first; child != noNode; child = o.tree.nodes[child].next {
			if !yield(o.tree.nodes[child].name, o.tree.nodes[child].kind) {
				return
			}
		}
	}
}

// Path names a member as the document spells it, in a form that may be printed.
func (o Object) Path(name string) string {
	if at := o.find(name); at != noNode {
		return o.tree.path(at)
	}
	if o.at == 0 {
		return Printable(name)
	}
	return shorten(o.tree.path(o.at) + "." + Printable(name))
}

// member finds a member of one kind; ok is false if it is absent, null or of another kind.
func (o Object) member(name string, kind Kind, otherwise string) (at int32, ok bool, err error) {
	at = o.find(name)
	if at == noNode || o.tree.nodes[at].kind == Null {
		return noNode, false, nil
	}
	if o.tree.nodes[at].kind != kind {
		return noNode, false, &Error{Path: o.tree.path(at), Problem: otherwise}
	}
	return at, true, nil
}

func (o Object) find(name string) int32 {
	if o.tree == nil {
		return noNode
	}
	for child := o.tree.nodes[o.at].first; child != noNode; child = o.tree.nodes[child].next {
		spelt := o.tree.nodes[child].name
		if spelt == name || o.ignoreCase && EqualASCII(spelt, name) {
			return child
		}
	}
	return noNode
}

// EqualASCII compares two names without regard to the case of ASCII letters. Unlike
// [strings.EqualFold] it does not take U+212A for k or U+017F for s.
func EqualASCII(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}
