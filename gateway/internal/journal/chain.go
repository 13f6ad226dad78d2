package journal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"
)

// Domain separators: no two kinds of hash in the journal are ever taken of the same bytes.
const (
	genesisDomain = "countersign-journal genesis v1\n"
	columnsDomain = "countersign-journal columns v1\n"
	entryDomain   = "countersign-journal entry v1\n"
	linkDomain    = "countersign-journal link v1\n"
)

// Hash is a SHA-256.
type Hash [sha256.Size]byte

// HashFrom copies a stored hash. One that does not have 32 bytes becomes the zero Hash, which no
// entry has.
func HashFrom(stored []byte) Hash {
	if len(stored) != sha256.Size {
		return Hash{}
	}
	return Hash(stored)
}

// String is the hash in lower-case hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText is the hash in lower-case hexadecimal.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// Head is the end of a chain: how many entries it has, and the hash of the last.
type Head struct {
	Seq  int64
	Hash Hash
}

// Genesis is the head of a journal without entries. The random id keeps entries of one journal from
// being presented as another's.
func Genesis(journalID string) Head {
	h := sha256.New()
	h.Write(appendField([]byte(genesisDomain), journalID))
	return Head{Hash: Hash(h.Sum(nil))}
}

// Row is an entry as a driver stores it, column by column.
type Row struct {
	Seq          int64
	At           int64 // nanoseconds since 1970, UTC
	EvaluationID string
	RequestKey   string
	Digest       string
	Outcome      string
	Principal    string
	Answer       []byte
	Body         []byte
	Prev         Hash
	// Seal is the keyed hash of everything above.
	Seal Hash
	// Hash covers everything above and the seal.
	Hash Hash
}

// columns is the hash of what the row says, wherever it stands.
func (r *Row) columns() Hash {
	text := make([]byte, 0, len(columnsDomain)+8*8+len(r.Body)+len(r.Answer)+512)
	text = append(text, columnsDomain...)
	for _, field := range []string{r.EvaluationID, r.RequestKey, r.Digest, r.Outcome, r.Principal} {
		text = appendField(text, field)
	}
	text = appendField(text, r.Answer)
	text = appendField(text, r.Body)
	return sha256.Sum256(text)
}

// content is the hash of the row in its place.
func (r *Row) content() Hash { return r.contentOf(r.columns()) }

func (r *Row) contentOf(columns Hash) Hash {
	text := make([]byte, 0, len(entryDomain)+2*8+2*sha256.Size)
	text = append(text, entryDomain...)
	text = binary.BigEndian.AppendUint64(text, uint64(r.Seq)) //nolint:gosec // two's complement is as good as any coding
	text = binary.BigEndian.AppendUint64(text, uint64(r.At))  //nolint:gosec // likewise
	text = append(text, r.Prev[:]...)
	return sha256.Sum256(append(text, columns[:]...))
}

// appendField puts the length in front, so that neighbouring fields cannot run into each other.
func appendField[T string | []byte](text []byte, field T) []byte {
	text = binary.BigEndian.AppendUint64(text, uint64(len(field)))
	return append(text, field...)
}

// link is the hash that the next entry refers to.
func link(content, seal Hash) Hash {
	text := make([]byte, 0, len(linkDomain)+2*sha256.Size)
	text = append(text, linkDomain...)
	text = append(text, content[:]...)
	return sha256.Sum256(append(text, seal[:]...))
}

// consistent reports whether the row's hash is that of its columns.
func (r *Row) consistent() bool { return link(r.content(), r.Seal) == r.Hash }

// Append gives the row its place after head, seals it, and returns the new head.
func (k *Keys) Append(head Head, at time.Time, r *Row) Head {
	r.Seq, r.At, r.Prev = head.Seq+1, at.UnixNano(), head.Hash
	content := r.content()
	r.Seal = k.seal(content)
	r.Hash = link(content, r.Seal)
	return Head{Seq: r.Seq, Hash: r.Hash}
}

// Intact reports whether the row is as the holder of the keys wrote it.
func (k *Keys) Intact(r *Row) bool {
	content := r.content()
	seal := k.seal(content)
	return hmac.Equal(seal[:], r.Seal[:]) && link(content, r.Seal) == r.Hash
}

// Follow checks that the row follows head and bears the seal, and returns the new head.
func (k *Keys) Follow(head Head, r *Row) (Head, error) {
	switch {
	case r.Seq != head.Seq+1:
		return head, fmt.Errorf("%w: entry %d is followed by entry %d", ErrTampered, head.Seq, r.Seq)
	case r.Prev != head.Hash:
		return head, fmt.Errorf("%w: entry %d (%s) was not written after the one before it", ErrTampered, r.Seq, r.EvaluationID)
	case !k.Intact(r):
		return head, fmt.Errorf("%w: entry %d (%s) is not as it was written", ErrTampered, r.Seq, r.EvaluationID)
	}
	return Head{Seq: r.Seq, Hash: r.Hash}, nil
}

// Entry decodes the row.
func (k *Keys) Entry(r Row) (Entry, error) {
	e, err := r.Entry()
	e.Intact = k.Intact(&r)
	return e, err
}

// Entry decodes the row without the keys: it is intact if its hash is that of its columns, which
// somebody who changed both could have seen to.
func (r Row) Entry() (Entry, error) {
	e := Entry{
		Seq: r.Seq, Time: time.Unix(0, r.At).UTC(), EvaluationID: r.EvaluationID, RequestKey: r.RequestKey,
		Digest: r.Digest, Prev: r.Prev, Hash: r.Hash, Body: r.Body, Answer: r.Answer, Intact: r.consistent(),
	}
	var err error
	if e.Evaluation, e.Justification, err = Decode(r.Body); err != nil {
		return e, fmt.Errorf("entry %d: %w", r.Seq, err)
	}
	return e, nil
}
