package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/countersign/countersign/gateway/internal/strictyaml"
)

// maxSecret bounds the size of a secret; a certificate with its key fits many times.
const maxSecret = 64 << 10

var (
	// ErrSecretMissing is returned if the file or variable a secret refers to is not there or is empty.
	ErrSecretMissing = errors.New("secret is missing")
	// ErrSecretUnusable is returned if what a secret refers to cannot be one.
	ErrSecretUnusable = errors.New("secret is unusable")
)

// variableName is what POSIX calls a name (XBD 8.1), in either case.
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Secret refers to a secret: "env:NAME" is a variable of the gateway's environment, "file:/path" a
// file. The zero value refers to nothing. A Secret is printable, since it holds no secret.
type Secret struct{ reference string }

// ParseReference reads a reference to a secret; false if the text is none.
func ParseReference(text string) (Secret, bool) {
	if name, ok := strings.CutPrefix(text, "env:"); ok && variableName.MatchString(name) {
		return Secret{text}, true
	}
	if path, ok := strings.CutPrefix(text, "file:"); ok && filepath.IsAbs(path) && !strings.ContainsRune(path, 0) {
		return Secret{text}, true
	}
	return Secret{}, false
}

// UnmarshalText accepts references only: a secret that is written out is refused, not used.
func (s *Secret) UnmarshalText(text []byte) error {
	secret, ok := ParseReference(string(text))
	if !ok {
		return &strictyaml.Flaw{
			Message: "must be a reference to a secret, not the secret itself",
			Remedy:  "write file:/absolute/path or env:NAME",
		}
	}
	*s = secret
	return nil
}

// MarshalText returns the reference.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.reference), nil }

// String returns the reference.
func (s Secret) String() string { return s.reference }

// IsZero reports whether the secret refers to nothing.
func (s Secret) IsZero() bool { return s.reference == "" }

// Resolve reads the secret. One line end at the end of a file does not belong to it, since editors
// and "echo" add one. Errors name the reference and never the content.
func (s Secret) Resolve() (Plain, error) {
	value, err := s.read()
	switch {
	case err != nil:
		return Plain{}, fmt.Errorf("resolve %s: %w", s.reference, err)
	case value == "":
		return Plain{}, fmt.Errorf("resolve %s: %w: it is empty", s.reference, ErrSecretMissing)
	case len(value) > maxSecret:
		return Plain{}, fmt.Errorf("resolve %s: %w: it is larger than %d bytes", s.reference, ErrSecretUnusable, maxSecret)
	}
	return NewPlain(value), nil
}

func (s Secret) read() (string, error) {
	if name, ok := strings.CutPrefix(s.reference, "env:"); ok {
		return os.Getenv(name), nil
	}
	path, ok := strings.CutPrefix(s.reference, "file:")
	if !ok {
		return "", fmt.Errorf("%w: nothing is referred to", ErrSecretMissing)
	}
	return readSecretFile(path)
}

// readSecretFile asks for a regular file first: opening a named pipe would wait for its writer.
func readSecretFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrSecretMissing, errors.Unwrap(err))
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%w: it is not a regular file", ErrSecretUnusable)
	}
	file, err := os.Open(filepath.Clean(path))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrSecretMissing, errors.Unwrap(err))
	}
	defer file.Close() //nolint:errcheck // opened for reading
	content, err := io.ReadAll(io.LimitReader(file, maxSecret+3))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrSecretUnusable, errors.Unwrap(err))
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r"), nil
}

// Plain is a secret that can be used and cannot be printed. The zero value is no secret.
type Plain struct {
	// A function prints as an address however deep it is buried in a struct, where the methods below
	// are not asked.
	reveal func() string
}

const redacted = "[redacted]"

// NewPlain hides a value.
func NewPlain(value string) Plain { return Plain{func() string { return value }} }

// Reveal returns the secret. Whoever calls it answers for where it goes.
func (p Plain) Reveal() string {
	if p.reveal == nil {
		return ""
	}
	return p.reveal()
}

// String is redacted.
func (Plain) String() string { return redacted }

// GoString is redacted.
func (Plain) GoString() string { return redacted }

// Format is redacted, whatever the verb.
func (Plain) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalJSON is redacted.
func (Plain) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText is redacted.
func (Plain) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalYAML is redacted.
func (Plain) MarshalYAML() (any, error) { return redacted, nil }

// LogValue is redacted.
func (Plain) LogValue() slog.Value { return slog.StringValue(redacted) }

// Variable is the value of an environment variable: written out, or a reference to a secret.
type Variable struct {
	secret Secret
	value  Plain
}

// UnmarshalText takes "env:…" and "file:…" as references and anything else as the value.
func (v *Variable) UnmarshalText(text []byte) error {
	written := string(text)
	if secret, ok := ParseReference(written); ok {
		*v = Variable{secret: secret}
		return nil
	}
	if strings.HasPrefix(written, "env:") || strings.HasPrefix(written, "file:") {
		return &strictyaml.Flaw{Message: "is no reference to a secret, though it begins like one", Remedy: "write file:/absolute/path or env:NAME"}
	}
	if strings.ContainsRune(written, 0) {
		return &strictyaml.Flaw{Message: "holds a zero byte, which no environment can carry", Remedy: "remove it"}
	}
	*v = Variable{value: NewPlain(written)}
	return nil
}

// Resolve returns the value, reading the secret if it is a reference.
func (v Variable) Resolve() (Plain, error) {
	if v.secret.IsZero() {
		return v.value, nil
	}
	return v.secret.Resolve()
}

// String is the reference, or redacted.
func (v Variable) String() string {
	if v.secret.IsZero() {
		return redacted
	}
	return v.secret.String()
}
