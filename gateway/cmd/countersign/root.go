package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/gateway/internal/strictyaml"
)

// The exit codes, the same for every command.
const (
	exitOK    = 0 // done, and what was looked at is as it should be
	exitNot   = 1 // done, but what was looked at is not as it should be
	exitUsage = 2 // the command line makes no sense
	exitError = 3 // it could not be done
)

// streams are where a command writes: its result, and everything else.
type streams struct{ out, err io.Writer }

// verdict is the error of a command that did its work and found something wrong. Its message has been
// shown already if it is empty.
type verdict struct{ message string }

func (v *verdict) Error() string { return v.message }

// usageError is a command line that makes no sense.
type usageError struct{ error }

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, s streams) int {
	root := newRoot(s) //nolint:contextcheck // cobra hands the context to each command
	root.SetArgs(args)
	return report(root.ExecuteContext(ctx), s)
}

// report shows an error where it belongs and says how the program ends.
func report(err error, s streams) int {
	var problems strictyaml.Problems
	var found *verdict
	var usage *usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &found):
		if found.message != "" {
			fmt.Fprintln(s.err, found.message)
		}
		return exitNot
	case errors.As(err, &problems):
		fmt.Fprintln(s.err, problems.Error())
		fmt.Fprintf(s.err, "\n%s\n", count(len(problems), "problem"))
		return exitNot
	case errors.As(err, &usage):
		fmt.Fprintf(s.err, "countersign: %v\nTry --help.\n", err)
		return exitUsage
	default:
		fmt.Fprintf(s.err, "countersign: %v\n", err)
		return exitError
	}
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func newRoot(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "countersign",
		Short: "Integration gateway for Microsoft Entra PIM custom extensions",
		Long: `Countersign answers the call that Microsoft Entra PIM makes while somebody
activates a privileged role. It asks your ticketing, HR, on-call and directory
systems through connector plugins, applies your policy, records the evaluation
and answers Approved, AutoApproved or Denied before PIM stops waiting.

Exit codes: 0 done and well, 1 done and something is wrong, 2 wrong usage,
3 it could not be done.`,
		Example:       "  countersign demo",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
	}
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.AddCommand(
		newServe(s), newDemo(s), newCheck(s), newSimulate(s),
		newPolicy(s), newJournal(s), newVersion(s),
	)
	usageIsOurs(root)
	return root
}

// usageIsOurs turns cobra's complaints about arguments into usage errors, on every command.
func usageIsOurs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return &usageError{err}
			}
			return nil
		}
	}
	for _, child := range c.Commands() {
		usageIsOurs(child)
	}
}

// group is a command that only holds others.
func group(use, short, example string) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Example: example, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return &usageError{fmt.Errorf("%s needs a command", c.CommandPath())}
	}}
}

// format is the value of --output.
type format string

// addOutput gives a command the flag --output.
func addOutput(c *cobra.Command, f *format) {
	*f = "text"
	c.Flags().Var(f, "output", "form of the result: text or json")
}

// Set accepts text and json.
func (f *format) Set(text string) error {
	if text != "text" && text != "json" {
		return fmt.Errorf("%q is neither text nor json", text)
	}
	*f = format(text)
	return nil
}

// String returns the form.
func (f *format) String() string { return string(*f) }

// Type names the values in the help.
func (f *format) Type() string { return "form" }

// print writes a result as JSON, or as text by the function.
func (f *format) print(w io.Writer, result any, text func(io.Writer) error) error {
	if *f != "json" {
		return text(w)
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(result)
}
