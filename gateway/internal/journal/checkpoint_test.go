package journal_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gateway/internal/journal"
)

func checkpoint(seq int64) journal.Checkpoint {
	return journal.Checkpoint{
		JournalID: "7d0a", Head: journal.Head{Seq: seq, Hash: journal.Hash{1, 2, 3}},
		Time: time.Date(2026, 10, 1, 8, 0, 0, 5, time.UTC), Previous: journal.Hash{4},
	}
}

func sign(t testing.TB, k *journal.Keys, c journal.Checkpoint) string {
	t.Helper()
	signed, err := k.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestCheckpointComesBackAsItWasSigned(t *testing.T) {
	t.Parallel()
	keys, _ := newKeys(t)
	signed := sign(t, keys, checkpoint(12))
	want := "countersign-journal/7d0a\n12\nAQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n" +
		"time 2026-10-01T08:00:00.000000005Z\nprevious BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\u2014 countersign-journal "
	if !strings.HasPrefix(signed, want) {
		t.Errorf("note is %q, want that it begins with %q", signed, want)
	}
	got, err := journal.OpenCheckpoint(signed, keys.Public()+"\n")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(checkpoint(12), got); diff != "" {
		t.Error(diff)
	}
	if got.Hash() != checkpoint(12).Hash() || got.Hash() == checkpoint(13).Hash() {
		t.Error("hashes do not tell checkpoints apart")
	}
}

// TestEveryByteOfACheckpointCounts changes each byte in each of its bits.
func TestEveryByteOfACheckpointCounts(t *testing.T) {
	t.Parallel()
	keys, _ := newKeys(t)
	signed := sign(t, keys, checkpoint(12))
	for i := range len(signed) {
		for bit := range 8 {
			changed := []byte(signed)
			changed[i] ^= 1 << bit
			if _, err := journal.OpenCheckpoint(string(changed), keys.Public()); err == nil {
				t.Errorf("accepts %q", changed)
			}
		}
	}
}

func TestCheckpointOfAnotherKeyIsRefused(t *testing.T) {
	t.Parallel()
	keys, _ := newKeys(t)
	other, _ := newKeys(t)
	if _, err := journal.OpenCheckpoint(sign(t, other, checkpoint(1)), keys.Public()); err == nil {
		t.Error("accepts it")
	}
}

func TestSplitCheckpoints(t *testing.T) {
	t.Parallel()
	keys, _ := newKeys(t)
	a, b := sign(t, keys, checkpoint(1)), sign(t, keys, checkpoint(2))
	for name, test := range map[string]struct {
		file string
		want []string
	}{
		"nothing":             {"", nil},
		"one":                 {a, []string{a}},
		"two":                 {a + "\n" + b + "\n", []string{a, b}},
		"without blank lines": {a + b, []string{a, b}},
		"many blank lines":    {"\n\n" + a + "\n\n\n" + b + "\n\n", []string{"\n\n" + a, b}[1:]},
		"cut in the text":     {a + "\n" + b[:30], []string{a}},
		"cut in a signature":  {a + "\n" + b[:len(b)-5], []string{a}},
		"cut and gone on":     {a + "\n" + b[:len(b)-5] + "\n" + b, []string{a, b}},
		"cut in a line":       {b[:30] + "\n" + a, []string{a}},
		"something else":      {"hello\n\nworld\n", nil},
	} {
		got := journal.SplitCheckpoints(test.file)
		if name == "many blank lines" {
			got = got[min(1, len(got)):]
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func FuzzOpenCheckpoint(f *testing.F) {
	keys, _ := newKeys(f)
	f.Add(sign(f, keys, checkpoint(12)))
	f.Add("countersign-journal/x\n0\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, signed := range journal.SplitCheckpoints(text) {
			c, err := journal.OpenCheckpoint(signed, keys.Public())
			if err == nil && c != checkpoint(12) {
				t.Errorf("a checkpoint that was never signed: %+v", c)
			}
		}
	})
}
