package journal

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"time"

	"github.com/countersign/countersign/gateway/internal/pim"
)

// The errors that callers tell apart.
var (
	// ErrUnavailable is wrapped by every error of Append and Check: the record is not known to be on
	// disk, so that the answer it belongs to must not be given.
	ErrUnavailable = errors.New("journal unavailable")
	// ErrDuplicate says that the evaluation is already recorded. It comes together with ErrUnavailable.
	ErrDuplicate = errors.New("evaluation is already recorded")
	// ErrNotFound says that the journal has no such evaluation.
	ErrNotFound = errors.New("evaluation not found")
	// ErrTampered says that something other than this journal has written to it.
	ErrTampered = errors.New("journal was tampered with")
	// ErrLocked says that another process has the journal open.
	ErrLocked = errors.New("journal is in use")
	// ErrForeign says that the file is not a journal, or one of a version that is not known here.
	ErrForeign = errors.New("not a journal of this version")
)

// Journal is what every driver offers. All methods may be called concurrently.
type Journal interface {
	// Append returns nil only after the record is on disk. Every other result wraps ErrUnavailable
	// and says nothing about the disk: a record whose commit failed, or whose ctx ended first, may be
	// found later, which Find and Answered tell. One whose ctx had ended before Append is not written.
	Append(ctx context.Context, r Record) error
	// Answered returns what was answered under the key inside the window, newest first, at most 100
	// answers, from before a restart too. An entry without this journal's seal is never returned:
	// the error then wraps ErrTampered.
	Answered(ctx context.Context, requestKey string) ([]Answered, error)
	// Find returns the entry of an evaluation, or an error that wraps ErrNotFound.
	Find(ctx context.Context, evaluationID string) (Entry, error)
	// Entries iterates over what the filter selects. An error that belongs to one entry comes with
	// that entry's number and does not end the iteration; any other comes with the zero Entry and does.
	Entries(ctx context.Context, f Filter) iter.Seq2[Entry, error]
	// Check writes to the disk without adding an entry, and says whether that went well.
	Check(ctx context.Context) error
	// Close writes what was accepted, signs a last checkpoint and waits for everything the journal
	// started. Append fails from then on.
	Close() error
}

// Settings are how a journal is opened.
type Settings struct {
	// Path is the journal's file.
	Path string
	// KeyFile holds the Ed25519 signing key and the secret of the keyed hashes. Open creates it with
	// mode 0600, and the public part next to it as KeyFile+".pub", together with a new journal; a
	// journal that exists is never opened with a new key.
	KeyFile string
	// KeepJustification stores the justification's text and not only its keyed hash.
	KeepJustification bool
	// CheckpointEvery is after how many entries a checkpoint is signed; 0 means 100.
	CheckpointEvery int
	// CheckpointInterval is after what time new entries get a checkpoint; 0 means 60 s.
	CheckpointInterval time.Duration
	// CheckpointFile is an append-only copy of the checkpoints, to be shipped elsewhere; empty means none.
	CheckpointFile string
	// Window is for how long an answer may be repeated; 0 means 24 h. PIM gives up after some minutes
	// (6 deliveries of at most 60 s).
	Window time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Logger gets what an operator must know; nil means nowhere.
	Logger *slog.Logger
}

// WithDefaults fills in what zero values mean.
func (s Settings) WithDefaults() Settings {
	if s.CheckpointEvery <= 0 {
		s.CheckpointEvery = 100
	}
	if s.CheckpointInterval <= 0 {
		s.CheckpointInterval = time.Minute
	}
	if s.Window <= 0 {
		s.Window = 24 * time.Hour
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	return s
}

// Record is what is appended: an evaluation with the answer it led to.
type Record struct {
	Evaluation pim.Evaluation
	// RequestKey is what repeats of the same request share; empty if the body could not be decoded.
	RequestKey string
	// Digest is the activation's digest, or that of a body that could not be decoded.
	Digest string
	// Answer is the answer's body, byte for byte.
	Answer []byte
}

// Answered is an answer that was recorded earlier.
type Answered struct {
	Digest       string
	Answer       []byte
	EvaluationID string
	At           time.Time
}

// Entry is a recorded evaluation with its place in the chain.
type Entry struct {
	Seq          int64     `json:"seq"`
	Time         time.Time `json:"time"`
	EvaluationID string    `json:"evaluation_id"`
	RequestKey   string    `json:"request_key"`
	Digest       string    `json:"digest"`
	Prev         Hash      `json:"prev"`
	Hash         Hash      `json:"hash"`
	// Body is the stored form of the evaluation, as it was hashed.
	Body []byte `json:"-"`
	// Evaluation is what Body says. Facts and arguments are as JSON has them, numbers as json.Number:
	// pim.Type.Restore turns them back. Its justification is empty unless the text was kept.
	Evaluation    pim.Evaluation `json:"evaluation"`
	Justification Justification  `json:"justification,omitzero"`
	Answer        []byte         `json:"answer"`
	// Intact is false if a column of the entry is not as this journal wrote it. It says nothing about
	// the entries around it, as verification does.
	Intact bool `json:"intact"`
}

// Filter selects entries; its zero value selects all of them, in ascending order.
type Filter struct {
	// After and Before select the entries with a greater and a smaller number; 0 means no bound.
	After, Before int64
	// Since (inclusive) and Until (exclusive) bound the time of writing; zero means no bound.
	Since, Until time.Time
	// Outcome selects by the returned outcome.
	Outcome pim.Outcome
	// Principal selects by the principal's object id.
	Principal string
	// Limit is how many entries there are at most; 0 means no limit.
	Limit int
	// NewestFirst turns the order around.
	NewestFirst bool
}
