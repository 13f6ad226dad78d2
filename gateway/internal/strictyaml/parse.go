package strictyaml

import (
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// parse turns the text into a tree; on a syntax error the tree is nil.
func (d *Document) parse(text string) {
	tokens := lexer.Tokenize(text)
	if !d.checkShape(tokens) {
		return
	}
	file, err := parseTokens(tokens)
	if err != nil {
		d.reportSyntax(err)
		return
	}
	var bodies []*ast.DocumentNode
	for _, document := range file.Docs {
		if _, directive := document.Body.(*ast.DirectiveNode); directive {
			line, column := place(document.Body.GetToken())
			d.report(line, column, "directives are not allowed", "remove the line")
			continue
		}
		if document.Body != nil {
			bodies = append(bodies, document)
		}
	}
	if len(bodies) > 1 {
		line, column := place(bodies[1].Body.GetToken())
		if bodies[1].Start != nil {
			line, column = place(bodies[1].Start)
		}
		d.report(line, column, "a second document begins here", "one file holds one document; move it to a file of its own")
	}
	if len(bodies) > 0 {
		d.root = d.convert(bodies[0].Body, 0)
	}
}

// parseTokens keeps a panic of the parser, which reads whatever an operator wrote, from ending the
// gateway that is asked to load it.
func parseTokens(tokens token.Tokens) (file *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("cannot be read as YAML: %v", r)
		}
	}()
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

func (d *Document) reportSyntax(err error) {
	var syntax *yaml.SyntaxError
	if !errors.As(err, &syntax) || syntax.Token == nil {
		d.report(0, 0, err.Error(), "")
		return
	}
	line, column := place(syntax.Token)
	d.report(line, column, "is not valid YAML here: "+syntax.Message, "")
}

func place(t *token.Token) (line, column int) {
	if t == nil || t.Position == nil {
		return 0, 0
	}
	return t.Position.Line, t.Position.Column
}

// convert copies the library's tree into ours, refusing what the subset leaves out.
func (d *Document) convert(n ast.Node, depth int) *node {
	out := &node{}
	out.line, out.column = place(n.GetToken())
	if depth > maxDepth {
		message, remedy := tooDeep()
		d.report(out.line, out.column, message, remedy)
		return out
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		d.convertMapping(out, n.Values, depth)
	case *ast.MappingValueNode:
		d.convertMapping(out, []*ast.MappingValueNode{n}, depth)
	case *ast.SequenceNode:
		out.kind = list
		for _, value := range n.Values {
			out.items = append(out.items, d.convert(value, depth+1))
		}
	case *ast.StringNode:
		out.setText(n.Value, styleOf(n.Token))
	case *ast.LiteralNode:
		out.setText(n.Value.Value, block)
	case ast.ScalarNode:
		d.convertScalar(out, n, depth)
	default:
		d.refuse(out, n, depth)
	}
	return out
}

func (d *Document) convertScalar(out *node, n ast.ScalarNode, depth int) {
	switch n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		d.refuse(out, n, depth)
	default:
		out.setText(n.GetToken().Value, plain)
	}
}

func (d *Document) convertMapping(out *node, values []*ast.MappingValueNode, depth int) {
	out.kind = mapping
	for i, value := range values {
		key := d.convertKey(value.Key)
		if i == 0 && (out.line > key.line || out.line == key.line && out.column > key.column) {
			// The library puts a block mapping at its first colon.
			out.line, out.column = key.line, key.column
		}
		out.members = append(out.members, member{key: key, value: d.convert(value.Value, depth+1)})
	}
}

func (d *Document) convertKey(key ast.MapKeyNode) *node {
	out := &node{}
	out.line, out.column = place(key.GetToken())
	switch key := key.(type) {
	case *ast.StringNode:
		out.setText(key.Value, styleOf(key.Token))
	case *ast.MappingKeyNode:
		d.report(out.line, out.column, `keys with "?" are not allowed`, `write "key: value"`)
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		d.refuse(out, key, maxDepth)
	default:
		out.setText(key.GetToken().Value, plain)
	}
	return out
}

// refuse reports what the subset leaves out and goes on with what it decorates, so that the problems
// below it show as well.
func (d *Document) refuse(out *node, n ast.Node, depth int) {
	var inner ast.Node
	switch n := n.(type) {
	case *ast.AnchorNode:
		d.report(out.line, out.column, "anchors are not allowed", "write the value out wherever it is needed")
		inner = n.Value
	case *ast.AliasNode:
		d.report(out.line, out.column, "aliases are not allowed", "write the value out")
	case *ast.MergeKeyNode:
		d.report(out.line, out.column, "merge keys are not allowed", "write the keys out")
	case *ast.TagNode:
		d.report(out.line, out.column, "tags are not allowed", "remove it; quote the value if it is text")
		inner = n.Value
	default:
		d.report(out.line, out.column, "is not allowed here", "")
	}
	if inner != nil && depth < maxDepth {
		*out = *d.convert(inner, depth+1)
	}
}

func styleOf(t *token.Token) style {
	switch t.Type {
	case token.SingleQuoteType:
		return single
	case token.DoubleQuoteType:
		return double
	default:
		return plain
	}
}
