package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/gateway/internal/strictyaml"
)

// The exit codes, the same for every command.
const (
	exitOK    = 0 // done, and what was looked at is as it should be
	exitNot   = 1 // what was looked at, or the configuration, is not as it should be
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
	stem, ies := strings.CutSuffix(noun, "y")
	switch {
	case n == 1:
		return "1 " + noun
	case ies:
		return fmt.Sprintf("%d %sies", n, stem)
	default:
		return fmt.Sprintf("%d %ss", n, noun)
	}
}

func newRoot(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "countersign",
		Short: "Integration gateway for Microsoft Entra PIM custom extensions",
		Long: `Countersign answers the call that Microsoft Entra PIM makes while somebody
activates a privileged role. It asks your ticketing, HR, on-call and directory
systems through connector plugins, applies your policy, records the evaluation
and answers Approved, AutoApproved or Denied before PIM stops waiting.

Exit codes: 0 done and well, 1 something is wrong with what was looked at, a
configuration that cannot be read included, 2 wrong usage, 3 it could not be done.`,
		Example:       "  countersign demo",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noOtherCommand,
	}
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.AddCommand(
		newServe(s), newDemo(s), newCheck(s), newSimulate(s),
		newPolicy(s), newJournal(s), newVersion(s),
	)
	root.SetHelpCommand(newHelp())
	root.InitDefaultCompletionCmd()
	usageIsOurs(root)
	return root
}

// newHelp is in place of cobra's own, which ends well for a command that does not exist.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Show the help of a command",
		Example: "  countersign help journal verify",
		RunE: func(c *cobra.Command, words []string) error {
			about, unknown, err := c.Root().Find(words)
			if err == nil && len(unknown) > 0 {
				err = noOtherCommand(about, unknown)
			}
			if err != nil {
				return &usageError{err}
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// usageIsOurs turns cobra's complaints about arguments into usage errors, on every command. A command
// that only holds others and is run without one would end well, with its help.
func usageIsOurs(c *cobra.Command) {
	if c.HasSubCommands() && !c.Runnable() {
		c.RunE = needsCommand
	}
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
	return &cobra.Command{Use: use, Short: short, Example: example, Args: noOtherCommand}
}

func needsCommand(c *cobra.Command, _ []string) error {
	return &usageError{fmt.Errorf("%s needs a command", c.CommandPath())}
}

// noOtherCommand refuses the name of a command that does not exist.
func noOtherCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("%s has no command %s", c.CommandPath(), args[0])
	if c.SuggestionsMinimumDistance <= 0 {
		c.SuggestionsMinimumDistance = 2
	}
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		err = fmt.Errorf("%w; did you mean %s?", err, strings.Join(near, " or "))
	}
	return err
}

// choice is the value of a flag that takes one of a few words.
type choice[T ~string] struct {
	value *T
	words []T
}

// addChoice gives a command a flag that takes one of a few words; what the value is before is its default.
func addChoice[T ~string](c *cobra.Command, name, usage string, f choice[T]) {
	c.Flags().Var(&f, name, usage)
}

// Set accepts the words.
func (c *choice[T]) Set(text string) error {
	if !slices.Contains(c.words, T(text)) {
		return fmt.Errorf("%q is not one of %v", text, c.words)
	}
	*c.value = T(text)
	return nil
}

// String returns the word.
func (c *choice[T]) String() string {
	if c.value == nil {
		return "" // how the flags' package asks for the empty value
	}
	return string(*c.value)
}

// Type names the values in the help.
func (c *choice[T]) Type() string { return "word" }

// number is the value of a flag that takes a whole number within bounds.
type number struct {
	value       *int
	least, most int
}

// addNumber gives a command a flag that takes a number; what the value is before is its default.
func addNumber(c *cobra.Command, name, usage string, f number) { c.Flags().Var(&f, name, usage) }

// Set accepts the numbers within the bounds.
func (n *number) Set(text string) error {
	value, err := strconv.Atoi(text)
	if err != nil || value < n.least || value > n.most {
		return fmt.Errorf("%q is not a number from %d to %d", text, n.least, n.most)
	}
	*n.value = value
	return nil
}

// String returns the number.
func (n *number) String() string {
	if n.value == nil {
		return "" // how the flags' package asks for the empty value
	}
	return strconv.Itoa(*n.value)
}

// Type names the values in the help.
func (n *number) Type() string { return "int" }

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
		return printText(w, text)
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(result)
}

// printText writes a result for people. Requesters and upstreams choose parts of it, such as a ticket
// number, so that nothing of it may steer a terminal.
func printText(w io.Writer, text func(io.Writer) error) error {
	var b bytes.Buffer
	if err := text(&b); err != nil {
		return err
	}
	_, err := io.WriteString(w, strings.Map(harmless, b.String()))
	return err
}

func harmless(r rune) rune {
	if r == '\n' || r == '\t' || unicode.IsPrint(r) {
		return r
	}
	return '\uFFFD'
}
