package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/countersign/countersign/connectors/upstream"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
	servicenowv1 "github.com/countersign/countersign/proto/countersign/plugins/servicenow/v1"
	ticketv1 "github.com/countersign/countersign/proto/countersign/ticket/v1"
)

// instance is one ServiceNow instance.
type instance struct {
	client    *upstream.Client
	base      string
	number    *regexp.Regexp
	tables    []*servicenowv1.Table
	peopleKey servicenowv1.PeopleKey
	// states has the operator's meanings by class and value.
	states map[string]map[string]ticketv1.TicketStatus
}

func newInstance(c *servicenowv1.Config) (*instance, error) {
	authorize, authErr := authorization(c)
	client, err := upstream.New(upstream.Options{
		BaseURL:   c.GetBaseUrl(),
		Transport: c.GetTransport(),
		Authorize: authorize,
		RequestID: "X-Transaction-Id",
	})
	number, patternErr := numberPattern(c)
	if err != nil {
		authErr = nil // The token endpoint has the same address; one problem is enough.
	}
	if err := errors.Join(err, authErr, patternErr); err != nil {
		return nil, err
	}
	return &instance{
		client:    client,
		base:      strings.TrimRight(c.GetBaseUrl(), "/"),
		number:    number,
		tables:    tables(c),
		peopleKey: c.GetPeopleKey(),
		states:    statesOf(c),
	}, nil
}

// Close drops idle connections.
func (i *instance) Close() error { //nolint:unparam // This is how an io.Closer looks.
	i.client.Close()
	return nil
}

// authorization chooses how to prove who we are. Exactly one way is configured; validate sees to it.
func authorization(c *servicenowv1.Config) (upstream.Authorize, error) {
	switch auth := c.GetAuth().(type) {
	case *servicenowv1.Config_Basic:
		return upstream.Basic(auth.Basic.GetUsername(), auth.Basic.GetPassword()), nil
	case *servicenowv1.Config_ApiKey:
		return upstream.Header("X-Sn-Apikey", auth.ApiKey.GetKey()), nil
	case *servicenowv1.Config_ClientCredentials:
		return upstream.ClientCredentials(upstream.TokenOptions{
			Setting:   "base_url",
			Transport: c.GetTransport(),
			Credentials: &connectorv1.ClientCredentials{
				TokenUrl:     strings.TrimRight(c.GetBaseUrl(), "/") + "/oauth_token.do",
				ClientId:     auth.ClientCredentials.GetClientId(),
				ClientSecret: auth.ClientCredentials.GetClientSecret(),
			},
		})
	default:
		return nil, &upstream.SettingError{
			Setting: "auth", Problem: "no credentials are given", Remedy: "give one of basic, client_credentials and api_key",
		}
	}
}

// numberPattern is what a whole number must match: the operator's pattern, or the prefixes of the tables
// with 7 to 10 digits, as ServiceNow makes them.
func numberPattern(c *servicenowv1.Config) (*regexp.Regexp, error) {
	pattern := c.GetNumberPattern()
	if pattern == "" {
		var prefixes []string
		for _, t := range tables(c) {
			prefixes = append(prefixes, regexp.QuoteMeta(t.GetPrefix()))
		}
		pattern = "(?:" + strings.Join(prefixes, "|") + ")[0-9]{7,10}"
	}
	compiled, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
	if err != nil {
		return nil, &upstream.SettingError{
			Setting: "number_pattern", Problem: "is no regular expression", Remedy: "write it in RE2, such as CHG[0-9]{7}",
		}
	}
	return compiled, nil
}

func tables(c *servicenowv1.Config) []*servicenowv1.Table {
	if len(c.GetTables()) > 0 {
		return c.GetTables()
	}
	var all []*servicenowv1.Table
	for _, pair := range [][2]string{
		{"INC", "incident"},
		{"CHG", "change_request"},
		{"CTASK", "change_task"},
		{"PRB", "problem"},
		{"PTASK", "problem_task"},
		{"REQ", "sc_request"},
		{"RITM", "sc_req_item"},
		{"SCTASK", "sc_task"},
		{"TASK", anyTask},
	} {
		all = append(all, &servicenowv1.Table{Prefix: pair[0], Table: pair[1]})
	}
	return all
}

func statesOf(c *servicenowv1.Config) map[string]map[string]ticketv1.TicketStatus {
	all := map[string]map[string]ticketv1.TicketStatus{}
	for _, s := range c.GetStates() {
		if all[s.GetTable()] == nil {
			all[s.GetTable()] = map[string]ticketv1.TicketStatus{}
		}
		all[s.GetTable()][s.GetValue()] = s.GetStatus()
	}
	return all
}

func validate(c *servicenowv1.Config) []*connectorv1.Diagnostic {
	var found []*connectorv1.Diagnostic
	wrong := func(path, summary, remedy string) {
		found = append(found, &connectorv1.Diagnostic{
			Severity: connectorv1.Severity_SEVERITY_ERROR, FieldPath: path, Summary: summary, Remedy: remedy,
		})
	}
	prefixes := map[string]bool{}
	for n, t := range c.GetTables() {
		if !regexp.MustCompile(`\A[A-Z]{1,20}\z`).MatchString(t.GetPrefix()) || prefixes[t.GetPrefix()] {
			wrong(fmt.Sprintf("tables[%d].prefix", n), "is not made of upper-case letters, or is there twice", "write it like CHG")
		}
		prefixes[t.GetPrefix()] = true
		if !isName(t.GetTable()) {
			wrong(fmt.Sprintf("tables[%d].table", n), "is no name of a table", "write it like change_request")
		}
	}
	for n, s := range c.GetStates() {
		if !isName(s.GetTable()) || s.GetStatus() == ticketv1.TicketStatus_TICKET_STATUS_UNSPECIFIED {
			wrong(fmt.Sprintf("states[%d]", n), "names no table or no status", "write table, value and status")
		}
	}
	_, err := newInstance(c)
	return append(found, upstream.Diagnostics(err)...)
}

func isName(text string) bool {
	return regexp.MustCompile(`\A[a-z][a-z0-9_]{0,79}\z`).MatchString(text)
}
