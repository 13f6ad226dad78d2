package config

import (
	"encoding/hex"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/countersign/countersign/gateway/internal/strictyaml"
)

var (
	guidForm   = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	methodForm = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-zA-Z][a-zA-Z0-9_]*)+/[A-Z][a-zA-Z0-9_]*$`)
	sizeForm   = regexp.MustCompile(`^(\d{1,15})(B|KiB|MiB|GiB)$`)
	// nameForm is what connectors are called; the length is that of a DNS label.
	nameForm = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
)

// GUID is an object, tenant or client id, lower case.
type GUID string

// UnmarshalText accepts the form with hyphens only.
func (g *GUID) UnmarshalText(text []byte) error {
	if !guidForm.Match(text) {
		return &strictyaml.Flaw{Message: "is no GUID", Remedy: "write it as 00000000-0000-0000-0000-000000000000, without braces"}
	}
	*g = GUID(strings.ToLower(string(text)))
	return nil
}

// Digest is a SHA-256 digest in lower-case hexadecimal.
type Digest string

// UnmarshalText accepts 64 hexadecimal digits.
func (d *Digest) UnmarshalText(text []byte) error {
	if raw, err := hex.DecodeString(string(text)); err != nil || len(raw) != 32 {
		return &strictyaml.Flaw{Message: "is no SHA-256 digest", Remedy: "write the 64 hexadecimal digits that sha256sum prints for the file"}
	}
	*d = Digest(strings.ToLower(string(text)))
	return nil
}

// Path is an absolute path.
type Path string

// UnmarshalText accepts absolute paths: what a relative one means depends on who starts the gateway.
func (p *Path) UnmarshalText(text []byte) error {
	if !filepath.IsAbs(string(text)) || strings.ContainsRune(string(text), 0) {
		return &strictyaml.Flaw{Message: "is no absolute path", Remedy: "begin it with /"}
	}
	*p = Path(filepath.Clean(string(text)))
	return nil
}

// Address is a host and a port to listen on; an empty host means all addresses.
type Address string

// UnmarshalText accepts "host:port", ":port" and "[ipv6]:port".
func (a *Address) UnmarshalText(text []byte) error {
	host, port, err := net.SplitHostPort(string(text))
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || strings.ContainsAny(host, " /\t") {
		return &strictyaml.Flaw{Message: "is no address to listen on", Remedy: "write host:port, such as 127.0.0.1:8443, or :8443 for all addresses"}
	}
	*a = Address(text)
	return nil
}

// Loopback reports whether only this machine reaches the address.
func (a Address) Loopback() bool {
	host, _, err := net.SplitHostPort(string(a))
	return err == nil && loopback(host)
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// overlaps reports whether two addresses cannot be listened on at once. Port 0 is any free port.
func (a Address) overlaps(b Address) bool {
	hostA, portA, errA := net.SplitHostPort(string(a))
	hostB, portB, errB := net.SplitHostPort(string(b))
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return anyHost(hostA) || anyHost(hostB) || strings.EqualFold(hostA, hostB) || loopback(hostA) && loopback(hostB)
}

func anyHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

// URL is an https URL without path, query and user, such as an authority. Plain HTTP is accepted for
// loopback addresses, where nobody can listen in.
type URL string

// UnmarshalText accepts such URLs and drops a final slash.
func (u *URL) UnmarshalText(text []byte) error {
	parsed, err := url.Parse(string(text))
	if err != nil || parsed.Host == "" || parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "" || strings.Trim(parsed.Path, "/") != "" {
		return &strictyaml.Flaw{Message: "is no URL of a server", Remedy: "write https://host, without path and query"}
	}
	if parsed.Scheme != "https" && (parsed.Scheme != "http" || !loopback(parsed.Hostname())) {
		return &strictyaml.Flaw{Message: "is not encrypted", Remedy: "begin it with https://"}
	}
	*u = URL(parsed.Scheme + "://" + parsed.Host)
	return nil
}

// URI is an Application ID URI, kept as it is written, since tokens repeat it character by character.
type URI string

// UnmarshalText accepts absolute URIs with a host.
func (u *URI) UnmarshalText(text []byte) error {
	parsed, err := url.Parse(string(text))
	if err != nil || parsed.Scheme == "" || parsed.Host == "" {
		return &strictyaml.Flaw{Message: "is no Application ID URI", Remedy: "copy it from the app registration, such as api://pim.example.com/<client id>"}
	}
	*u = URI(text)
	return nil
}

// Size is a number of bytes.
type Size int64

// UnmarshalText accepts a whole number with a unit: B, KiB, MiB or GiB.
func (s *Size) UnmarshalText(text []byte) error {
	size, err := parseSize(string(text))
	if err != nil {
		return err
	}
	*s = size
	return nil
}

// String writes the size in the largest unit that needs no fraction.
func (s Size) String() string {
	units := []string{"B", "KiB", "MiB", "GiB"}
	at := 0
	for at < len(units)-1 && s != 0 && s%1024 == 0 {
		s, at = s/1024, at+1
	}
	return strconv.FormatInt(int64(s), 10) + units[at]
}

func parseSize(text string) (Size, error) {
	m := sizeForm.FindStringSubmatch(text)
	if m == nil {
		return 0, &strictyaml.Flaw{Message: "is no size", Remedy: "write a whole number with a unit: B, KiB, MiB or GiB, such as 4MiB"}
	}
	number, _ := strconv.ParseInt(m[1], 10, 64) // fifteen digits always fit
	unit := map[string]int64{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[m[2]]
	if number > math.MaxInt64/unit {
		return 0, &strictyaml.Flaw{Message: "is out of range", Remedy: "write a smaller size"}
	}
	return Size(number * unit), nil
}

// Capability is the word of a standard capability or the full name of a gRPC method.
type Capability string

// CapabilityWords are the standard capabilities.
func CapabilityWords() []string {
	return []string{"principal", "ticket", "employment", "oncall", "incident", "calendar"}
}

// UnmarshalText accepts the standard words and names such as acme.risk.v1.RiskService/GetRisk.
func (c *Capability) UnmarshalText(text []byte) error {
	word := string(text)
	if !slices.Contains(CapabilityWords(), word) && !methodForm.MatchString(word) {
		remedy := "write one of " + strings.Join(CapabilityWords(), ", ") + ", or a method such as acme.risk.v1.RiskService/GetRisk"
		if near, ok := strictyaml.Nearest(word, CapabilityWords()); ok {
			remedy = fmt.Sprintf("did you mean %q?", near)
		}
		return &strictyaml.Flaw{Message: "is neither a standard capability nor a gRPC method", Remedy: remedy}
	}
	*c = Capability(word)
	return nil
}

// Level is the importance of a log line.
type Level string

// Words are the levels.
func (Level) Words() []string { return []string{"debug", "info", "warn", "error"} }

// Format is the form of log lines.
type Format string

// Words are the formats.
func (Format) Words() []string { return []string{"json", "text"} }
