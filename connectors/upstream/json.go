package upstream

import (
	"context"
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/countersign/countersign/connectors/finding"
)

// JSON asks and decodes the answer's body into the given pointer. Names are matched exactly; a name that
// occurs twice in an object, invalid UTF-8 and anything after the first value make the answer Malformed,
// and so does an empty body. A response with a status of r.Accept outside 2xx is handed back undecoded.
func (c *Client) JSON(ctx context.Context, r Request, into any) (*Response, error) {
	resp, err := c.Do(ctx, r)
	if err != nil || resp.Status < 200 || resp.Status > 299 {
		return resp, err
	}
	if err := json.Unmarshal(resp.Body, into); err != nil {
		return resp, finding.Malformed("%s %s%s: %s", or(r.Method, "GET"), c.base.Host, or(r.Template, template(r.Path)), jsonCause(err))
	}
	return resp, nil
}

// jsonCause says what is wrong with a body without repeating any of it.
func jsonCause(err error) string {
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return "the answer names a member twice"
	}
	if _, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return "the answer is not valid JSON"
	}
	return "the answer has another shape than expected"
}
