// Package policy decides. It loads what operators wrote, checks all of it at load, and for one
// activation says which asks to put (Plan.Next), when enough is known (Plan.Settled) and what the
// answer is (Plan.Decide).
//
// Deciding is total: it never fails, and what is missing counts as unknown. The package performs no
// I/O, asks nobody and knows no clock; whoever gathers findings hands them in.
package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/policy/condition"
	"github.com/countersign/countersign/gateway/internal/policy/target"
	"github.com/countersign/countersign/gateway/internal/strictyaml"
)

// Source is one policy file.
type Source struct {
	File string
	Data []byte
}

// Connector is what policies may ask of one connector.
type Connector struct {
	Name         string
	Capabilities []pim.Capability
}

// Options are what the rest of the configuration says about policies.
type Options struct {
	// FactBudget is the time there is for all asks of an evaluation. Policies whose chain of dependent
	// asks has explicit timeouts that cannot fit into it are refused; zero accepts any.
	FactBudget time.Duration
	// Linger is how long the gatherer waits for more reasons after a denial is certain.
	Linger time.Duration
}

// Set are the policies in force. It is safe for concurrent use.
type Set struct {
	library  *condition.Library
	names    target.RoleNames
	policies []*policy
	index    *target.Index
	fallback pim.Outcome
	revision string
	linger   time.Duration
}

// Revision identifies the policies: a digest of the sources and of the capabilities they use.
func (s *Set) Revision() string { return s.revision }

// Len is the number of policies.
func (s *Set) Len() int { return len(s.policies) }

// Default is the outcome where no policy applies or all abstain.
func (s *Set) Default() pim.Outcome { return s.fallback }

// Linger is Options.Linger.
func (s *Set) Linger() time.Duration { return s.linger }

// Load reads all sources and reports everything that is wrong with any of them. The set is nil if there
// is a problem.
func Load(sources []Source, connectors []Connector, o Options) (*Set, strictyaml.Problems) {
	l, err := newLoader(connectors, o)
	if err != nil {
		return nil, strictyaml.Problems{{Message: err.Error()}}
	}
	for _, source := range sources {
		l.read(source)
	}
	if len(l.problems) > 0 {
		l.problems.Sort()
		return nil, l.problems
	}
	l.set.revision = l.revision(sources)
	return l.set, nil
}

// loader collects policies and problems over all sources.
type loader struct {
	set        *Set
	connectors map[string]Connector
	options    Options
	problems   strictyaml.Problems
	places     map[string]string // of policies, by name
	fallback   string            // place of `default`
	used       map[string]pim.Capability
}

func newLoader(connectors []Connector, o Options) (*loader, error) {
	library, err := condition.NewLibrary()
	if err != nil {
		return nil, err
	}
	l := &loader{
		set: &Set{
			library: library, names: target.NewRoleNames(), index: target.NewIndex(), fallback: pim.Denied, linger: o.Linger,
		},
		connectors: map[string]Connector{}, options: o, places: map[string]string{}, used: map[string]pim.Capability{},
	}
	for _, c := range connectors {
		l.connectors[c.Name] = c
	}
	return l, nil
}

// file is one source that is being read.
type file struct {
	*loader
	doc    *strictyaml.Document
	flawed strictyaml.Problems // what decoding found
}

func (l *loader) read(source Source) {
	var d document
	doc, problems := strictyaml.Decode(source.File, source.Data, &d)
	l.problems = append(l.problems, problems...)
	f := &file{loader: l, doc: doc, flawed: problems}
	f.checkEmpty(d)
	f.readDefault(d.Default)
	for i, text := range d.Policies {
		f.readPolicy(strictyaml.Index("policies", i), text)
	}
}

// checkEmpty reports a file that says nothing: somebody believes that it protects something.
func (f *file) checkEmpty(d document) {
	switch {
	case len(f.flawed) > 0 || len(d.Policies) > 0:
	case f.doc.Has("policies"):
		f.report("policies", "the list of policies is empty", "write a policy, or remove the list")
	case !f.doc.Has("default"):
		f.report("", "the file has neither policies nor a default", "write a policy, or remove the file")
	}
}

func (f *file) readDefault(word defaultWord) {
	if !f.doc.Has("default") {
		return
	}
	place := f.place("default")
	if f.fallback != "" {
		f.report("default", "default is given already, at "+f.fallback, "keep one of the two")
		return
	}
	f.fallback = place
	if word == "approve" {
		f.set.fallback = pim.Approved
	}
}

func (f *file) readPolicy(path string, text policyText) {
	before := len(f.problems)
	c := compiler{file: f, path: path, text: text}
	p := c.compile()
	f.unique(path, p.name)
	if len(f.problems) > before || len(f.flawed) > 0 {
		return
	}
	number := len(f.set.policies)
	f.set.policies = append(f.set.policies, p)
	for _, s := range p.selectors {
		f.set.index.Add(number, s)
	}
}

// unique reports a name that another policy has, in whichever file.
func (f *file) unique(path, name string) {
	if name == "" {
		return
	}
	if earlier, taken := f.places[name]; taken {
		f.report(path+".name", fmt.Sprintf("a policy is named %s already, at %s", name, earlier), "give it another name")
		return
	}
	f.places[name] = f.place(path + ".name")
}

func (f *file) place(path string) string {
	line, column := f.doc.Position(path)
	return fmt.Sprintf("%s:%d:%d", f.doc.File(), line, column)
}

func (f *file) report(path, message, remedy string) {
	f.problems = append(f.problems, f.doc.Problem(path, message, remedy))
}

// reportText reports problems within a scalar's text at their own places.
func (f *file) reportText(path string, problems []condition.Problem) {
	for _, p := range problems {
		line, column := f.doc.TextPosition(path, p.Line, p.Column)
		f.problems = append(f.problems, strictyaml.Problem{
			File: f.doc.File(), Line: line, Column: column, Path: path, Message: p.Message, Remedy: p.Remedy,
		})
	}
}

// undecoded reports whether decoding found a problem at the path or within it, so that what is missing
// there is no news.
func (f *file) undecoded(path string) bool {
	return slices.ContainsFunc(f.flawed, func(p strictyaml.Problem) bool {
		rest, within := strings.CutPrefix(p.Path, path)
		return within && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// revision digests what decisions rest on. The lengths keep neighbours from running into each other.
func (l *loader) revision(sources []Source) string {
	h := sha256.New()
	for _, s := range sources {
		_, _ = fmt.Fprintf(h, "%d:", len(s.Data))
		_, _ = h.Write(s.Data)
	}
	// encoding/json sorts the members of a map.
	used, err := json.Marshal(l.used)
	if err != nil {
		used = []byte(err.Error())
	}
	_, _ = h.Write(used)
	return hex.EncodeToString(h.Sum(nil))
}
