package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/gateway/internal/journal"
	"github.com/countersign/countersign/gateway/internal/journal/sqlite"
	"github.com/countersign/countersign/gateway/internal/pim"
)

func newJournal(s streams) *cobra.Command {
	c := group("journal", "Read and verify the record of evaluations", "  countersign journal show --db /var/lib/countersign/journal.db")
	c.AddCommand(newJournalShow(s), newJournalVerify(s))
	return c
}

// addDatabase gives a command the flag --db.
func addDatabase(c *cobra.Command, path *string) {
	c.Flags().StringVar(path, "db", "/var/lib/countersign/journal.db", "the journal's file, or a copy of it")
}

// show prints what a reader finds.
type show struct {
	reader *sqlite.Reader
	out    io.Writer
	format format
}

func newJournalShow(s streams) *cobra.Command {
	var path, since string
	filter := journal.Filter{Limit: 20, NewestFirst: true}
	show := show{out: s.out}
	c := &cobra.Command{
		Use:   "show [EVALUATION]",
		Short: "Show evaluations: the newest, or one with its whole story",
		Long: `Show reads the journal beside a running gateway, or a copy of it. It does not
verify: "countersign journal verify" does.`,
		Example: "  countersign journal show --outcome denied --since 24h\n  countersign journal show 0192f0c4-7a54-7c1e-9d52-2f0a6b5e9c13",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			reader, err := sqlite.OpenReader(c.Context(), path)
			if err != nil {
				return err
			}
			defer reader.Close() //nolint:errcheck // opened for reading
			show.reader = reader
			if len(args) == 1 {
				return show.one(c.Context(), args[0])
			}
			if filter.Since, err = parseSince(since, time.Now()); err != nil {
				return &usageError{err}
			}
			return show.list(c.Context(), filter)
		},
	}
	addDatabase(c, &path)
	addNumber(c, "limit", "how many at most; 0 means all", number{&filter.Limit, 0, math.MaxInt32})
	c.Flags().StringVar(&since, "since", "", "not older than this: a duration such as 24h, or a time such as 2026-11-23T08:00:00Z")
	addChoice(c, "outcome", "denied, approved or auto_approved only",
		choice[pim.Outcome]{&filter.Outcome, []pim.Outcome{pim.Denied, pim.Approved, pim.AutoApproved}})
	c.Flags().StringVar(&filter.Principal, "principal", "", "activations of this object id only")
	addOutput(c, &show.format)
	return c
}

func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("--since %q is neither a duration nor a time", text)
	}
	return at, nil
}

func (s *show) list(ctx context.Context, filter journal.Filter) error {
	entries := []journal.Entry{} // not nil, which would be null in JSON
	for entry, err := range s.reader.Entries(ctx, filter) {
		if err != nil {
			return err
		}
		entry.Evaluation.Decision = listed(entry.Evaluation.Decision)
		entries = append(entries, entry)
	}
	return s.format.print(s.out, entries, func(w io.Writer) error {
		if len(entries) == 0 {
			_, err := fmt.Fprintln(w, "no evaluations")
			return err
		}
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "NO\tTIME\tOUTCOME\tPROVIDER\tPRINCIPAL\tFIRST REASON\tEVALUATION")
		for _, e := range entries {
			a, d := e.Evaluation.Activation, e.Evaluation.Decision
			fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Seq, e.Time.UTC().Format(time.RFC3339), d.Returned,
				dash(string(a.Provider)), dash(a.PrincipalID), dash(first(d.Reasons)), e.EvaluationID)
		}
		return t.Flush()
	})
}

// listed makes a list of no reasons out of none, which would be null in JSON.
func listed(d pim.Decision) pim.Decision {
	if d.Reasons == nil {
		d.Reasons = []string{}
	}
	return d
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

func (s *show) one(ctx context.Context, id string) error {
	entry, err := s.reader.Find(ctx, id)
	if errors.Is(err, journal.ErrNotFound) {
		return &verdict{fmt.Sprintf("the journal has no evaluation %s", id)}
	}
	if err != nil {
		return err
	}
	entry.Evaluation.Decision = listed(entry.Evaluation.Decision)
	return s.format.print(s.out, entry, func(w io.Writer) error { return printEntry(w, entry) })
}

func printEntry(w io.Writer, e journal.Entry) error {
	a, d := e.Evaluation.Activation, e.Evaluation.Decision
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "evaluation\t%s (entry %d, %s)\n", e.EvaluationID, e.Seq, e.Time.UTC().Format(time.RFC3339Nano))
	fmt.Fprintf(t, "request\t%s\n", e.RequestKey)
	fmt.Fprintf(t, "activation\t%s %s by %s, %s\n", a.Provider, a.Action, dash(a.PrincipalID), a.Stage)
	fmt.Fprintf(t, "access\trole %s, group %s, scope %s, for %s\n", dash(a.RoleID), dash(a.GroupID), dash(a.Scope), lasting(a.Duration))
	fmt.Fprintf(t, "ticket\t%s\n", dash(a.Ticket.Number))
	fmt.Fprintf(t, "returned\t%s\n", d.Returned)
	fmt.Fprintf(t, "recommended\t%s\n", d.Recommended)
	if d.Cause != "" {
		fmt.Fprintf(t, "cause\t%s\n", d.Cause)
	}
	for _, reason := range d.Reasons {
		fmt.Fprintf(t, "reason\t%s\n", reason)
	}
	for _, r := range d.Rules {
		fmt.Fprintf(t, "rule\t%s/%s %s is %s%s\n", r.Policy, r.Rule, r.Kind, r.Truth, note(r))
	}
	for _, finding := range e.Evaluation.Findings {
		fmt.Fprintf(t, "finding\t%s %s: %s in %s\n", finding.Ask.Connector, finding.Ask.Capability, found(finding), finding.Took.Round(time.Microsecond))
	}
	fmt.Fprintf(t, "answer\t%s\n", e.Answer)
	return t.Flush()
}

func lasting(d time.Duration) string {
	if d == 0 {
		return "ever"
	}
	return d.String()
}

func note(r pim.RuleResult) string {
	text := ""
	if r.Mode == pim.Shadow {
		text += ", shadow"
	}
	if r.Decisive {
		text += ", decisive"
	}
	if r.Error != "" {
		text += ": " + r.Error
	}
	return text
}

func found(f pim.Finding) string {
	switch {
	case f.Fault != pim.NoFault:
		return string(f.Fault) + " (" + f.Detail + ")"
	case !f.Found:
		return "nothing found"
	default:
		return fmt.Sprintf("%d facts", len(f.Facts))
	}
}

func newJournalVerify(s streams) *cobra.Command {
	var path, key, anchors string
	var f format
	c := &cobra.Command{
		Use:   "verify",
		Short: "Verify that no entry was changed, removed, moved or inserted",
		Long: `Verify needs a copy of the journal and its public key, nothing else. With the
checkpoints that were kept elsewhere it also finds entries that were cut off the
end, and says how many it compared. It names the first bad entry.

Exit codes: 0 intact, 1 something is wrong, 2 wrong usage, 3 it could not be done.`,
		Example: "  countersign journal verify --db journal.db --key journal.key.pub --checkpoints journal.checkpoints",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if key == "" {
				key = filepath.Join(filepath.Dir(path), "journal.key.pub")
			}
			report, err := verify(c.Context(), path, key, anchors)
			if err != nil {
				return err
			}
			return printReport(report, s, &f)
		},
	}
	addDatabase(c, &path)
	c.Flags().StringVar(&key, "key", "", "the journal's public key; journal.key.pub beside the journal if empty")
	c.Flags().StringVar(&anchors, "checkpoints", "", "file of checkpoints that were kept elsewhere")
	addOutput(c, &f)
	return c
}

func verify(ctx context.Context, path, key, anchors string) (journal.Report, error) {
	public, err := os.ReadFile(filepath.Clean(key))
	if err != nil {
		return journal.Report{}, fmt.Errorf("public key: %w", err)
	}
	var options journal.VerifyOptions
	if anchors != "" {
		kept, err := os.ReadFile(filepath.Clean(anchors))
		if err != nil {
			return journal.Report{}, fmt.Errorf("checkpoints: %w", err)
		}
		if options.Anchors = journal.SplitCheckpoints(string(kept)); len(options.Anchors) == 0 {
			return journal.Report{}, fmt.Errorf("checkpoints: there is not one in %s; give the file that the gateway appends them to, or a copy of it", anchors)
		}
	}
	return sqlite.Verify(ctx, path, string(public), options)
}

func printReport(r journal.Report, s streams, f *format) error {
	err := f.print(s.out, r, func(w io.Writer) error {
		fmt.Fprintf(w, "journal %s: %s, %s, head %s\n", r.JournalID, entries(r.Entries), count(r.Checkpoints, "checkpoint"), r.Head)
		fmt.Fprintf(w, "%s kept elsewhere compared\n", count(r.Anchors, "checkpoint"))
		fmt.Fprintf(w, "%s after the last checkpoint, %s after the last one kept elsewhere\n", entries(r.UncoveredTail), entries(r.UnanchoredTail))
		if r.FirstBad == nil {
			fmt.Fprintln(w, "intact")
		}
		return nil
	})
	if err != nil || r.FirstBad == nil {
		return err
	}
	return &verdict{"first bad: " + r.FirstBad.String()}
}

func entries(n int64) string { return count(int(n), "entry") }
