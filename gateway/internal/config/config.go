package config

import (
	"time"

	"github.com/countersign/countersign/gateway/internal/strictyaml"
)

// Config is the whole configuration. A key that is not given has the default its sentence states.
type Config struct {
	// Listen is where PIM calls.
	Listen Listen `yaml:"listen"`
	// Admin is where operators and probes call.
	Admin Admin `yaml:"admin"`
	// Entra says whose tokens are accepted.
	Entra Entra `yaml:"entra,required"`
	// PIM repeats what was registered for the custom extension in Microsoft Graph.
	PIM PIM `yaml:"pim"`
	// Answer says when a callout is answered.
	Answer Answer `yaml:"answer"`
	// Limits bound what is done at the same time.
	Limits Limits `yaml:"limits"`
	// StateDir is the directory for everything the gateway writes; /var/lib/countersign if not given.
	StateDir Path `yaml:"state_dir"`
	// Journal is the durable record of evaluations.
	Journal Journal `yaml:"journal"`
	// Policies are files and patterns such as policies/*.yaml, relative to this file. Each matches at
	// least one file.
	Policies []string `yaml:"policies,required"`
	// Connectors are the plugins that may be asked, by the names that policies use for them: lower-case
	// letters, digits, hyphens and underscores, beginning with a letter.
	Connectors map[string]Connector `yaml:"connectors"`
	// Logging says what is written to standard error.
	Logging Logging `yaml:"logging"`

	document *strictyaml.Document
}

// Listen is where PIM calls.
type Listen struct {
	// Address is the host and port to listen on; ":8443" if not given.
	Address Address `yaml:"address"`
	// TLS is the server's certificate. Without it the address must be a loopback address, or
	// behind_proxy be set.
	TLS *TLS `yaml:"tls"`
	// BehindProxy is the operator's word that something in front ends TLS and that nobody else reaches
	// the address; false if not given.
	BehindProxy bool `yaml:"behind_proxy"`
	// MaxConnections bounds the connections at one time, 10 to 100000; 2000 if not given.
	MaxConnections int `yaml:"max_connections" range:"10..100000"`
	// Drain is how long callouts are still accepted after the gateway was told to stop, so that load
	// balancers notice first, 0s to 1m; 5s if not given.
	Drain time.Duration `yaml:"drain" range:"0s..1m"`
}

// TLS is a certificate and its key, PEM files that are read again when they change.
type TLS struct {
	// Certificate is the absolute path of the certificate chain, the server's own first.
	Certificate Path `yaml:"certificate,required"`
	// Key is the absolute path of the private key, which must not be open to all users.
	Key Path `yaml:"key,required"`
}

// Admin is where operators and probes call: health, metrics and the state of the connectors.
type Admin struct {
	// Address is the host and port to listen on; "127.0.0.1:9443" if not given.
	Address Address `yaml:"address"`
	// TLS is the server's certificate; plain HTTP if not given.
	TLS *TLS `yaml:"tls"`
	// Remote is the operator's word that something else, such as a network policy, decides who reaches
	// the address; it must be set if that is no loopback address. False if not given.
	Remote bool `yaml:"remote"`
}

// Entra says whose tokens are accepted.
type Entra struct {
	// Authority is the sign-in service; https://login.microsoftonline.com if not given. National clouds
	// have their own. Plain HTTP is accepted on loopback addresses, for stand-ins.
	Authority URL `yaml:"authority"`
	// TenantID is the directory (tenant) id, a GUID.
	TenantID GUID `yaml:"tenant_id,required"`
	// ClientID is the application (client) id of the app registration that stands for this endpoint.
	ClientID GUID `yaml:"client_id,required"`
	// AppIDURI is the Application ID URI of that registration, such as api://pim.example.com/<client id>:
	// the audience of version 1 tokens. If empty, only tokens for the client id are accepted.
	AppIDURI URI `yaml:"app_id_uri"`
	// Callers are the client ids that may call. If not given it is Microsoft's PIM service,
	// 1c67c054-65c8-4f7f-92a1-eb7ba6e48627.
	Callers []GUID `yaml:"callers"`
	// Leeway is how far clocks may differ when a token's times are checked, 1s to 5m; 2m if not given.
	Leeway time.Duration `yaml:"leeway" range:"1s..5m"`
	// CAFile is the absolute path of PEM certificates that are trusted besides the system's when the
	// tenant's keys are fetched, for a proxy that inspects TLS; none if not given.
	CAFile Path `yaml:"ca_file"`
}

// PIM repeats what was registered for the custom extension in Microsoft Graph.
type PIM struct {
	// Timeout is how long PIM waits for one answer, 1s to 60s; 10s if not given.
	Timeout time.Duration `yaml:"timeout" range:"1s..1m"`
	// Retries is how often PIM calls again if it gets no answer, 0 to 5; 2 if not given.
	Retries int `yaml:"retries" range:"0..5"`
}

// Answer says when a callout is answered.
type Answer struct {
	// Within is the share of PIM's timeout after which the answer is due, 0.1 to 0.9; 0.65 if not
	// given. The rest is for the network and for whatever PIM does before and after. It must come to at
	// least 400ms.
	Within float64 `yaml:"within" range:"0.1..0.9"`
	// AtMost is the longest time to an answer whatever PIM's timeout is, 500ms to 55s; 15s if not given.
	AtMost time.Duration `yaml:"at_most" range:"500ms..55s"`
	// Linger is how long a denial that is certain waits for further findings, so that it can name
	// everything that is wrong, 0s to 2s; 50ms if not given.
	Linger time.Duration `yaml:"linger" range:"0s..2s"`
}

// Limits bound what is done at the same time. What exceeds them is answered at once, not refused.
type Limits struct {
	// Evaluations is how many may be under way, 1 to 10000; 256 if not given.
	Evaluations int `yaml:"evaluations" range:"1..10000"`
	// Queue is how many callouts may wait for one of those places, 1 to 10000; 64 if not given.
	Queue int `yaml:"queue" range:"1..10000"`
	// QueueWait is how long one of them waits, 1ms to 5s; 100ms if not given.
	QueueWait time.Duration `yaml:"queue_wait" range:"1ms..5s"`
}

// Journal is the durable record of evaluations. Without a record nothing is granted.
type Journal struct {
	// Path is the database; journal.db in the state directory if not given.
	Path Path `yaml:"path"`
	// KeyFile holds the key that signs checkpoints and blinds justifications; journal.key in the state
	// directory if not given. Keep a copy elsewhere: without it the journal cannot be verified.
	KeyFile Path `yaml:"key_file"`
	// CheckpointFile receives the signed checkpoints, best on another machine's file system;
	// journal.checkpoints in the state directory if not given.
	CheckpointFile Path `yaml:"checkpoint_file"`
	// KeepJustification stores what requesters write in full. If false, or not given, only a keyed hash,
	// its length and the ticket numbers in it are kept.
	KeepJustification bool `yaml:"keep_justification"`
	// Window is how long a repeat of the same request gets the recorded answer, 10m to 720h; 24h if not
	// given.
	Window time.Duration `yaml:"window" range:"10m..720h"`
}

// Logging says what is written to standard error.
type Logging struct {
	// Level is the least important level that is written: debug, info, warn or error; info if not given.
	Level Level `yaml:"level"`
	// Format is json or text; json if not given.
	Format Format `yaml:"format"`
}

// SetDefaults sets every default that does not depend on another setting.
func (c *Config) SetDefaults() {
	c.Listen.SetDefaults()
	c.Admin.SetDefaults()
	c.Entra.SetDefaults()
	c.PIM.SetDefaults()
	c.Answer.SetDefaults()
	c.Limits.SetDefaults()
	c.Journal.SetDefaults()
	c.Logging.SetDefaults()
	c.StateDir = "/var/lib/countersign"
}

// SetDefaults sets the defaults.
func (l *Listen) SetDefaults() {
	*l = Listen{Address: ":8443", MaxConnections: 2000, Drain: 5 * time.Second}
}

// SetDefaults sets the defaults.
func (a *Admin) SetDefaults() { *a = Admin{Address: "127.0.0.1:9443"} }

// SetDefaults sets the defaults.
func (e *Entra) SetDefaults() {
	*e = Entra{
		Authority: "https://login.microsoftonline.com",
		Callers:   []GUID{"1c67c054-65c8-4f7f-92a1-eb7ba6e48627"},
		Leeway:    2 * time.Minute,
	}
}

// SetDefaults sets the defaults.
func (p *PIM) SetDefaults() { *p = PIM{Timeout: 10 * time.Second, Retries: 2} }

// SetDefaults sets the defaults.
func (a *Answer) SetDefaults() {
	*a = Answer{Within: 0.65, AtMost: 15 * time.Second, Linger: 50 * time.Millisecond}
}

// SetDefaults sets the defaults.
func (l *Limits) SetDefaults() {
	*l = Limits{Evaluations: 256, Queue: 64, QueueWait: 100 * time.Millisecond}
}

// SetDefaults sets the defaults.
func (j *Journal) SetDefaults() { *j = Journal{Window: 24 * time.Hour} }

// SetDefaults sets the defaults.
func (l *Logging) SetDefaults() { *l = Logging{Level: "info", Format: "json"} }
