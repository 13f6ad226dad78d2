package entra

import (
	"errors"
	"log/slog"
	"strings"
)

// ErrUnauthorized means that a request is not PIM's. Its answer is 401 without a reason.
var ErrUnauthorized = errors.New("caller not authenticated")

// Rejection says why a token was refused, for the log: the claims that an administrator can compare with
// the configuration, as far as the token could be read, and nothing that would let anybody use the token.
// None of it is verified.
type Rejection struct { //nolint:errname // it is first of all what is logged
	// Why is a constant sentence without values of the token.
	Why      string
	Audience string
	Issuer   string
	// Caller is azp or appid, whichever is there.
	Caller   string
	Version  string
	TenantID string
	KeyID    string
}

// Error is the reason without the claims.
func (r *Rejection) Error() string { return "token refused: " + r.Why }

// Unwrap makes every Rejection an ErrUnauthorized.
func (r *Rejection) Unwrap() error { return ErrUnauthorized }

// LogValue names the claims as they are called in tokens.
func (r *Rejection) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("why", r.Why),
		slog.String("aud", r.Audience),
		slog.String("iss", r.Issuer),
		slog.String("caller", r.Caller),
		slog.String("ver", r.Version),
		slog.String("tid", r.TenantID),
		slog.String("kid", r.KeyID),
	)
}

// longestLogged bounds a claim in the log, in bytes.
const longestLogged = 128

// logged makes an unverified value fit for a log: printable ASCII, bounded.
func logged(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text[:min(len(text), longestLogged)])
}
