package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// yamlEntries reads one of the lists of a YAML file: lists of mappings of plain values under the names of
// the tables. Nothing else of YAML is accepted: no anchors, tags, merges, and no second document.
func yamlEntries(r *report, table string, data []byte) []entry {
	file := parseYAML(r, data)
	if file == nil {
		return nil
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		r.add(place{}, "must be one document")
		return nil
	}
	var entries []entry
	for _, member := range members(r, file.Docs[0].Body) {
		switch name := keyOf(r, member); {
		case name == table:
			entries = yamlList(r, name, member.Value)
		case !isTable(name):
			r.add(placeOf(member.Key), "%s is not one of principals, employments and shifts", quoted(name))
		}
	}
	if entries == nil {
		r.add(place{}, "has no list %s", table)
	}
	return entries
}

func isTable(name string) bool {
	return name == principalsTable || name == employmentsTable || name == shiftsTable
}

// maxNesting is more than any table needs. The parser takes minutes for a line of brackets.
const maxNesting = 8

// tooDeep finds the first place with too many open brackets, or too many dashes in a line.
func tooDeep(tokens token.Tokens) (place, bool) {
	line, dashes, open := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, dashes = t.Position.Line, 0
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			open++
		case token.SequenceEndType, token.MappingEndType:
			open--
		case token.SequenceEntryType, token.MappingKeyType:
			dashes++
		default:
		}
		if open > maxNesting || dashes > maxNesting {
			return place{line, t.Position.Column}, true
		}
	}
	return place{}, false
}

// parseYAML returns nil if there is a problem. A panic of the parser does not end the connector.
func parseYAML(r *report, data []byte) (file *ast.File) {
	defer func() {
		if recover() != nil {
			r.add(place{}, "cannot be read as YAML")
			file = nil
		}
	}()
	tokens := lexer.Tokenize(string(data))
	if at, deep := tooDeep(tokens); deep {
		r.add(at, "is nested deeper than lists of mappings are")
		return nil
	}
	// Duplicates are reported here, all of them and with their places.
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		addYAML(r, err)
		return nil
	}
	return file
}

func addYAML(r *report, err error) {
	if syntax, ok := errors.AsType[*yaml.SyntaxError](err); ok && syntax.Token != nil && syntax.Token.Position != nil {
		r.add(place{syntax.Token.Position.Line, syntax.Token.Position.Column}, "is not valid YAML here: %s", syntax.Message)
		return
	}
	r.add(place{}, "cannot be read as YAML")
}

func yamlList(r *report, table string, n ast.Node) []entry {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		r.add(placeOf(n), "%s must be a list", table)
		return nil
	}
	entries := make([]entry, 0, len(list.Values))
	for _, item := range list.Values {
		entries = append(entries, yamlEntry(r, item))
	}
	return entries
}

func yamlEntry(r *report, n ast.Node) entry {
	e := entry{placeOf(n), map[string]cell{}}
	for i, member := range members(r, n) {
		name, at := keyOf(r, member), placeOf(member.Key)
		if i == 0 {
			e.place = at
		}
		if value, ok := yamlCell(r, member); ok {
			value.key = at
			e.cells[name] = value
		}
	}
	return e
}

// members are the keys and values of a mapping, each key once.
func members(r *report, n ast.Node) []*ast.MappingValueNode {
	var all []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		all = n.Values
	case *ast.MappingValueNode:
		all = []*ast.MappingValueNode{n}
	default:
		r.add(placeOf(n), "must be a mapping of fields to values")
	}
	seen := map[string]bool{}
	for _, member := range all {
		name := member.Key.GetToken().Value
		if seen[name] {
			r.add(placeOf(member.Key), "%s is there twice", quoted(name))
		}
		seen[name] = true
	}
	return all
}

func keyOf(r *report, member *ast.MappingValueNode) string {
	key, ok := member.Key.(*ast.StringNode)
	if !ok {
		r.add(placeOf(member.Key), "a key must be a plain word")
		return ""
	}
	return key.Value
}

// yamlCell takes a scalar as it is written, so that 00123 stays 00123. A key without a value is refused:
// it could mean none as well as unknown.
func yamlCell(r *report, member *ast.MappingValueNode) (cell, bool) {
	at, name := placeOf(member.Value), quoted(member.Key.GetToken().Value)
	switch n := member.Value.(type) {
	case *ast.NullNode:
		if n.Token.Type != token.NullType {
			r.add(placeOf(member.Key), "%s has no value; write none, or leave it out if it is unknown", name)
			return cell{}, false
		}
		return cell{place: at, none: true}, true
	case *ast.StringNode:
		plain := n.Token.Type != token.SingleQuoteType && n.Token.Type != token.DoubleQuoteType
		return cell{place: at, text: n.Value, none: plain && n.Value == noneWord}, true
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode:
		return cell{place: at, text: n.GetToken().Value}, true
	default:
		r.add(at, "%s must be a plain value", name)
		return cell{}, false
	}
}

func placeOf(n ast.Node) place {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return place{}
	}
	at := n.GetToken().Position
	return place{at.Line, at.Column}
}

// quoted shows a name that somebody wrote; one that is no plain word is not repeated.
func quoted(name string) string {
	if len(name) > 64 || strings.ContainsFunc(name, func(c rune) bool { return c > '~' || c < ' ' }) {
		return "a name"
	}
	return fmt.Sprintf("%q", name)
}
