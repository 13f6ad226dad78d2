package strictjson

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Kind is what a member is.
type Kind uint8

// The kinds of members.
const (
	Absent Kind = iota
	Null
	Bool
	Number
	String
	IsObject
	IsArray
)

func kindOf(k jsontext.Kind) Kind {
	switch k {
	case jsontext.KindTrue, jsontext.KindFalse:
		return Bool
	case jsontext.KindNumber:
		return Number
	case jsontext.KindString:
		return String
	case jsontext.KindBeginObject:
		return IsObject
	case jsontext.KindBeginArray:
		return IsArray
	default:
		return Null
	}
}

// tree holds all values of a document in one slice; the first is the document itself.
type tree struct {
	source string
	nodes  []node
}

// node is one value. Its children are a list: first, then next of each.
type node struct {
	name, text                string
	parent, first, last, next int32
	kind                      Kind
	isTrue                    bool
}

// noNode ends a list of children. The document itself is nobody's child, so that zero is free.
const noNode int32 = 0

func (t *tree) add(parent int32, name string, kind Kind) int32 {
	at := int32(len(t.nodes)) //nolint:gosec // Limits.Values is far below 2^31
	t.nodes = append(t.nodes, node{name: name, parent: parent, kind: kind})
	if at == 0 {
		return at
	}
	if p := &t.nodes[parent]; p.first == noNode {
		p.first, p.last = at, at
	} else {
		t.nodes[p.last].next = at
		p.last = at
	}
	return at
}

// path is built only for errors and unknown members: from the value up to the document.
func (t *tree) path(at int32) string {
	var parts []string
	for ; at != 0; at = t.nodes[at].parent {
		if t.nodes[t.nodes[at].parent].kind == IsArray {
			parts = append(parts, "["+strconv.Itoa(t.index(at))+"]")
		} else {
			parts = append(parts, "."+Printable(t.nodes[at].name))
		}
	}
	var b strings.Builder
	for _, part := range slices.Backward(parts) {
		b.WriteString(part)
	}
	return shorten(strings.TrimPrefix(b.String(), "."))
}

func (t *tree) index(at int32) int {
	n := 0
	for child := t.nodes[t.nodes[at].parent].first; child != at; child = t.nodes[child].next {
		n++
	}
	return n
}

func shorten(path string) string {
	if len(path) <= longestPath {
		return path
	}
	return path[:longestPath-3] + "..."
}
