package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/countersign/countersign/gateway/internal/journal"
)

const (
	selectRow = `SELECT seq, at, evaluation_id, request_key, digest, outcome, principal, answer, body, prev, seal, hash FROM entries `
	// page is how many entries are read at once. No read is open while the caller looks at them: an
	// open one keeps SQLite from reusing its log.
	page = 256
	// mostAnswers bounds what Answered returns; PIM delivers a request at most 6 times.
	mostAnswers = 100
)

// Answered returns the recorded answers under the key inside the window, newest first.
func (s *Store) Answered(ctx context.Context, requestKey string) ([]journal.Answered, error) {
	if requestKey == "" {
		return nil, nil
	}
	since := s.settings.Now().Add(-s.settings.Window).UnixNano()
	rows, err := readRows(ctx, s.readers.Load(), "WHERE request_key = ? AND at >= ? ORDER BY seq DESC LIMIT ?", requestKey, since, mostAnswers)
	if err != nil {
		return nil, fmt.Errorf("read answers: %w", err)
	}
	answers := make([]journal.Answered, 0, len(rows))
	for i := range rows {
		r := &rows[i]
		if !s.keys.Intact(r) {
			return nil, fmt.Errorf("read answers: %w: entry %d (%s) is not as it was written", journal.ErrTampered, r.Seq, r.EvaluationID)
		}
		answers = append(answers, journal.Answered{Digest: r.Digest, Answer: r.Answer, EvaluationID: r.EvaluationID, At: time.Unix(0, r.At).UTC()})
	}
	return answers, nil
}

// Find returns the entry of an evaluation.
func (s *Store) Find(ctx context.Context, evaluationID string) (journal.Entry, error) {
	return s.entries().find(ctx, evaluationID)
}

// Entries iterates over what the filter selects.
func (s *Store) Entries(ctx context.Context, f journal.Filter) iter.Seq2[journal.Entry, error] {
	return s.entries().iterate(ctx, f)
}

func (s *Store) entries() entries { return entries{s.readers.Load, s.keys.Entry} }

// entries reads entries from the database that is open at the time.
type entries struct {
	db     func() *sql.DB
	decode func(journal.Row) (journal.Entry, error)
}

func (e entries) find(ctx context.Context, evaluationID string) (journal.Entry, error) {
	rows, err := readRows(ctx, e.db(), "WHERE evaluation_id = ?", evaluationID)
	switch {
	case err != nil:
		return journal.Entry{}, fmt.Errorf("find evaluation: %w", err)
	case len(rows) == 0:
		return journal.Entry{}, fmt.Errorf("%w: %s", journal.ErrNotFound, evaluationID)
	}
	return e.decode(rows[0])
}

func (e entries) iterate(ctx context.Context, f journal.Filter) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		left := f.Limit
		for row, err := range e.filtered(ctx, f) {
			if err != nil {
				yield(journal.Entry{}, fmt.Errorf("read entries: %w", err))
				return
			}
			if !yield(e.decode(row)) {
				return
			}
			if left--; left == 0 {
				return
			}
		}
	}
}

func (e entries) filtered(ctx context.Context, f journal.Filter) iter.Seq2[journal.Row, error] {
	return func(yield func(journal.Row, error) bool) {
		q, err := newQuery(ctx, e.db(), f)
		if err != nil {
			yield(journal.Row{}, err)
			return
		}
		for row, err := range q.rows(ctx, e.db) {
			if !yield(row, err) {
				return
			}
		}
	}
}

// query is a filter in SQL: numbers between two bounds, both exclusive, and conditions.
type query struct {
	after, before int64
	conditions    string
	arguments     []any
	newestFirst   bool
	page          int
}

func newQuery(ctx context.Context, db *sql.DB, f journal.Filter) (query, error) {
	q := query{after: f.After, before: f.Before, newestFirst: f.NewestFirst, page: page}
	if q.before == 0 {
		q.before = math.MaxInt64
	}
	if f.Limit > 0 {
		q.page = min(page, f.Limit)
	}
	if f.Outcome != "" {
		q.conditions, q.arguments = q.conditions+" AND outcome = ?", append(q.arguments, string(f.Outcome))
	}
	if f.Principal != "" {
		q.conditions, q.arguments = q.conditions+" AND principal = ?", append(q.arguments, f.Principal)
	}
	if f.Since.IsZero() && f.Until.IsZero() {
		return q, nil
	}
	return q, q.between(ctx, db, f)
}

// between narrows the bounds by time. The index gives them in one pass without reading entries; the
// times are compared once more, since a clock that was set back makes them overlap.
func (q *query) between(ctx context.Context, db *sql.DB, f journal.Filter) error {
	since, until := int64(math.MinInt64), int64(math.MaxInt64)
	if !f.Since.IsZero() {
		since = f.Since.UnixNano()
	}
	if !f.Until.IsZero() {
		until = f.Until.UnixNano()
	}
	var first, last sql.NullInt64
	err := db.QueryRowContext(ctx, "SELECT min(seq), max(seq) FROM entries INDEXED BY entries_by_time WHERE at >= ? AND at < ?",
		since, until).Scan(&first, &last)
	if err != nil {
		return err
	}
	if !first.Valid {
		q.before = q.after
		return nil
	}
	q.after, q.before = max(q.after, first.Int64-1), min(q.before, last.Int64+1)
	q.conditions, q.arguments = q.conditions+" AND +at >= ? AND +at < ?", append(q.arguments, since, until)
	return nil
}

// rows reads page after page.
func (q query) rows(ctx context.Context, readers func() *sql.DB) iter.Seq2[journal.Row, error] {
	return func(yield func(journal.Row, error) bool) {
		for rest, last := q, false; !last; {
			rows, err := rest.next(ctx, readers())
			if err != nil {
				yield(journal.Row{}, err)
				return
			}
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
			last = len(rows) < q.page
		}
	}
}

// next reads one page, and moves the bound that the order begins at past it.
func (q *query) next(ctx context.Context, db *sql.DB) ([]journal.Row, error) {
	order, bound := "ASC", &q.after
	if q.newestFirst {
		order, bound = "DESC", &q.before
	}
	where := "WHERE seq > ? AND seq < ?" + q.conditions + " ORDER BY seq " + order + " LIMIT ?"
	rows, err := readRows(ctx, db, where, append(append([]any{q.after, q.before}, q.arguments...), q.page)...)
	if err == nil && len(rows) > 0 {
		*bound = rows[len(rows)-1].Seq
	}
	return rows, err
}

// rowsAfter reads all entries after a number.
func rowsAfter(ctx context.Context, db *sql.DB, after int64) iter.Seq2[journal.Row, error] {
	q := query{after: after, before: math.MaxInt64, page: page}
	return q.rows(ctx, func() *sql.DB { return db })
}

func readRows(ctx context.Context, db *sql.DB, where string, arguments ...any) (read []journal.Row, err error) {
	rows, err := db.QueryContext(ctx, selectRow+where, arguments...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		row, err := scanRow(rows)
		if err != nil {
			return nil, err
		}
		read = append(read, row)
	}
	return read, rows.Err()
}

func scanRow(rows *sql.Rows) (journal.Row, error) {
	var r journal.Row
	var prev, seal, hash []byte
	err := rows.Scan(&r.Seq, &r.At, &r.EvaluationID, &r.RequestKey, &r.Digest, &r.Outcome, &r.Principal,
		&r.Answer, &r.Body, &prev, &seal, &hash)
	r.Prev, r.Seal, r.Hash = journal.HashFrom(prev), journal.HashFrom(seal), journal.HashFrom(hash)
	return r, err
}

// checkpoints reads the signed checkpoints that a clause selects.
func checkpoints(ctx context.Context, db *sql.DB, clause string, arguments ...any) (filed []journal.Filed, err error) {
	rows, err := db.QueryContext(ctx, "SELECT size, note FROM checkpoints "+clause, arguments...) //nolint:gosec // clauses are constants of this package
	if err != nil {
		return nil, fmt.Errorf("read checkpoints: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var f journal.Filed
		if err := rows.Scan(&f.Size, &f.Signed); err != nil {
			return nil, err
		}
		filed = append(filed, f)
	}
	return filed, rows.Err()
}
