package main

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/countersign/countersign/connectors/finding"
	"github.com/countersign/countersign/connectors/upstream"
	servicenowv1 "github.com/countersign/countersign/proto/countersign/plugins/servicenow/v1"
	ticketv1 "github.com/countersign/countersign/proto/countersign/ticket/v1"
)

// anyTask is the table that all tables with tickets extend; its records can have any class.
const anyTask = "task"

// GetTicket reads one record by its number.
//
// ServiceNow has no way to escape a value in a query: ^OR and ^NQ in a number would match somebody else's
// approved change, and javascript: would run on the instance. So a number is compared with the pattern
// before anything is sent, and the number of the record that comes back is compared with the one asked
// for, since the instance ignores parts of a query that it does not understand.
func (i *instance) GetTicket(ctx context.Context, r *ticketv1.GetTicketRequest) (*ticketv1.GetTicketResponse, error) {
	number := canonical(r.GetNumber())
	if !i.admits(number) {
		return nil, finding.NotFound("no ticket here has a number of this form")
	}
	table := i.tableOf(number)
	rows, err := i.find(ctx, table.GetTable(), number)
	if err != nil {
		return nil, err
	}
	if err := check(rows, table, number); err != nil {
		return nil, err
	}
	return i.facts(ctx, rows[0], table, number), nil
}

// check makes sure that there is one record and that it is the one that was asked for.
func check(rows []record, table *servicenowv1.Table, number string) error {
	for _, row := range rows {
		if got, ok := row.cell("number").known(); !ok || got != number {
			return finding.Malformed("asked %s for one number, it answered with another or hid it", table.GetTable())
		}
		if class, ok := row.cell("sys_class_name").known(); ok && !fits(class, table) {
			// Not the instance's fault: whoever types such numbers must not open its breaker.
			return finding.BadQuestion("the record is of a class that is not configured for %s", table.GetTable())
		}
	}
	switch len(rows) {
	case 0:
		return finding.NotFound("no ticket has this number, or it is hidden from the integration account")
	case 1:
		return nil
	default:
		return finding.Ambiguous("more than one record of %s has this number", table.GetTable())
	}
}

func fits(class string, table *servicenowv1.Table) bool {
	return class == table.GetTable() || table.GetTable() == anyTask && isName(class) || slices.Contains(table.GetClasses(), class)
}

// canonical is a number as the instance writes it. Only ASCII letters are folded: the long s becomes an S
// otherwise.
func canonical(number string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r - ('a' - 'A')
		}
		return r
	}, strings.Trim(number, " "))
}

// plainNumber is the form of every number that is ever sent, whatever the pattern in the settings allows.
var plainNumber = regexp.MustCompile(`\A[A-Z][A-Z0-9_-]{0,39}\z`)

// admits holds whatever pattern is configured: nothing but letters, digits, hyphen and underscore is ever
// sent, and no more than the 40 characters that a number can have.
func (i *instance) admits(number string) bool {
	return plainNumber.MatchString(number) && i.number.MatchString(number)
}

// tableOf finds the table by the letters that the number begins with; without one, all tasks are looked
// through.
func (i *instance) tableOf(number string) *servicenowv1.Table {
	letters := number[:len(number)-len(strings.TrimLeft(number, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"))]
	for _, t := range i.tables {
		if t.GetPrefix() == letters {
			return t
		}
	}
	return &servicenowv1.Table{Table: anyTask}
}

// find asks the Table API, version 2, which answers an empty list if there is no such record. Two
// records are asked for, so that a second one shows.
func (i *instance) find(ctx context.Context, table, number string) ([]record, error) {
	return i.list(ctx, table, url.Values{
		"sysparm_query":  {"number=" + number},
		"sysparm_fields": {strings.Join(i.fields(table), ",")},
		"sysparm_limit":  {"2"},
	})
}

func (i *instance) list(ctx context.Context, table string, query url.Values) ([]record, error) {
	query.Set("sysparm_display_value", "all")
	query.Set("sysparm_exclude_reference_link", "true")
	query.Set("sysparm_no_count", "true")
	query.Set("sysparm_suppress_pagination_header", "true")
	var body answer
	resp, err := i.client.JSON(ctx, upstream.Request{
		Path: upstream.Path("api", "now", "v2", "table", table), Query: query, Accept: []int{http.StatusNotFound},
	}, &body)
	if err != nil {
		return nil, err
	}
	if resp.Status == http.StatusNotFound {
		return nil, finding.Denied("GET %s: answered 404, so there is no such table here, or it is hidden", table)
	}
	return body.rows(table)
}

// answer is the body of the Table API. An instance that cancels a transaction appends an error to a
// result that it has begun to write, with status 200.
type answer struct {
	Result jsontext.Value `json:"result"`
	Error  jsontext.Value `json:"error"`
}

func (a answer) rows(table string) ([]record, error) {
	if len(a.Error) > 0 && string(a.Error) != "null" {
		if strings.Contains(strings.ToLower(string(a.Error)), "transaction cancelled") {
			return nil, finding.Timeout("GET %s: the instance cancelled the transaction", table)
		}
		return nil, finding.Malformed("GET %s: answered 200 with an error", table)
	}
	var rows []record
	if len(a.Result) == 0 || a.Result.Kind() != '[' || json.Unmarshal(a.Result, &rows) != nil {
		return nil, finding.Malformed("GET %s: the result is no list of records", table)
	}
	return rows, nil
}
