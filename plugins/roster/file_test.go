package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/connectors/connectortest"
	rosterv1 "github.com/countersign/countersign/proto/countersign/plugins/roster/v1"
)

func readTestdata(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// parseFile reads one table from a text.
func parseFile(name, table, text string) error {
	var err error
	zone := time.UTC
	switch table {
	case principalsTable:
		_, err = newTable(table, name, format{zone: zone}, principals).parse([]byte(text))
	case employmentsTable:
		_, err = newTable(table, name, format{zone: zone}, employments).parse([]byte(text))
	default:
		_, err = newTable(table, name, format{zone: zone}, shifts).parse([]byte(text))
	}
	return err
}

// Every problem of a file is reported, each with its place.
func TestProblemsAreReportedWithTheirPlace(t *testing.T) {
	t.Parallel()
	const shift = "shifts:\n  - email: a@x.example\n    service: S\n    level: 1\n    permanent: true\n"
	cases := map[string]struct {
		name, table, text string
		want              string
	}{
		"several at once": {
			"f.yaml", employmentsTable,
			"employments:\n  - employee_number: 1\n    state: actve\n    hierd_at: 2020-01-01\n  - department: X\n    on_leave: yes\n",
			"f.yaml:3:12: state must be one of preboarding, active, leave, suspended, notice, terminated, retired\n" +
				`f.yaml:4:5: "hierd_at" is no field of this table` + "\n" +
				"f.yaml:5:5: an employment needs an employee_number or an email\n" +
				"f.yaml:6:15: on_leave must be true or false",
		},
		"a key twice":             {"f.yaml", shiftsTable, shift + "    level: 2\n", `f.yaml:6:5: "level" is there twice`},
		"a person twice":          {"f.yaml", employmentsTable, "employments:\n  - email: a@x.example\n  - email: A@x.example\n", "f.yaml:3:5: email is the same as in line 2"},
		"a principal twice":       {"f.yaml", principalsTable, "principals:\n  - id: " + erinID + "\n  - id: " + strings.ToUpper(erinID) + "\n", "f.yaml:3:5: id is the same as in line 2"},
		"a shift twice":           {"f.yaml", shiftsTable, shift + strings.TrimPrefix(shift, "shifts:\n"), "f.yaml:6:5: the shift is the same as in line 2"},
		"a list that is missing":  {"f.yaml", principalsTable, shift, "f.yaml: has no list principals"},
		"a list nobody knows":     {"f.yaml", shiftsTable, shift + "rotas: []\n", `f.yaml:6:1: "rotas" is not one of principals, employments and shifts`},
		"an anchor":               {"f.yaml", shiftsTable, "shifts:\n  - &a {email: a@x.example}\n", "f.yaml:2:5: must be a mapping of fields to values\nf.yaml:2:5: a shift needs an email and a level"},
		"a key without a value":   {"f.yaml", employmentsTable, "employments:\n  - email: a@x.example\n    ends_at:\n", `f.yaml:3:5: "ends_at" has no value; write none, or leave it out if it is unknown`},
		"broken YAML":             {"f.yaml", shiftsTable, "shifts: [\n", "f.yaml:1:9: is not valid YAML here: sequence end token ']' not found"},
		"a line of brackets":      {"f.yaml", shiftsTable, strings.Repeat("[", 100_000), "f.yaml:1:9: is nested deeper than lists of mappings are"},
		"two documents":           {"f.yaml", shiftsTable, shift + "---\n" + shift, "f.yaml: must be one document"},
		"nothing":                 {"f.yaml", shiftsTable, "", "f.yaml: must be one document"},
		"no level":                {"f.yaml", shiftsTable, strings.Replace(shift, "    level: 1\n", "", 1), "f.yaml:2:5: a shift needs an email and a level"},
		"level 0":                 {"f.yaml", shiftsTable, strings.Replace(shift, "level: 1", "level: 0", 1), "f.yaml:4:12: level must be a number from 1 to 100\nf.yaml:2:5: a shift needs an email and a level"},
		"level one":               {"f.yaml", shiftsTable, strings.Replace(shift, "level: 1", "level: 1.0", 1), "f.yaml:4:12: level must be a number from 1 to 100\nf.yaml:2:5: a shift needs an email and a level"},
		"for nothing":             {"f.yaml", shiftsTable, strings.Replace(shift, "    service: S\n", "", 1), "f.yaml:2:5: a shift needs a service, an escalation_policy or a schedule"},
		"neither bounds nor ever": {"f.yaml", shiftsTable, strings.Replace(shift, "permanent: true", "permanent: false", 1), "f.yaml:2:5: a shift needs starts_at and ends_at, or permanent: true and neither of them"},
		"without an end":          {"f.yaml", shiftsTable, strings.Replace(shift, "permanent: true", "starts_at: 2026-11-23\n    ends_at: none", 1), "f.yaml:2:5: a shift needs starts_at and ends_at, or permanent: true and neither of them"},
		"on_call is worked out":   {"f.yaml", shiftsTable, shift + "    on_call: true\n", `f.yaml:6:5: "on_call" is no field of this table`},
		"no observation":          {"f.yaml", employmentsTable, "employments:\n  - email: a@x.example\n    observation: none\n", `f.yaml:3:5: "observation" is no field of this table`},
		"ends before it begins":   {"f.yaml", shiftsTable, strings.Replace(shift, "permanent: true", "starts_at: 2026-11-23T10:00:00Z\n    ends_at: 2026-11-23T10:00:00Z", 1), "f.yaml:2:5: it ends before it begins"},
		"a time without a zone":   {"f.yaml", shiftsTable, strings.Replace(shift, "permanent: true", "starts_at: 2026-11-23T10:00:00\n    ends_at: 2026-11-24", 1), "f.yaml:5:16: starts_at must be a time such as 2026-11-23T08:00:00+01:00 or a date such as 2026-11-23\nf.yaml:2:5: a shift needs starts_at and ends_at, or permanent: true and neither of them"},
		"leave and no leave":      {"f.yaml", employmentsTable, "employments:\n  - email: a@x.example\n    state: leave\n    on_leave: false\n", "f.yaml:2:5: state leave and on_leave false contradict each other"},
		"no address":              {"f.yaml", employmentsTable, "employments:\n  - email: nobody\n", "f.yaml:2:12: email must be an address\nf.yaml:2:5: an employment needs an employee_number or an email"},
		"an empty text":           {"f.yaml", employmentsTable, "employments:\n  - email: a@x.example\n    department: \"\"\n", "f.yaml:3:17: department must be a text"},
		"CSV: a column twice":     {"f.csv", shiftsTable, "email,email\n", "f.csv:1:7: \"email\" is there twice\nf.csv:1:1: has no records below the names of the fields"},
		"CSV: an unknown column":  {"f.csv", employmentsTable, "email,shoe\na@x.example,46\n", `f.csv:1:7: "shoe" is no field of this table`},
		"CSV: a cell too many":    {"f.csv", employmentsTable, "email\na@x.example,b\n", "f.csv:2:1: wrong number of fields"},
		"CSV: a stray quote":      {"f.csv", employmentsTable, "email\n\"a@x.example\"b\n", "f.csv:2:13: extraneous or missing \" in quoted-field"},
		"CSV: nothing":            {"f.csv", employmentsTable, "", "f.csv: is empty; the first line names the fields"},
		"CSV: only names":         {"f.csv", employmentsTable, "email\n", "f.csv:1:1: has no records below the names of the fields"},
		"CSV: a person twice":     {"f.csv", employmentsTable, "email,state\na@x.example,active\nA@X.example,retired\n", "f.csv:3:1: email is the same as in line 2"},
		"not UTF-8":               {"f.csv", employmentsTable, "email\na\xff@x.example\n", "f.csv: is not UTF-8 text"},
		"another alphabet's A":    {"f.csv", employmentsTable, "email\n\u212a@x.example\n", "f.csv:2:1: email must be an address\nf.csv:2:1: an employment needs an employee_number or an email"},
		"an invisible character":  {"f.csv", employmentsTable, "email,department\na@x.example,X\u202eY\n", "f.csv:2:13: department must be a text"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := parseFile(c.name, c.table, c.text)
			if err == nil {
				t.Fatal("was accepted")
			}
			if diff := cmp.Diff(lines(c.want), lines(err.Error())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// lines are compared as a set; the order is that of the file and not what these tests are about.
func lines(s string) map[string]bool {
	all := map[string]bool{}
	for line := range strings.SplitSeq(s, "\n") {
		all[line] = true
	}
	return all
}

func TestDatesNeedAZone(t *testing.T) {
	t.Parallel()
	_, err := newTable(employmentsTable, "f.csv", format{}, employments).parse([]byte("email,ends_at\na@x.example,2026-12-31\n"))
	if err == nil || err.Error() != "f.csv:2:13: ends_at is a date, and the setting time_zone does not say where" {
		t.Errorf("got %v", err)
	}
}

func TestNoneAndNullAndNothingDiffer(t *testing.T) {
	t.Parallel()
	w := &world{t: t, dir: t.TempDir()}
	w.start(&rosterv1.Config{EmploymentsFile: w.write("a.yaml", "\uFEFFemployments:\n  - employee_number: 007\n    department: none\n    location: null\n    company: ~\n    job_title: \"none\"\n    cost_center: 12.50\n")})
	r, err := w.employment("007", "")
	if err != nil {
		t.Fatal(err)
	}
	wantState(t, r, connectortest.None, "department", "location", "company")
	wantState(t, r, connectortest.Unknown, "manager_email", "state")
	if r.GetJobTitle() != "none" || r.GetCostCenter() != "12.50" || r.GetEmployeeNumber() != "007" {
		t.Errorf("a value is not as it is written: %v", r)
	}
}

func TestTheExamplesAreInOrder(t *testing.T) {
	t.Parallel()
	for _, table := range []string{principalsTable, employmentsTable, shiftsTable} {
		if err := parseFile("example.yaml", table, readTestdata(t, "example.yaml")); err != nil {
			t.Error(err)
		}
	}
	if err := parseFile("shifts.csv", shiftsTable, readTestdata(t, "shifts.csv")); err != nil {
		t.Error(err)
	}
}

// Whatever a file contains, reading it ends with records or with problems, and never with two records of
// one person.
func FuzzFiles(f *testing.F) {
	f.Add(readTestdata(f, "example.yaml"), false)
	f.Add(readTestdata(f, "shifts.csv"), true)
	f.Add("employments:\n- email: a@x.example\n", false)
	f.Add("employments: {a: [&b *b, !!int x, <<: *c]}\n", false)
	f.Fuzz(func(t *testing.T, text string, isCSV bool) {
		name := "f.yaml"
		if isCSV {
			name = "f.csv"
		}
		records, err := newTable(employmentsTable, name, format{zone: time.UTC}, employments).parse([]byte(text))
		seen := map[string]bool{}
		for _, r := range records {
			if email := r.facts.GetEmail(); err == nil && email != "" && seen[email] {
				t.Errorf("%s is there twice", email)
			}
			seen[r.facts.GetEmail()] = true
		}
		_, _ = newTable(shiftsTable, name, format{}, shifts).parse([]byte(text))
		_, _ = newTable(principalsTable, name, format{}, principals).parse([]byte(text))
	})
}
