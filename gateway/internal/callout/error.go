package callout

import (
	"errors"
	"fmt"

	"github.com/countersign/countersign/gateway/internal/strictjson"
)

// ErrMalformed means that a body is no callout of PIM's, or one that cannot be read in exactly one way.
// Every error of Decode wraps it.
var ErrMalformed = errors.New("malformed callout")

// malformed wraps an error whose text names members and never quotes the body.
func malformed(err error) error { return fmt.Errorf("%w: %w", ErrMalformed, err) }

// Reason says in one sentence what is wrong with a body, for PIM's user interface. It never quotes the
// body.
func Reason(err error) string {
	var wrong *strictjson.Error
	if !errors.As(err, &wrong) {
		return "The request could not be read."
	}
	return line("The request could not be read: " + wrong.Error() + ".")
}
