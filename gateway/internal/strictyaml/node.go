package strictyaml

import "regexp"

// kind is what a node is, or what an unquoted scalar says by the core schema of YAML 1.2.2, section 10.3.2.
type kind int

const (
	refused kind = iota // reported already; nothing more is said about it
	null
	boolean
	integer
	float
	text
	list
	mapping
)

func (k kind) String() string {
	switch k {
	case null:
		return "nothing"
	case boolean:
		return "true or false"
	case integer:
		return "a whole number"
	case float:
		return "a number"
	case text:
		return "text"
	case list:
		return "a list"
	case mapping:
		return "a mapping"
	case refused:
		fallthrough
	default:
		return "something that is not allowed"
	}
}

// style is how a scalar is written.
type style int

const (
	plain style = iota
	single
	double
	block // literal or folded
)

// node is one value with its place, which for a block scalar is that of its indicator.
type node struct {
	kind         kind
	style        style
	line, column int
	text         string
	members      []member
	items        []*node
}

type member struct{ key, value *node }

func (n *node) scalar() bool {
	return n.kind == null || n.kind == boolean || n.kind == integer || n.kind == float || n.kind == text
}

func (n *node) member(name string) (member, bool) {
	for _, m := range n.members {
		if m.key.kind != refused && m.key.text == name {
			return m, true
		}
	}
	return member{}, false
}

var (
	nullText    = regexp.MustCompile(`^(~|null|Null|NULL)?$`)
	booleanText = regexp.MustCompile(`^(true|True|TRUE|false|False|FALSE)$`)
	integerText = regexp.MustCompile(`^([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$`)
	floatText   = regexp.MustCompile(`^([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$`)
)

func (n *node) setText(value string, s style) {
	n.text, n.style, n.kind = value, s, text
	if s != plain {
		return
	}
	switch {
	case nullText.MatchString(value):
		n.kind = null
	case booleanText.MatchString(value):
		n.kind = boolean
	case integerText.MatchString(value):
		n.kind = integer
	case floatText.MatchString(value):
		n.kind = float
	}
}
