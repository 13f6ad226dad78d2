package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// validate builds the configuration and returns it with what the connector says about it.
func (l launcher) validate(ctx context.Context, i *instance) (raw []byte, diagnostics []*connectorv1.Diagnostic, err error) {
	if l.spec.Configure != nil {
		if raw, err = l.spec.Configure(i.description); err != nil {
			return nil, nil, &ConfigError{Connector: l.spec.Name, Err: err}
		}
	}
	bounded, cancel := context.WithTimeout(ctx, l.limits.StartTimeout)
	defer cancel()
	validated, err := connectorv1.NewConnectorServiceClient(i.conn).ValidateConfig(bounded, &connectorv1.ValidateConfigRequest{Config: raw})
	if err != nil {
		return nil, nil, fmt.Errorf("validate configuration: %w", err)
	}
	return raw, validated.GetDiagnostics(), nil
}

// configure puts the configuration into force.
func (l launcher) configure(ctx context.Context, i *instance) error {
	raw, diagnostics, err := l.validate(ctx, i)
	if err != nil {
		return err
	}
	if refused(diagnostics) {
		return &ConfigError{Connector: l.spec.Name, Diagnostics: diagnostics}
	}
	for _, d := range diagnostics {
		l.log.Warn("connector configuration", slog.String("field", d.GetFieldPath()), slog.String("summary", d.GetSummary()), slog.String("remedy", d.GetRemedy()))
	}
	bounded, cancel := context.WithTimeout(ctx, l.limits.ConfigureTimeout)
	defer cancel()
	_, err = connectorv1.NewConnectorServiceClient(i.conn).Configure(bounded, &connectorv1.ConfigureRequest{Config: raw})
	switch {
	case err == nil:
		return nil
	case status.Code(err) == codes.InvalidArgument:
		return &ConfigError{Connector: l.spec.Name, Diagnostics: detailsOf(err), Err: err}
	case i.died(ctx, err):
		return fmt.Errorf("configure: %w", err) // abandon says how
	default:
		return fmt.Errorf("%w: %w", ErrConfigure, err)
	}
}

// ErrConfigure is in the error of a start whose connector could not put its configuration into force:
// mostly a file or an upstream that it names is not there. The status with its own words is in it as well.
var ErrConfigure = errors.New("configure")

func refused(diagnostics []*connectorv1.Diagnostic) bool {
	for _, d := range diagnostics {
		if d.GetSeverity() != connectorv1.Severity_SEVERITY_WARNING {
			return true
		}
	}
	return false
}

func detailsOf(err error) []*connectorv1.Diagnostic {
	var diagnostics []*connectorv1.Diagnostic
	for _, detail := range status.Convert(err).Details() {
		if d, ok := detail.(*connectorv1.Diagnostic); ok {
			diagnostics = append(diagnostics, d)
		}
	}
	return diagnostics
}

// ConfigError says that a connector's configuration is not usable. Starting again would not help.
type ConfigError struct {
	Connector string
	// Diagnostics are what the connector says is wrong.
	Diagnostics []*connectorv1.Diagnostic
	// Err is what Spec.Configure returned, or the status of a refusal; nil if the diagnostics are all.
	Err error
}

// Error is one line; Diagnostics has everything.
func (e *ConfigError) Error() string {
	text := "connector " + e.Connector + ": configuration refused"
	for _, d := range e.Diagnostics {
		if d.GetSeverity() != connectorv1.Severity_SEVERITY_WARNING {
			return text + ": " + strings.TrimPrefix(d.GetFieldPath()+": "+d.GetSummary(), ": ")
		}
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns Err.
func (e *ConfigError) Unwrap() error { return e.Err }
