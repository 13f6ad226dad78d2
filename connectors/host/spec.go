package host

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/countersign/countersign/connectors/internal/handshake"
	"github.com/countersign/countersign/connectors/internal/process"
)

// Spec says which program a connector is and how to run it.
type Spec struct {
	// Name is the connector's name in the configuration.
	Name string
	// Path is the program, absolute.
	Path string
	// SHA256 is the digest of the program in hex; there is no connector without one.
	SHA256 string
	Args   []string
	// Env is the whole environment of the process, as "KEY=value"; nothing is inherited.
	Env []string
	// Lookup finds more of the environment at every start, such as secrets, whose values can be missing
	// or change; nil means there is no more. Its error is in a *ConfigError.
	Lookup func() ([]string, error)
	// Description is what the program with this digest has described itself as before; nil if that is not
	// known. With it Connector.Description knows without a process, and a process that describes itself
	// otherwise is not used.
	Description *Description
	// Configure builds the configuration message, in binary form, for what the connector describes
	// itself to need. It is called at every start; nil means no settings.
	Configure func(*Description) ([]byte, error)
	Limits    Limits
}

// Limits bound a connector. Zero means the default.
type Limits struct {
	// StartTimeout bounds the handshake, and again everything from there to the configuration: 5 s.
	StartTimeout time.Duration
	// ConfigureTimeout bounds putting the configuration into force, which may ask the upstream: 15 s.
	ConfigureTimeout time.Duration
	// CallTimeout bounds a call that came with more time than that, or with no deadline: 30 s.
	CallTimeout time.Duration
	// MaxMessage is the longest answer in bytes: 4 MiB.
	MaxMessage int
	// DrainTimeout is how long Close waits for the calls under way: 10 s.
	DrainTimeout time.Duration
	// StopTimeout bounds stopping the process after that; a quarter of it goes to each step: 2 s.
	StopTimeout time.Duration
}

// Options are what connectors share. Zero means the default.
type Options struct {
	Logger *slog.Logger
	Now    func() time.Time
	// SocketDir is where the private directories of sockets are made, at most 69 bytes long; the
	// system's temporary directory if empty.
	SocketDir string
	// ProbeEvery and ProbeTimeout say how a process that hangs is found, after three probes without
	// an answer: every 2 s, 1 s for an answer.
	ProbeEvery, ProbeTimeout time.Duration
	// Jitter picks the pause before a restart out of the longest it may be; full jitter if nil.
	Jitter func(longest time.Duration) time.Duration

	verified func() // called between the check of a digest and the start
}

func (l Limits) orDefaults() Limits {
	return Limits{
		StartTimeout:     or(l.StartTimeout, 5*time.Second),
		ConfigureTimeout: or(l.ConfigureTimeout, 15*time.Second),
		CallTimeout:      or(l.CallTimeout, handshake.CallTimeout),
		MaxMessage:       or(l.MaxMessage, handshake.MaxMessage),
		DrainTimeout:     or(l.DrainTimeout, 10*time.Second),
		StopTimeout:      or(l.StopTimeout, 2*time.Second),
	}
}

func (o Options) orDefaults() Options {
	o.SocketDir = or(o.SocketDir, os.TempDir())
	o.ProbeEvery = or(o.ProbeEvery, 2*time.Second)
	o.ProbeTimeout = or(o.ProbeTimeout, time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Jitter == nil {
		o.Jitter = func(longest time.Duration) time.Duration { return rand.N(longest) + 1 } //nolint:gosec // not a secret
	}
	return o
}

func or[T comparable](given, otherwise T) T {
	var zero T
	if given == zero {
		return otherwise
	}
	return given
}

// maxSocketDir leaves room in the 107 bytes of a Unix socket's path (unix(7)) for the directory that
// go-plugin makes (21 bytes) and the socket in it (17).
const maxSocketDir = 107 - 21 - 17

// ErrDigest is in the error of a start whose program does not have the digest of the spec.
var ErrDigest = process.ErrDigest

// check finds what is wrong with a spec before anything is started.
func (s Spec) check(o Options) error {
	digest, err := hex.DecodeString(s.SHA256)
	switch {
	case s.Name == "":
		return errors.New("connector has no name")
	case !filepath.IsAbs(s.Path):
		return fmt.Errorf("program %q is not an absolute path", s.Path)
	case err != nil || len(digest) != sha256.Size:
		return fmt.Errorf("%w: %q is not 64 hexadecimal digits", ErrDigest, s.SHA256)
	case len(o.SocketDir) > maxSocketDir:
		return fmt.Errorf("socket directory %s has %d bytes, at most %d leave room for a socket", o.SocketDir, len(o.SocketDir), maxSocketDir)
	}
	for _, variable := range s.Env {
		key, _, ok := strings.Cut(variable, "=")
		if !ok || key == "" || strings.HasPrefix(key, "PLUGIN_") || key == handshake.CookieKey {
			return fmt.Errorf("environment variable %q is not KEY=value, or belongs to the handshake", key)
		}
	}
	return nil
}
