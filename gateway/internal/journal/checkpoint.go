package journal

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

const (
	originPrefix     = "countersign-journal/"
	timePrefix       = "time "
	previousPrefix   = "previous "
	signaturePrefix  = "\u2014 " // how a signature line of a note begins
	signatureLength  = 92        // base64 of a key hash (4 bytes) and an Ed25519 signature (64 bytes)
	checkpointLines  = 5
	checkpointDomain = "countersign-journal checkpoint v1\n"
)

// Checkpoint states that a journal had so many entries and ended in this one.
type Checkpoint struct {
	JournalID string
	Head      Head
	Time      time.Time
	// Previous is the hash of the checkpoint before, and zero for the first.
	Previous Hash
}

// text is what is signed: origin, size, head as in a C2SP checkpoint, then two lines of ours.
func (c Checkpoint) text() string {
	return originPrefix + c.JournalID + "\n" +
		strconv.FormatInt(c.Head.Seq, 10) + "\n" +
		base64.StdEncoding.EncodeToString(c.Head.Hash[:]) + "\n" +
		timePrefix + c.Time.UTC().Format(time.RFC3339Nano) + "\n" +
		previousPrefix + base64.StdEncoding.EncodeToString(c.Previous[:]) + "\n"
}

// Hash is what the next checkpoint refers to.
func (c Checkpoint) Hash() Hash { return sha256.Sum256([]byte(checkpointDomain + c.text())) }

// Sign returns the checkpoint as a signed note.
func (k *Keys) Sign(c Checkpoint) (string, error) {
	signed, err := note.Sign(&note.Note{Text: c.text()}, k.signer)
	if err != nil {
		return "", fmt.Errorf("sign checkpoint: %w", err)
	}
	return string(signed), nil
}

// OpenCheckpoint checks the signature of a note and reads the checkpoint in it.
func OpenCheckpoint(signed, publicKey string) (Checkpoint, error) {
	verifier, err := note.NewVerifier(strings.TrimSpace(publicKey))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("public journal key: %w", err)
	}
	return openCheckpoint(signed, verifier)
}

func openCheckpoint(signed string, verifier note.Verifier) (Checkpoint, error) {
	n, err := note.Open([]byte(signed), note.VerifierList(verifier))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint signature: %w", err)
	}
	// The last character of a signature has two bits that base64 ignores unless told not to.
	if _, err := base64.StdEncoding.Strict().DecodeString(n.Sigs[0].Base64); err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint signature: %w", err)
	}
	c, err := parseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	return c, nil
}

// parseCheckpoint accepts only the text that the checkpoint itself would have.
func parseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != checkpointLines+1 {
		return Checkpoint{}, errors.New("wrong number of lines")
	}
	size, sizeErr := strconv.ParseInt(lines[1], 10, 64)
	at, timeErr := time.Parse(time.RFC3339Nano, strings.TrimPrefix(lines[3], timePrefix))
	c := Checkpoint{
		JournalID: strings.TrimPrefix(lines[0], originPrefix),
		Head:      Head{Seq: size, Hash: decodeHash(lines[2])},
		Time:      at.UTC(),
		Previous:  decodeHash(strings.TrimPrefix(lines[4], previousPrefix)),
	}
	if err := errors.Join(sizeErr, timeErr); err != nil {
		return Checkpoint{}, err
	}
	if size < 0 || c.text() != text {
		return Checkpoint{}, errors.New("not in the form in which they are written")
	}
	return c, nil
}

// decodeHash returns the zero Hash for anything but a hash; the text then does not come out the same.
func decodeHash(text string) Hash {
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return Hash{}
	}
	return HashFrom(decoded)
}

// SplitCheckpoints takes a file of checkpoints apart. A text without a signature line, such as a last
// one that a crash cut short, says nothing and is left out; a file with none but such texts gives none.
func SplitCheckpoints(file string) []string {
	var (
		notes   []string
		current strings.Builder
		signed  bool
	)
	for line := range strings.Lines(file) {
		switch {
		case isSignature(line):
			signed = true
		case strings.HasPrefix(line, originPrefix):
			notes = appendNote(notes, current.String(), signed)
			current.Reset()
			signed = false
		case line == "\n" && signed:
			continue
		}
		current.WriteString(line)
	}
	return appendNote(notes, current.String(), signed)
}

// isSignature reports whether the line is a signature that is there to its end.
func isSignature(line string) bool {
	signature := strings.TrimSpace(line[strings.LastIndexByte(line, ' ')+1:])
	return strings.HasPrefix(line, signaturePrefix) && strings.HasSuffix(line, "\n") && len(signature) == signatureLength
}

func appendNote(notes []string, text string, signed bool) []string {
	if !signed {
		return notes
	}
	return append(notes, text)
}
