package internal_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/countersign/countersign/"

// floorPlan lists the rooms from the ground up. A room may import the rooms above its line, and of
// the rest of the repository only what stands behind the arrow. An arrow upwards cannot be written
// down, and so neither can a cycle.
const floorPlan = `
gateway/internal/pim
gateway/internal/strictjson
gateway/internal/strictyaml
gateway/internal/callout
gateway/internal/entra
gateway/internal/policy
gateway/internal/fleet         -> connectors/host connectors/finding proto/countersign/connector/v1
gateway/internal/gather
gateway/internal/journal
gateway/internal/evaluation
gateway/internal/httpapi
gateway/internal/config
gateway/internal/telemetry
gateway/internal/sim           -> connectors/connectortest configs
gateway/cmd/countersign        -> connectors/host configs
`

// homes says where each foreign library may be imported; tests may import what they like.
const homes = `
github.com/gin-gonic/gin                gateway/internal/httpapi
cel.dev/cel-go                          gateway/internal/policy
github.com/sony/gobreaker/v2            gateway/internal/gather
github.com/hashicorp/go-plugin          connectors
github.com/hashicorp/go-hclog           connectors
github.com/hashicorp/go-retryablehttp   connectors/upstream
github.com/goccy/go-yaml                gateway/internal/strictyaml plugins/roster
github.com/go-json-experiment/json      gateway/internal/strictjson gateway/internal/callout gateway/internal/entra gateway/internal/journal connectors/upstream plugins
modernc.org/sqlite                      gateway/internal/journal/sqlite
github.com/prometheus/client_golang     gateway/internal/telemetry
github.com/spf13/cobra                  gateway/cmd/countersign
github.com/invopop/jsonschema           gateway/internal/config
`

// outside says what the folders beside the gateway may import of the repository.
const outside = `
proto       -> proto
connectors  -> connectors proto
plugins     -> connectors proto plugins
configs     -> configs
`

type importer struct {
	folder string // slash-separated, from the root of the repository
	file   string
	test   bool
	path   string
}

func TestFloorPlan(t *testing.T) {
	t.Parallel()
	rooms := parsePlan(floorPlan)
	for _, i := range imports(t) {
		if reason := rooms.refuses(i); reason != "" {
			t.Errorf("%s imports %s: %s", i.file, i.path, reason)
		}
	}
}

func TestForeignLibrariesStayAtHome(t *testing.T) {
	t.Parallel()
	libraries := parseHomes()
	for _, i := range imports(t) {
		for library, allowed := range libraries {
			if i.test || !within(i.path, library) {
				continue
			}
			if !slices.ContainsFunc(allowed, func(home string) bool { return within(i.folder, home) }) {
				t.Errorf("%s imports %s, which lives in %s", i.file, i.path, strings.Join(allowed, " and "))
			}
		}
	}
}

func TestNounsImportTheStandardLibraryOnly(t *testing.T) {
	t.Parallel()
	for _, i := range imports(t) {
		first, _, _ := strings.Cut(i.path, "/")
		if within(i.folder, "gateway/internal/pim") && !i.test && strings.Contains(first, ".") {
			t.Errorf("%s imports %s", i.file, i.path)
		}
	}
}

func TestServingPathDoesNotReachTheStandIns(t *testing.T) {
	t.Parallel()
	for _, i := range imports(t) {
		standIn := within(i.path, module+"gateway/internal/sim") || within(i.path, module+"connectors/connectortest")
		if standIn && !i.test && !mayUseStandIns(i) {
			t.Errorf("%s imports %s: stand-ins live in tests, in sim, in simulate or behind demo", i.file, i.path)
		}
	}
}

func mayUseStandIns(i importer) bool {
	if within(i.folder, "gateway/internal/sim") || within(i.folder, "connectors/connectortest") {
		return true
	}
	name := path.Base(i.file)
	return within(i.folder, "gateway/cmd/countersign") && (strings.HasPrefix(name, "demo") || name == "simulate.go")
}

type plan struct {
	order   []string
	allowed map[string][]string
}

func parsePlan(text string) plan {
	p := plan{allowed: map[string][]string{}}
	for line := range strings.Lines(text) {
		room, beyond, _ := strings.Cut(strings.TrimSpace(line), "->")
		if room = strings.TrimSpace(room); room != "" {
			p.order = append(p.order, room)
			p.allowed[room] = strings.Fields(beyond)
		}
	}
	return p
}

// refuses says why a file may not import something of this repository, or nothing.
func (p plan) refuses(i importer) string {
	target, ours := strings.CutPrefix(i.path, module)
	if !ours {
		return ""
	}
	from := p.room(i.folder)
	if from < 0 {
		return refusedOutside(i, target)
	}
	if within(target, p.order[from]) || i.test && !within(target, "plugins") {
		return ""
	}
	if to := p.room(target); to >= 0 {
		if to < from {
			return ""
		}
		return "a room imports only the rooms above it in the plan"
	}
	if slices.ContainsFunc(p.allowed[p.order[from]], func(allowed string) bool { return within(target, allowed) }) {
		return ""
	}
	return "the plan has no such arrow"
}

func refusedOutside(i importer, target string) string {
	sides := parsePlan(outside)
	for _, side := range sides.order {
		if within(i.folder, side) && slices.ContainsFunc(sides.allowed[side], func(a string) bool { return within(target, a) }) {
			return ""
		}
	}
	return "the plan has no room for " + i.folder + " or no such arrow"
}

func (p plan) room(folder string) int {
	return slices.IndexFunc(p.order, func(room string) bool { return within(folder, room) })
}

func parseHomes() map[string][]string {
	libraries := map[string][]string{}
	for line := range strings.Lines(homes) {
		if words := strings.Fields(line); len(words) > 1 {
			libraries[words[0]] = words[1:]
		}
	}
	return libraries
}

// within reports whether a path is the folder or lies below it.
func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// imports reads the import declarations of every Go file of the module.
func imports(t *testing.T) []importer {
	t.Helper()
	const root = "../.."
	var all []importer
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == "node_modules" || strings.HasPrefix(entry.Name(), ".") && path != root) {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == ".go" {
			all = append(all, importsOf(t, root, path)...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no Go file was found")
	}
	return all
}

func importsOf(t *testing.T, root, path string) []importer {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(root, path)
	if err != nil {
		t.Fatal(err)
	}
	relative = filepath.ToSlash(relative)
	list := make([]importer, 0, len(file.Imports))
	for _, spec := range file.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		folder, _, _ := strings.Cut(relative, "/"+filepath.Base(relative))
		list = append(list, importer{folder: folder, file: relative, test: strings.HasSuffix(relative, "_test.go"), path: target})
	}
	return list
}
