package strictjson

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Limits bound what Parse accepts. A zero limit means its default.
type Limits struct {
	// Bytes is the size of the document, by default 64 KiB.
	Bytes int
	// Depth is how deep objects and arrays may be nested, the outermost counted, by default 32.
	Depth int
	// Values is how many values the document may have in total, by default 1024. It also bounds the
	// work of comparing names, which grows with the square of an object's members.
	Values int
	// SkipBOM accepts a UTF-8 byte order mark in front of the document.
	SkipBOM bool
}

func (l Limits) withDefaults() Limits {
	if l.Bytes == 0 {
		l.Bytes = 64 << 10
	}
	if l.Depth == 0 {
		l.Depth = 32
	}
	if l.Values == 0 {
		l.Values = 1024
	}
	return l
}

// Parse reads a document that is one object. Every error is an *Error.
func Parse(document []byte, l Limits) (Object, error) {
	l = l.withDefaults()
	if len(document) > l.Bytes {
		return Object{}, &Error{Problem: "is too large"}
	}
	if l.SkipBOM {
		document = bytes.TrimPrefix(document, []byte("\ufeff"))
	}
	p := parser{
		// Names are compared below, which finds exact duplicates too.
		decoder: jsontext.NewDecoder(bytes.NewBuffer(document), jsontext.AllowDuplicateNames(true)),
		limits:  l,
		tree:    &tree{source: string(document), nodes: make([]node, 0, 8+len(document)/24)},
	}
	if p.decoder.PeekKind() != jsontext.KindBeginObject {
		return Object{}, p.notObject()
	}
	if err := p.value(noNode, "", 1); err != nil {
		return Object{}, err
	}
	if _, err := p.decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return Object{}, &Error{Problem: "has something after its end"}
	}
	return Object{tree: p.tree}, nil
}

type parser struct {
	decoder *jsontext.Decoder
	limits  Limits
	tree    *tree
}

// notObject tells a document of another kind from no document at all.
func (p *parser) notObject() error {
	if err := p.decoder.SkipValue(); err != nil {
		return notJSON()
	}
	return &Error{Problem: "is not an object"}
}

func notJSON() error { return &Error{Problem: "is not valid JSON"} }

// value reads one value and puts it under its parent. The error is about the member, not the reader's
// own: texts of the JSON library quote the document.
func (p *parser) value(parent int32, name string, depth int) error {
	if len(p.tree.nodes) >= p.limits.Values {
		return &Error{Problem: "has too many members"}
	}
	kind := p.decoder.PeekKind()
	switch kind {
	case jsontext.KindBeginObject, jsontext.KindBeginArray:
		if depth > p.limits.Depth {
			return &Error{Problem: "is nested too deeply"}
		}
		return p.container(kind, p.tree.add(parent, name, kindOf(kind)), depth)
	case jsontext.KindString, jsontext.KindNumber:
		text, err := p.text()
		if err != nil {
			return err
		}
		p.tree.nodes[p.tree.add(parent, name, kindOf(kind))].text = text
		return nil
	default:
		token, err := p.decoder.ReadToken()
		if err != nil {
			return notJSON()
		}
		at := p.tree.add(parent, name, kindOf(token.Kind()))
		p.tree.nodes[at].isTrue = token.Kind() == jsontext.KindTrue
		return nil
	}
}

// container reads the members or elements of the value that was just added.
func (p *parser) container(open jsontext.Kind, at int32, depth int) error {
	if _, err := p.decoder.ReadToken(); err != nil {
		return notJSON()
	}
	for {
		next := p.decoder.PeekKind()
		if next == jsontext.KindEndObject || next == jsontext.KindEndArray {
			if _, err := p.decoder.ReadToken(); err != nil {
				return notJSON()
			}
			return nil
		}
		if next == jsontext.KindInvalid {
			return notJSON()
		}
		name, err := p.memberName(open, at)
		if err != nil {
			return err
		}
		if err := p.value(at, name, depth+1); err != nil {
			return err
		}
	}
}

// memberName reads the name of the next member and compares it with those before. Elements of arrays
// have none.
func (p *parser) memberName(open jsontext.Kind, at int32) (string, error) {
	if open == jsontext.KindBeginArray {
		return "", nil
	}
	name, err := p.text()
	if err != nil {
		return "", err
	}
	for child := p.tree.nodes[at].first; child != noNode; child = p.tree.nodes[child].next {
		if strings.EqualFold(p.tree.nodes[child].name, name) {
			return "", &Error{Path: p.tree.path(child), Problem: "occurs twice"}
		}
	}
	return name, nil
}

// text reads a string or number. Where nothing is escaped it is a part of the source and costs nothing.
func (p *parser) text() (string, error) {
	raw, err := p.decoder.ReadValue()
	if err != nil {
		return "", notJSON()
	}
	end := int(p.decoder.InputOffset())
	if raw[0] != '"' {
		return p.tree.source[end-len(raw) : end], nil
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return p.tree.source[end-len(raw)+1 : end-1], nil
	}
	unquoted, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		return "", notJSON()
	}
	return string(unquoted), nil
}
