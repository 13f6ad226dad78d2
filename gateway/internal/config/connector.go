package config

import (
	"fmt"
	"log/slog"
	"time"
)

// Connector is one plugin process for one upstream. Nothing but what is listed here is ever started.
type Connector struct {
	// Path is the absolute path of the plugin's executable. PATH is never searched.
	Path Path `yaml:"path,required"`
	// SHA256 is the digest of that file, 64 hexadecimal digits; the plugin does not start with another.
	SHA256 Digest `yaml:"sha256,required"`
	// Args are the plugin's command line arguments; none if not given.
	Args []string `yaml:"args"`
	// Env is the plugin's environment and all of it: a value, or a reference such as env:NAME or
	// file:/absolute/path. Empty if not given; nothing is inherited.
	Env map[string]Variable `yaml:"env"`
	// Allow names what the connector may answer: the words principal, ticket, employment, oncall,
	// incident and calendar, or full gRPC method names. Whatever else it offers is ignored.
	Allow []Capability `yaml:"allow,required"`
	// Config is the plugin's own configuration; its README lists its settings. Where the plugin wants a
	// secret, write env:NAME or file:/absolute/path.
	Config Settings `yaml:"config"`
	// Limits bound what is asked of the connector.
	Limits ConnectorLimits `yaml:"limits"`
	// Breaker says when a failing upstream is left alone.
	Breaker Breaker `yaml:"breaker"`
}

// ConnectorLimits bound what is asked of a connector and how long its process may take.
type ConnectorLimits struct {
	// InFlight is how many calls may be under way, 1 to 10000; 32 if not given.
	InFlight int `yaml:"in_flight" range:"1..10000"`
	// Wait is how long a call waits for one of those places, 1ms to 5s; 250ms if not given.
	Wait time.Duration `yaml:"wait" range:"1ms..5s"`
	// CallTimeout bounds each call, 0s to 60s; 0s, the default, means whatever the answer's time leaves.
	CallTimeout time.Duration `yaml:"call_timeout" range:"0s..1m"`
	// StartTimeout is how long the process may take to start and describe itself, 1s to 60s; 5s if not
	// given.
	StartTimeout time.Duration `yaml:"start_timeout" range:"1s..1m"`
	// Drain is how long a process that is replaced may finish its calls, 100ms to 5m; 15s if not given.
	Drain time.Duration `yaml:"drain" range:"100ms..5m"`
	// Stop is how long a process may take to end before it is killed, 100ms to 60s; 5s if not given.
	Stop time.Duration `yaml:"stop" range:"100ms..1m"`
	// MaxMessage is the largest answer, 64KiB to 64MiB; 4MiB if not given.
	MaxMessage Size `yaml:"max_message" range:"64KiB..64MiB"`
}

// Breaker says when a failing upstream is left alone. While it is, a probe tests it in the background.
type Breaker struct {
	// Consecutive is how many faults of the upstream in a row open the breaker, 1 to 100; 3 if not given.
	Consecutive int `yaml:"consecutive" range:"1..100"`
	// Requests is the number of calls within the window from which on faults in half of them open it
	// too, 2 to 10000; 10 if not given.
	Requests int `yaml:"requests" range:"2..10000"`
	// Window is the span of time that is looked at, 1s to 1h; 60s if not given.
	Window time.Duration `yaml:"window" range:"1s..1h"`
	// Probe is how often the upstream is tested while the breaker is open, 500ms to 5m; 5s if not given.
	Probe time.Duration `yaml:"probe" range:"500ms..5m"`
}

// SetDefaults sets the defaults.
func (c *Connector) SetDefaults() {
	c.Limits.SetDefaults()
	c.Breaker.SetDefaults()
}

// SetDefaults sets the defaults.
func (l *ConnectorLimits) SetDefaults() {
	*l = ConnectorLimits{
		InFlight: 32, Wait: 250 * time.Millisecond, StartTimeout: 5 * time.Second,
		Drain: 15 * time.Second, Stop: 5 * time.Second, MaxMessage: 4 << 20,
	}
}

// SetDefaults sets the defaults.
func (b *Breaker) SetDefaults() {
	*b = Breaker{Consecutive: 3, Requests: 10, Window: time.Minute, Probe: 5 * time.Second}
}

// Settings are a plugin's own configuration, not yet compared with what it declares. They do not
// print and do not marshal, since a secret that was written out by mistake stands in them until that
// is found; map[string]any(s) is what the plugin's descriptors are compared with.
type Settings map[string]any

// Format prints how many settings there are, whatever the verb.
func (s Settings) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "[%d settings]", len(s)) }

// LogValue keeps the settings out of logs.
func (s Settings) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

// MarshalJSON is redacted, so that a configuration that is logged as a whole shows none of them.
func (s Settings) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
