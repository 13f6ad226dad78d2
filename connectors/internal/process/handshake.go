package process

import (
	"bufio"
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
)

// Bounds of what a process may print before its handshake: a library that greets on standard output does
// no harm, a flood is refused.
const (
	maxHandshakeLine = 16 << 10
	maxBefore        = 64 << 10
)

// looksLikeHandshake is the beginning of "1|1|unix|/path|grpc|certificate".
var looksLikeHandshake = regexp.MustCompile(`^\d+\|\d+\|\w+\|`)

// pumpStdout passes the first line that looks like a handshake on to go-plugin and drains the rest, so
// that the process never blocks on a full pipe.
func (p *Process) pumpStdout(stdout *os.File) {
	r := bufio.NewReaderSize(stdout, maxHandshakeLine)
	line, err := p.findHandshake(r)
	if err != nil {
		p.mu.Lock()
		p.refusal = err
		p.mu.Unlock()
	} else if line != "" {
		_, _ = io.WriteString(p.announce, line+"\n")
	}
	_ = p.announce.Close()
	_, _ = io.Copy(io.Discard, r)
}

// findHandshake returns "" if standard output ends before a handshake.
func (p *Process) findHandshake(r *bufio.Reader) (string, error) {
	for before := 0; before < maxBefore; {
		raw, err := r.ReadSlice('\n')
		line := strings.TrimRight(string(raw), "\r\n")
		if err == nil && looksLikeHandshake.MatchString(line) {
			return line, encrypted(line)
		}
		before += len(raw)
		if line != "" {
			p.output.remember("stdout: " + line)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return "", nil
		}
	}
	return "", errors.New("printed 64 KiB to standard output and no handshake; standard output belongs to the gateway")
}

// encrypted refuses a process that ignores the certificate it was given; go-plugin would notice at the
// first call only.
func encrypted(line string) error {
	const certificate = 5
	fields := strings.Split(line, "|")
	if len(fields) <= certificate || len(fields[certificate]) <= 50 {
		return errors.New("answered the handshake without a certificate; a connector must honour PLUGIN_CLIENT_CERT")
	}
	return nil
}
