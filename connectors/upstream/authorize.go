package upstream

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/countersign/countersign/connectors/finding"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

const (
	// early is how long before its end a token is replaced.
	early = time.Minute
	// unknownLife is the life of a token whose answer does not tell it.
	unknownLife = 5 * time.Minute
	maxLife     = 24 * time.Hour
	// settled is the age from which a refused token is worth replacing. A younger one is refused for
	// another reason, such as a missing right.
	settled  = 10 * time.Second
	maxToken = 16 << 10
)

// Basic sends a user name and a password (RFC 7617).
func Basic(username, password string) Authorize {
	return func(_ context.Context, r *http.Request) error {
		r.SetBasicAuth(username, password)
		return nil
	}
}

// Bearer sends a token that does not change (RFC 6750).
func Bearer(token string) Authorize { return Header("Authorization", "Bearer "+token) }

// Header sends a credential in a header, such as an API key.
func Header(name, value string) Authorize {
	return func(_ context.Context, r *http.Request) error {
		r.Header.Set(name, value)
		return nil
	}
}

// TokenOptions say where access tokens come from.
type TokenOptions struct {
	// Credentials name the token endpoint and the client.
	Credentials *connectorv1.ClientCredentials
	// Transport is used towards the token endpoint; nil means the defaults.
	Transport *connectorv1.Transport
	// Setting is what problems call Credentials.token_url; "token_url" if empty.
	Setting string
	// Now is the clock; the system's if nil.
	Now func() time.Time
}

// ClientCredentials authorises with access tokens of the client credentials grant (RFC 6749 section
// 4.4), client id and secret in the form. A token is shared by all calls, fetched by one of them at a
// time, replaced 60 seconds before its end, and once more if the upstream refuses it.
func ClientCredentials(o TokenOptions) (Authorize, error) {
	origin, path := splitURL(o.Credentials.GetTokenUrl())
	client, err := New(Options{BaseURL: origin, BaseURLSetting: or(o.Setting, "token_url"), Transport: o.Transport, MaxBytes: 64 << 10})
	if err != nil {
		return nil, err
	}
	now := o.Now
	if now == nil {
		now = time.Now
	}
	t := &tokens{client: client, path: path, credentials: o.Credentials, now: now, turn: make(chan struct{}, 1)}
	return t.authorize, nil
}

// splitURL parts a URL into what New takes as the base and the path. A URL that it cannot part is the
// base, so that New reports it.
func splitURL(text string) (base, path string) {
	u, err := url.Parse(text)
	if err != nil || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return text, ""
	}
	return strings.TrimSuffix(text, u.EscapedPath()), u.EscapedPath()
}

type token struct {
	header  string
	fetched time.Time
	renew   time.Time
}

// tokens keeps one token. Whoever holds the turn may look at it and replace it.
type tokens struct {
	client      *Client
	path        string
	credentials *connectorv1.ClientCredentials
	now         func() time.Time
	turn        chan struct{}
	current     token
}

func (t *tokens) authorize(ctx context.Context, r *http.Request) error {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return finding.Timeout("POST %s: no token in time", t.client.base.Host)
	}
	if !t.usable(ctx) {
		fresh, err := t.fetch(ctx)
		if err != nil {
			return err
		}
		t.current = fresh
	}
	r.Header.Set("Authorization", t.current.header)
	return nil
}

func (t *tokens) usable(ctx context.Context) bool {
	now := t.now()
	if t.current.header == "" || !now.Before(t.current.renew) {
		return false
	}
	refused, _ := ctx.Value(refusedKey{}).(string)
	return refused != t.current.header || now.Sub(t.current.fetched) < settled
}

func (t *tokens) fetch(ctx context.Context) (token, error) {
	form := url.Values{
		"grant_type":    {"client_credentials"},
		"client_id":     {t.credentials.GetClientId()},
		"client_secret": {t.credentials.GetClientSecret()},
	}
	if scopes := t.credentials.GetScopes(); len(scopes) > 0 {
		form.Set("scope", strings.Join(scopes, " "))
	}
	var answer tokenAnswer
	resp, err := t.client.JSON(ctx, Request{
		Method: http.MethodPost, Path: t.path, Form: form, Repeatable: true,
		Accept: []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound},
	}, &answer)
	if err != nil {
		return token{}, err
	}
	if resp.Status > 299 {
		return token{}, finding.Denied("POST %s: answered %d, no token for these credentials%s",
			t.client.base.Host, resp.Status, oauthCode(resp.Body))
	}
	return t.check(answer)
}

type tokenAnswer struct {
	AccessToken string         `json:"access_token"`
	TokenType   string         `json:"token_type"`
	ExpiresIn   jsontext.Value `json:"expires_in"`
}

func (t *tokens) check(answer tokenAnswer) (token, error) {
	if !strings.EqualFold(answer.TokenType, "bearer") || answer.AccessToken == "" || len(answer.AccessToken) > maxToken ||
		printable(answer.AccessToken) != answer.AccessToken {
		return token{}, finding.Malformed("POST %s: answered no bearer token", t.client.base.Host)
	}
	now, life := t.now(), lifeOf(answer.ExpiresIn)
	return token{
		header:  "Bearer " + answer.AccessToken,
		fetched: now,
		renew:   now.Add(max(life-early, life/2)),
	}, nil
}

// lifeOf reads expires_in, which is a number of seconds (RFC 6749 section 5.1) and in practice also a
// string with one. A life of two minutes or less is halved instead of shortened by a minute.
func lifeOf(value jsontext.Value) time.Duration {
	seconds, err := strconv.ParseUint(strings.Trim(string(value), `"`), 10, 31)
	if err != nil {
		return unknownLife
	}
	return min(time.Duration(seconds)*time.Second, maxLife)
}

// oauthCode is the error code of a token endpoint (RFC 6749 section 5.2), with Entra's own number if
// there is one. Both have a fixed form, so that nothing else of the body can come along.
func oauthCode(body []byte) string {
	var answer struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(body, &answer) != nil || !regexp.MustCompile(`^[a-z_]{1,40}$`).MatchString(answer.Error) {
		return ""
	}
	if number := regexp.MustCompile(`^AADSTS[0-9]{4,8}`).FindString(answer.Description); number != "" {
		return ": " + answer.Error + " (" + number + ")"
	}
	return ": " + answer.Error
}
