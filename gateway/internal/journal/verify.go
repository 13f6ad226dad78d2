package journal

import (
	"fmt"
	"iter"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// FaultKind is what is wrong with a journal.
type FaultKind string

// The kinds of faults.
const (
	// Changed: a column is not as it was written.
	Changed FaultKind = "changed"
	// Missing: there is no entry of that number, but there are later ones.
	Missing FaultKind = "missing"
	// Reordered: the entry was written in another place.
	Reordered FaultKind = "reordered"
	// Inserted: the entry was put between others, or is a copy of one.
	Inserted FaultKind = "inserted"
	// Truncated: a checkpoint counts more entries than there are.
	Truncated FaultKind = "truncated"
	// Forked: the entries hang together, but are not the ones that a checkpoint vouches for.
	Forked FaultKind = "forked"
	// BadCheckpoint: a checkpoint is not signed with the key, or belongs to another journal, or the one
	// before it is missing.
	BadCheckpoint FaultKind = "bad_checkpoint"
	// BadForm: the tables are not the ones that a journal has.
	BadForm FaultKind = "bad_form"
)

// Fault is the first thing that is wrong.
type Fault struct {
	// Seq is the number of the bad entry, or how many entries a bad checkpoint counts.
	Seq int64 `json:"seq"`
	// EvaluationID is what the bad entry says it is; empty if there is none.
	EvaluationID string    `json:"evaluation_id,omitempty"`
	Kind         FaultKind `json:"kind"`
	// What says it in a sentence.
	What string `json:"what"`
}

// String is the fault in one line.
func (f Fault) String() string {
	if f.EvaluationID == "" {
		return fmt.Sprintf("%s at %d: %s", f.Kind, f.Seq, f.What)
	}
	return fmt.Sprintf("%s at %d (%s): %s", f.Kind, f.Seq, f.EvaluationID, f.What)
}

// VerifyOptions are what the verifier knows besides the journal and the public key.
type VerifyOptions struct {
	// Anchors are signed checkpoints kept elsewhere; SplitCheckpoints reads them from a file.
	Anchors []string
}

// Report is what verification found.
type Report struct {
	JournalID string `json:"journal_id"`
	// Entries is how many entries were read; reading ends at the first bad one.
	Entries int64 `json:"entries"`
	// FirstBad is nil if nothing is wrong.
	FirstBad *Fault `json:"first_bad,omitempty"`
	// Checkpoints is how many checkpoints vouch for the entries, anchors included.
	Checkpoints int `json:"checkpoints"`
	// Anchors is how many of these are anchors: zero means that nothing kept elsewhere was compared.
	Anchors int `json:"anchors"`
	// Head is the hash of the last good entry.
	Head Hash `json:"head"`
	// UncoveredTail is how many entries no checkpoint vouches for.
	UncoveredTail int64 `json:"uncovered_tail"`
	// UnanchoredTail is how many entries no anchor vouches for: those that can be cut off unseen.
	UnanchoredTail int64 `json:"unanchored_tail"`
}

// Copy is a journal as a driver reads it for verification.
type Copy struct {
	JournalID string
	// Rows in ascending order of their numbers, whatever these are.
	Rows iter.Seq2[Row, error]
	// Checkpoints in ascending order of the sizes they are filed under.
	Checkpoints []Filed
}

// Filed is a signed checkpoint and the size that it is filed under.
type Filed struct {
	Size   int64
	Signed string
}

// VerifyCopy checks everything that the public key can check. Its error says that the copy could not
// be read to its end; the report then covers what was read.
func VerifyCopy(c Copy, publicKey string, o VerifyOptions) (Report, error) {
	verifier, err := note.NewVerifier(strings.TrimSpace(publicKey))
	if err != nil {
		return Report{}, fmt.Errorf("public journal key: %w", err)
	}
	v := &verification{
		verifier: verifier, journalID: c.JournalID, claims: map[int64][]claim{},
		chain: newChainReader(Genesis(c.JournalID)),
	}
	v.readCheckpoints(c.Checkpoints)
	v.readAnchors(o.Anchors)
	err = v.readRows(c.Rows)
	if err == nil {
		v.findTruncation()
	}
	return v.report(), err
}

// claim is what one checkpoint says about its size.
type claim struct {
	checkpoint Checkpoint
	anchor     bool
}

type verification struct {
	verifier  note.Verifier
	journalID string
	claims    map[int64][]claim
	chain     *chainReader
	fault     *Fault

	confirmed int
	kept      int   // how many of them are anchors
	covered   reach // by any checkpoint
	anchored  reach // by an anchor
	largest   Checkpoint
}

// reach is how far checkpoints vouch for the entries.
type reach struct {
	size int64
	next string // the evaluation of the entry after size
}

func (r *reach) pass(row *Row) {
	if row.Seq == r.size+1 {
		r.next = row.EvaluationID
	}
}

// found keeps the fault that comes first in the journal.
func (v *verification) found(f Fault) {
	if v.fault == nil || f.Seq < v.fault.Seq {
		v.fault = &f
	}
}

func (v *verification) readCheckpoints(filed []Filed) {
	previous, known := Hash{}, true
	for _, f := range filed {
		c, ok := v.open(f.Signed, f.Size, "checkpoint")
		switch {
		case !ok:
			known = false // what the next one refers to cannot be read
			continue
		case c.Head.Seq != f.Size:
			v.found(Fault{Seq: f.Size, Kind: BadCheckpoint, What: fmt.Sprintf("checkpoint is filed under %d entries and counts %d", f.Size, c.Head.Seq)})
		case known && c.Previous != previous:
			v.found(Fault{Seq: f.Size, Kind: BadCheckpoint, What: "the checkpoint before this one is missing"})
		}
		previous, known = c.Hash(), true
		v.claim(claim{checkpoint: c})
	}
	if len(filed) == 0 {
		v.found(Fault{Kind: BadCheckpoint, What: "there are no checkpoints, and every journal begins with one"})
	}
}

func (v *verification) readAnchors(anchors []string) {
	for _, signed := range anchors {
		if c, ok := v.open(signed, 0, "anchor"); ok {
			v.claim(claim{checkpoint: c, anchor: true})
		}
	}
}

func (v *verification) open(signed string, size int64, what string) (Checkpoint, bool) {
	c, err := openCheckpoint(signed, v.verifier)
	if err != nil {
		v.found(Fault{Seq: size, Kind: BadCheckpoint, What: what + ": " + err.Error()})
		return c, false
	}
	if c.JournalID != v.journalID {
		v.found(Fault{Seq: size, Kind: BadCheckpoint, What: fmt.Sprintf("%s is of journal %s and this is %s", what, c.JournalID, v.journalID)})
		return c, false
	}
	return c, true
}

func (v *verification) claim(c claim) {
	size := c.checkpoint.Head.Seq
	v.claims[size] = append(v.claims[size], c)
	if size > v.largest.Head.Seq {
		v.largest = c.checkpoint
	}
}

func (v *verification) readRows(rows iter.Seq2[Row, error]) error {
	v.confirm()
	for row, err := range rows {
		if err != nil {
			return fmt.Errorf("read entry after %d: %w", v.chain.head.Seq, err)
		}
		if fault := v.chain.next(&row); fault != nil {
			v.found(*fault)
			return nil
		}
		v.covered.pass(&row)
		v.anchored.pass(&row)
		if !v.confirm() {
			return nil
		}
	}
	return nil
}

// confirm compares the chain with what checkpoints say about its present length.
func (v *verification) confirm() bool {
	head, covered, anchored := v.chain.head, v.covered, v.anchored
	for _, c := range v.claims[head.Seq] {
		if c.checkpoint.Head.Hash != head.Hash {
			v.found(c.contradicts(covered, anchored))
			return false
		}
		v.confirmed++
		v.covered = reach{size: head.Seq}
		if c.anchor {
			v.kept++
			v.anchored = reach{size: head.Seq}
		}
	}
	return true
}

// contradicts names the first entry that nothing vouches for: more cannot be told. Against an anchor
// the checkpoints kept in the journal do not count, since both branches of a fork may be signed.
func (c claim) contradicts(covered, anchored reach) Fault {
	last := covered
	if c.anchor {
		last = anchored
	}
	size := c.checkpoint.Head.Seq
	return Fault{
		Seq: min(last.size+1, size), EvaluationID: last.next, Kind: Forked,
		What: fmt.Sprintf("entries from here to %d are not the ones that were signed", size),
	}
}

func (v *verification) findTruncation() {
	if v.fault != nil || v.chain.head.Seq >= v.largest.Head.Seq {
		return
	}
	v.found(Fault{
		Seq: v.chain.head.Seq + 1, Kind: Truncated,
		What: fmt.Sprintf("a checkpoint of %s counts %d entries and there are %d",
			v.largest.Time.Format("2006-01-02T15:04:05Z07:00"), v.largest.Head.Seq, v.chain.head.Seq),
	})
}

func (v *verification) report() Report {
	head := v.chain.head
	return Report{
		JournalID: v.journalID, Entries: v.chain.read, FirstBad: v.fault, Checkpoints: v.confirmed, Anchors: v.kept, Head: head.Hash,
		UncoveredTail: head.Seq - v.covered.size, UnanchoredTail: head.Seq - v.anchored.size,
	}
}
