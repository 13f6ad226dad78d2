package journal

import "fmt"

// remembered is how far around an entry the reader looks for the place where it was written.
const remembered = 1024

// chainReader follows a chain with nothing but hashes, and says what broke it.
type chainReader struct {
	head Head
	read int64
	// recent are the last entries by number modulo remembered.
	recent [remembered]passed
}

type passed struct {
	seq          int64
	hash         Hash
	evaluationID string
}

func newChainReader(genesis Head) *chainReader { return &chainReader{head: genesis} }

// next takes the row as the next entry, or says what is wrong.
func (c *chainReader) next(r *Row) *Fault {
	c.read++
	want := c.head.Seq + 1
	switch {
	case r.Seq > want:
		return &Fault{Seq: want, Kind: Missing, What: fmt.Sprintf("there is no entry %d; the next one is %d", want, r.Seq)}
	case r.Seq < want:
		return &Fault{Seq: r.Seq, EvaluationID: r.EvaluationID, Kind: Inserted, What: "there is no place for an entry of this number"}
	case !r.consistent():
		return c.explain(r)
	case r.Prev != c.head.Hash:
		return c.unlinked(r)
	}
	c.head = Head{Seq: r.Seq, Hash: r.Hash}
	c.recent[r.Seq%remembered] = passed{seq: r.Seq, hash: r.Hash, evaluationID: r.EvaluationID}
	return nil
}

// unlinked is for a row that is whole and was written after another entry than the one before it. The
// entry before it must then have been replaced by one with a hash of its own.
func (c *chainReader) unlinked(r *Row) *Fault {
	before := c.recent[c.head.Seq%remembered]
	if c.head.Seq == 0 {
		return &Fault{Seq: r.Seq, EvaluationID: r.EvaluationID, Kind: Changed, What: "the first entry is not the beginning of this journal"}
	}
	return &Fault{
		Seq: before.seq, EvaluationID: before.evaluationID, Kind: Changed,
		What: fmt.Sprintf("entry %d was written after another entry than this", r.Seq),
	}
}

// explain is for a row whose hash is not that of its columns.
func (c *chainReader) explain(r *Row) *Fault {
	place, ok := writtenAt(*r)
	switch {
	case !ok:
		return &Fault{Seq: r.Seq, EvaluationID: r.EvaluationID, Kind: Changed, What: "its hash is not that of its columns"}
	case place > r.Seq:
		return &Fault{Seq: r.Seq, EvaluationID: r.EvaluationID, Kind: Reordered, What: fmt.Sprintf("it was written as entry %d", place)}
	}
	if there := c.recent[place%remembered]; there.seq == place && there.hash != r.Hash {
		return &Fault{
			Seq: place, EvaluationID: there.evaluationID, Kind: Inserted,
			What: fmt.Sprintf("what was written here is now entry %d", r.Seq),
		}
	}
	return &Fault{Seq: r.Seq, EvaluationID: r.EvaluationID, Kind: Inserted, What: fmt.Sprintf("it is a copy of entry %d", place)}
}

// writtenAt finds the number under which the row's hash is right.
func writtenAt(r Row) (int64, bool) {
	here, columns := r.Seq, r.columns()
	for place := max(1, here-remembered+1); place < here+remembered; place++ {
		r.Seq = place
		if link(r.contentOf(columns), r.Seal) == r.Hash {
			return place, true
		}
	}
	return 0, false
}
