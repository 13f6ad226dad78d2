// Package httpapi is the door: listeners, limits and routes. PIM's callouts come in here, are
// authenticated and handed on; the admin listener says how the gateway is.
//
// It decides nothing. Every answer after authentication is 200 with a decision, since nobody has
// published what PIM makes of anything else.
package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/countersign/countersign/gateway/internal/callout"
	"github.com/countersign/countersign/gateway/internal/evaluation"
	"github.com/countersign/countersign/gateway/internal/pim"
)

// Verifier authenticates a callout by its Authorization headers. Package entra implements it.
type Verifier interface {
	Verify(ctx context.Context, authorization []string) (pim.Caller, error)
}

// Answerer answers an authenticated callout, always and in time. Package evaluation implements it.
type Answerer interface {
	Answer(c evaluation.Callout) []byte
}

// Callouts are the routes that PIM calls.
type Callouts struct {
	Verifier Verifier
	Answerer Answerer
	// Patience bounds the check of the token, and after it the reading of the body, each; 0 means 1 s. A
	// token whose key has to be fetched and a body that trickles in may use up the answer's time, and
	// no more.
	Patience time.Duration
	// Refused is told of every refused token, for metrics; nil means nobody is.
	Refused func()
	Logger  *slog.Logger
}

// Handler serves POST /v1/pim/pre-approval and POST /v1/pim/post-approval and nothing else.
func (c Callouts) Handler() http.Handler {
	const patience = time.Second
	if c.Patience <= 0 {
		c.Patience = patience
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Refused == nil {
		c.Refused = func() {}
	}
	engine := newEngine(c.Logger)
	engine.HandleMethodNotAllowed = true
	engine.POST("/v1/pim/pre-approval", c.answer(pim.PreApproval))
	engine.POST("/v1/pim/post-approval", c.answer(pim.PostApproval))
	return engine
}

// newEngine returns a gin engine that trusts no forwarding header and logs its own panics.
func newEngine(logger *slog.Logger) *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.RedirectTrailingSlash = false // PIM follows no redirects
	_ = engine.SetTrustedProxies(nil)    // only a malformed list is an error
	engine.Use(gin.CustomRecoveryWithWriter(io.Discard, func(g *gin.Context, p any) {
		logger.Error("request panicked", slog.Any("panic", p), slog.String("path", g.Request.URL.Path))
		g.AbortWithStatus(http.StatusInternalServerError)
	}))
	return engine
}

func (c Callouts) answer(stage pim.Stage) gin.HandlerFunc {
	return func(g *gin.Context) {
		arrival := time.Now()
		caller, err := c.verify(g)
		if err != nil {
			c.refuse(g, err)
			return
		}
		body, problem := c.body(g)
		answer := c.Answerer.Answer(evaluation.Callout{
			Stage: stage, Caller: caller, Body: body, Problem: problem, ReceivedAt: arrival,
		})
		g.Header("Cache-Control", "no-store")
		g.Header("X-Content-Type-Options", "nosniff")
		g.Data(http.StatusOK, "application/json; charset=utf-8", answer)
	}
}

func (c Callouts) verify(g *gin.Context) (pim.Caller, error) {
	ctx, cancel := context.WithTimeout(g.Request.Context(), c.Patience)
	defer cancel()
	return c.Verifier.Verify(ctx, g.Request.Header.Values("Authorization"))
}

// refuse answers every unauthenticated call alike; only the log says what was wrong.
func (c Callouts) refuse(g *gin.Context, err error) {
	c.Refused()
	c.Logger.Warn("caller refused", slog.Any("error", err), slog.String("remote", g.RemoteIP()))
	g.Header("WWW-Authenticate", "Bearer")
	g.Header("Connection", "close")
	g.Data(http.StatusUnauthorized, "application/json; charset=utf-8", []byte(`{"error":"unauthorized"}`))
}

// body reads the callout's body. What is wrong with its form is a problem of the callout like any
// other: its caller is authenticated and gets a decision.
func (c Callouts) body(g *gin.Context) ([]byte, error) {
	if encoding := g.GetHeader("Content-Encoding"); encoding != "" && encoding != "identity" {
		return nil, fmt.Errorf("%w: the body is compressed", callout.ErrMalformed)
	}
	media, parameters, err := mime.ParseMediaType(g.GetHeader("Content-Type"))
	if err != nil || media != "application/json" {
		return nil, fmt.Errorf("%w: the content type is not application/json", callout.ErrMalformed)
	}
	if charset, given := parameters["charset"]; given && !isUTF8(charset) {
		return nil, fmt.Errorf("%w: the body is not in UTF-8", callout.ErrMalformed)
	}
	// Not every ResponseWriter can bound a read; the server's own timeouts hold in any case.
	reading := http.NewResponseController(g.Writer)
	_ = reading.SetReadDeadline(time.Now().Add(c.Patience))
	defer reading.SetReadDeadline(time.Time{}) //nolint:errcheck // as above
	body, err := io.ReadAll(http.MaxBytesReader(g.Writer, g.Request.Body, callout.MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, fmt.Errorf("%w: the body is larger than %d bytes", callout.ErrMalformed, callout.MaxBody)
	case err != nil:
		return nil, fmt.Errorf("%w: the body did not arrive whole", callout.ErrMalformed)
	}
	return body, nil
}

func isUTF8(charset string) bool {
	return strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "utf8")
}
