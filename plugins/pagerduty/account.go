package main

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign/connectors/finding"
	"github.com/countersign/countersign/connectors/upstream"
	pagerdutyv1 "github.com/countersign/countersign/proto/countersign/plugins/pagerduty/v1"
)

const (
	usRegion = "https://api.pagerduty.com"
	// pageSize is the largest page that PagerDuty serves; its default of 25 loses people.
	pageSize = 100
	// maxPages bounds a listing. More is a fault and never "not on call".
	maxPages = 10
)

// account is one PagerDuty account as this connector sees it.
type account struct {
	client   *upstream.Client
	services map[string]string
	users    *userCache
	now      func() time.Time
}

func newAccount(c *pagerdutyv1.Config) (*account, error) {
	authorize, err := authorizeBy(c)
	if err != nil {
		return nil, err
	}
	client, err := upstream.New(upstream.Options{
		BaseURL:   or(c.GetBaseUrl(), usRegion),
		Transport: c.GetTransport(),
		Authorize: authorize,
		// Both headers are mandatory, on reads as well.
		Header: http.Header{
			"Accept":       {"application/vnd.pagerduty+json;version=2"},
			"Content-Type": {"application/json"},
		},
		RequestID: "X-Request-Id",
	})
	if err != nil {
		return nil, err
	}
	return &account{client: client, services: c.GetServices(), users: newUserCache(remember(c)), now: time.Now}, nil
}

func authorizeBy(c *pagerdutyv1.Config) (upstream.Authorize, error) {
	switch {
	case c.GetApiKey() != "":
		return upstream.Header("Authorization", "Token token="+c.GetApiKey()), nil
	case c.GetBearerToken() != "":
		return upstream.Bearer(c.GetBearerToken()), nil
	default:
		return upstream.ClientCredentials(upstream.TokenOptions{
			Credentials: c.GetOauth(), Transport: c.GetTransport(), Setting: "oauth.token_url",
		})
	}
}

// Close drops idle connections.
func (a *account) Close() error { //nolint:unparam // This is how an io.Closer looks.
	a.client.Close()
	return nil
}

// probe reads the smallest page of a collection.
func (a *account) probe(ctx context.Context, collection string) error {
	var ignored struct{}
	_, err := a.client.JSON(ctx, upstream.Request{
		Path:  upstream.Path(collection),
		Query: url.Values{"limit": {"1"}},
	}, &ignored)
	return err
}

// page is one page of any of the listings this connector reads.
type page struct {
	More       *bool      `json:"more"`
	Users      []user     `json:"users"`
	OnCalls    []onCall   `json:"oncalls"`
	Incidents  []incident `json:"incidents"`
	Priorities []priority `json:"priorities"`
}

// listing is a question whose answer comes in pages.
type listing struct {
	collection string
	query      url.Values
	// short marks a listing whose pages need not say whether there are more: one that says nothing is the
	// last.
	short bool
}

// list reads all pages. pick says which records of a page are meant; a page without them is malformed,
// since a list that is missing is not an empty one.
func list[T any](ctx context.Context, a *account, l listing, pick func(page) []T) ([]T, error) {
	var all []T
	for n := range maxPages {
		p, err := a.page(ctx, l, n)
		if err != nil {
			return nil, err
		}
		records, more := pick(p), p.More != nil && *p.More
		if records == nil || p.More == nil && !l.short {
			return nil, finding.Malformed("GET /%s: answered no page of a listing", l.collection)
		}
		all = append(all, records...)
		if !more {
			return all, nil
		}
	}
	return nil, finding.Malformed("GET /%s: more than %d records, so the answer is not complete", l.collection, maxPages*pageSize)
}

func (a *account) page(ctx context.Context, l listing, n int) (page, error) {
	query := maps.Clone(l.query)
	query.Set("limit", strconv.Itoa(pageSize))
	query.Set("offset", strconv.Itoa(n*pageSize))
	var p page
	_, err := a.client.JSON(ctx, upstream.Request{Path: upstream.Path(l.collection), Query: query}, &p)
	return p, err
}

// isID says whether a text has the form of PagerDuty's ids, such as PWJAGSD or Q1P3AHC3KLGVAS.
func isID(s string) bool {
	return len(s) >= 4 && len(s) <= 32 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// ref is a reference to another object. A summary is for people and identifies nothing.
type ref struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Summary string `json:"summary"`
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
