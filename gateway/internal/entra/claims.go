package entra

import (
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/gateway/internal/strictjson"
)

// The token versions, as the claim ver spells them.
const (
	version1 = "1.0"
	version2 = "2.0"
)

// maxLifetime is the longest lifetime of a token that is accepted, in seconds. Entra's are 60 to 90 minutes,
// and up to 28 hours for clients that take part in continuous access evaluation, which PIM's calls do not.
const maxLifetime = 24 * 60 * 60

// latestTime keeps arithmetic on times far from its limits: the year 9999, in Unix seconds.
const latestTime = 253402300799

// claims are those that count, read with exact names and types.
// https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
type claims struct {
	version, issuer, audience, tenantID string
	appid, azp                          string // the caller in version 1.0 and 2.0
	objectID, tokenID                   string
	expires, notBefore, issuedAt        int64
}

// callerID is the application that the token was issued to. check sees to it that the two names agree.
func (c *claims) callerID() string {
	if c.azp != "" {
		return c.azp
	}
	return c.appid
}

// read takes the claims out of their JSON as far as it can, so that a refusal can say what they are.
func (c *claims) read(document []byte) string {
	o, err := strictjson.Parse(document, limits())
	if err != nil {
		return "claims are not one unambiguous JSON object"
	}
	why := ""
	for _, field := range [...]struct {
		name   string
		target *string
	}{
		{"ver", &c.version},
		{"iss", &c.issuer},
		{"aud", &c.audience},
		{"tid", &c.tenantID},
		{"appid", &c.appid},
		{"azp", &c.azp},
		{"oid", &c.objectID},
		{"uti", &c.tokenID},
	} {
		text, present, err := o.String(field.name)
		if err != nil || !present && o.Kind(field.name) == strictjson.Null {
			why = field.name + " is not a string"
		}
		*field.target = text
	}
	if why == "" {
		why = c.readTimes(o)
	}
	if why == "" {
		why = refuseUsers(o)
	}
	return why
}

func (c *claims) readTimes(o strictjson.Object) string {
	for _, field := range [...]struct {
		name   string
		target *int64
	}{{"exp", &c.expires}, {"nbf", &c.notBefore}, {"iat", &c.issuedAt}} {
		value, present, err := o.Int(field.name)
		if err != nil || !present || value < 0 || value > latestTime {
			return field.name + " is missing or not a time in whole seconds"
		}
		*field.target = value
	}
	return ""
}

// refuseUsers refuses delegated tokens, which act for a user: they have scopes, and applications never do.
func refuseUsers(o strictjson.Object) string {
	if o.Kind("scp") != strictjson.Absent {
		return "scp is present: the token acts for a user"
	}
	if o.Kind("idtyp") == strictjson.Absent {
		return "" // an optional claim
	}
	if kind, _, err := o.String("idtyp"); err != nil || kind != "app" {
		return "idtyp is not app"
	}
	return ""
}

// check is the closed table of what Entra issues for us. Everything is compared byte for byte; the issuer
// is the one of the version's own metadata document.
func (c *claims) check(s Settings, issuer string) string {
	caller, other, audiences := c.appid, c.azp, []string{s.ClientID, s.AppIDURI}
	if c.version == version2 {
		caller, other, audiences = c.azp, c.appid, []string{s.ClientID}
	}
	switch {
	case c.issuer != issuer:
		return "iss is not the issuer of the tenant for this version"
	case c.tenantID != s.TenantID || !strings.Contains(c.issuer, "/"+c.tenantID+"/"):
		return "tid is not the tenant"
	case c.audience == "" || !slices.Contains(audiences, c.audience):
		return "aud is not this application"
	case caller == "":
		return "the claim for the caller is missing"
	case other != "" && other != caller:
		return "appid and azp differ"
	case !slices.Contains(s.Callers, caller):
		return "caller is not allowed"
	}
	return ""
}

// checkTimes allows clocks to differ by the leeway. RFC 7519 section 4.1.4: a token has expired on the
// second that exp names.
func (c *claims) checkTimes(now time.Time, leeway time.Duration) string {
	switch {
	case c.expires-c.issuedAt > maxLifetime || c.expires <= c.issuedAt:
		return "lifetime is not between 0 and 24 hours"
	case !now.Before(time.Unix(c.expires, 0).Add(leeway)):
		return "expired"
	case now.Before(time.Unix(c.notBefore, 0).Add(-leeway)):
		return "not valid yet"
	case now.Before(time.Unix(c.issuedAt, 0).Add(-leeway)):
		return "issued in the future"
	}
	return ""
}
