package journal_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"

	"github.com/countersign/countersign/gateway/internal/journal"
	"github.com/countersign/countersign/gateway/internal/journal/journaltest"
	"github.com/countersign/countersign/gateway/internal/pim"
)

var update = flag.Bool("update", false, "write the golden files")

// zeroKeys are keys of a seed and a secret that are all zeros.
func zeroKeys(t testing.TB) *journal.Keys {
	t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	public, ok := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	if !ok {
		t.Fatal("not an Ed25519 key")
	}
	verifier, err := note.NewEd25519VerifierKey("countersign-journal", public)
	if err != nil {
		t.Fatal(err)
	}
	name := verifier[:strings.LastIndexByte(verifier[:strings.IndexByte(verifier, '+')+10], '+')]
	text := "PRIVATE+KEY+" + name + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, seed...)) +
		"\nSECRET+" + base64.StdEncoding.EncodeToString(seed) + "\n"
	path := filepath.Join(t.TempDir(), "zero.key")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := journal.LoadKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestHashesNeverChange pins hashes, which were computed by other means from what the package's
// comments say: journals that exist have to verify for ever.
func TestHashesNeverChange(t *testing.T) {
	t.Parallel()
	keys := zeroKeys(t)
	row := journal.Row{
		EvaluationID: "evaluation", RequestKey: "key", Digest: "digest", Outcome: "denied", Principal: "principal",
		Answer: []byte("answer"), Body: []byte("body"),
	}
	head := keys.Append(journal.Genesis("7d0a"), time.Unix(1, 2), &row)
	for name, test := range map[string]struct{ got, want string }{
		"genesis":       {row.Prev.String(), "1218deffdfd1eb1554ee67777595273795967b585876bef6747611b2f3488819"},
		"seal":          {row.Seal.String(), "26a67873bf655028ceb21dcc196cbe34a77f6aa40b308f7378883ffad9baf641"},
		"hash":          {head.Hash.String(), "2fe2aa8d08c70b2e9a4fd8e0a34231429ee9eec50f16c0fa34d91eede32fd23e"},
		"checkpoint":    {checkpoint(12).Hash().String(), "e9bf6d4933cee0cf3e6b426d880631dca545477250717a1569ec9e673c740d07"},
		"justification": {keys.HashJustification("text"), "982e4933186bb053f9deaddc2729a0a2fd97700bfd6ad6b24dbe698154e0e896"},
	} {
		if test.got != test.want {
			t.Errorf("%s is %s, want %s", name, test.got, test.want)
		}
	}
}

// TestStoredForm shows what is stored of an evaluation.
func TestStoredForm(t *testing.T) {
	t.Parallel()
	row, err := journal.NewCodec(journal.Settings{}, zeroKeys(t)).Row(journaltest.Record(7))
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := json.Indent(&got, append(row.Body, '\n'), "", "  "); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/stored.golden.json"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(readFile(t, golden), got.String()); diff != "" {
		t.Error(diff)
	}
}

func row(t testing.TB, r journal.Record) journal.Row {
	t.Helper()
	keys, _ := newKeys(t)
	row, err := journal.NewCodec(journal.Settings{}, keys).Row(r)
	if err != nil {
		t.Fatal(err)
	}
	return row
}

func TestBodyIsCanonical(t *testing.T) {
	t.Parallel()
	first := row(t, journaltest.Record(1))
	r := journaltest.Record(1)
	keys, _ := newKeys(t)
	codec := journal.NewCodec(journal.Settings{KeepJustification: true}, keys)
	r.Evaluation.Activation.Justification = ""
	a, err := codec.Row(r)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		b, err := codec.Row(r)
		if err != nil || string(a.Body) != string(b.Body) {
			t.Fatalf("the same evaluation has two forms: %s and %s, %v", a.Body, b.Body, err)
		}
	}
	if strings.HasSuffix(string(first.Body), "\n") || strings.Contains(string(first.Body), "\\u003c") {
		t.Errorf("body is %q", first.Body)
	}
}

// TestRowCoversEveryColumn changes each column of a row and expects the seal to break.
func TestRowCoversEveryColumn(t *testing.T) {
	t.Parallel()
	keys, _ := newKeys(t)
	sealed := row(t, journaltest.Record(1))
	keys.Append(journal.Genesis("7d0a"), time.Unix(0, 5), &sealed)
	if !keys.Intact(&sealed) {
		t.Fatal("a row is not intact when it is made")
	}
	for name, change := range map[string]func(*journal.Row){
		"seq": func(r *journal.Row) { r.Seq++ }, "at": func(r *journal.Row) { r.At = -r.At },
		"evaluation_id": func(r *journal.Row) { r.EvaluationID += "x" }, "request_key": func(r *journal.Row) { r.RequestKey = "" },
		"digest": func(r *journal.Row) { r.Digest = "0" }, "outcome": func(r *journal.Row) { r.Outcome = "auto_approved" },
		"principal": func(r *journal.Row) { r.Principal = "x" }, "answer": func(r *journal.Row) { r.Answer = nil },
		"body": func(r *journal.Row) { r.Body = append([]byte{}, r.Body[1:]...) }, "prev": func(r *journal.Row) { r.Prev[0]++ },
		"seal": func(r *journal.Row) { r.Seal[31]++ }, "hash": func(r *journal.Row) { r.Hash[31]++ },
		"boundary":       func(r *journal.Row) { r.RequestKey, r.Digest = r.RequestKey+r.Digest[:1], r.Digest[1:] },
		"other boundary": func(r *journal.Row) { r.Answer, r.Body = append(r.Answer, r.Body[0]), r.Body[1:] },
	} {
		changed := sealed
		change(&changed)
		if keys.Intact(&changed) {
			t.Errorf("%s can be changed", name)
		}
		if _, err := keys.Follow(journal.Genesis("7d0a"), &changed); err == nil {
			t.Errorf("%s: it is followed", name)
		}
	}
	other, _ := newKeys(t)
	if other.Intact(&sealed) {
		t.Error("it is intact under another key")
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	whole := string(row(t, journaltest.Record(1)).Body)
	for name, body := range map[string]string{
		"nothing":          "",
		"null":             "null",
		"cut short":        whole[:len(whole)-1],
		"more":             whole + "{}",
		"another version":  strings.Replace(whole, `"version":1`, `"version":2`, 1),
		"no version":       "{}",
		"duplicate member": strings.Replace(whole, `"version":1`, `"version":1,"version":1`, 1),
		"not utf-8":        strings.Replace(whole, "itsm", "\xff", 1),
		"number for text":  strings.Replace(whole, `"itsm"`, `1`, 1),
	} {
		if _, _, err := journal.Decode([]byte(body)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	later := strings.Replace(whole, `"version":1`, `"version":1,"added_later":{"a":1}`, 1)
	if _, _, err := journal.Decode([]byte(later)); err != nil {
		t.Errorf("a member of a later version: %v", err)
	}
}

func TestTicketsInJustification(t *testing.T) {
	t.Parallel()
	keys, _ := newKeys(t)
	codec := journal.NewCodec(journal.Settings{}, keys)
	for text, want := range map[string][]string{
		"see INC0012345":                   {"INC0012345"},
		"inc0012345, INC0012345":           {"INC0012345"},
		"PAY-77 and pay-78":                {"PAY-77", "PAY-78"},
		"bug #4711":                        {"#4711"},
		"at 10:30 in room 101, floor B2":   nil,
		"see https://x.test/browse/OPS-9?": {"OPS-9"},
		"":                                 nil,
	} {
		r := journaltest.Record(1)
		r.Evaluation.Activation.Justification = text
		row, err := codec.Row(r)
		if err != nil {
			t.Fatal(err)
		}
		_, got, err := journal.Decode(row.Body)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Tickets); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func TestTooLargeEvaluationIsRefused(t *testing.T) {
	t.Parallel()
	keys, _ := newKeys(t)
	r := journaltest.Record(1)
	r.Answer = make([]byte, 17<<20)
	if _, err := journal.NewCodec(journal.Settings{}, keys).Row(r); err == nil {
		t.Error("it is accepted")
	}
}

// FuzzDecode checks that whatever is decoded can be stored again and then decodes to the same.
func FuzzDecode(f *testing.F) {
	f.Add(row(f, journaltest.Record(1)).Body)
	odd := journaltest.Record(2)
	odd.Evaluation.Findings[0].Facts["n"] = pim.Fact{State: pim.Known, Value: map[string]any{"a": []any{uint64(math.MaxUint64), 1e300, nil}}}
	f.Add(row(f, odd).Body)
	f.Add([]byte(`{"version":1,"evaluation":{"evaluation_id":"x","findings":[{"took":-0,"facts":{"":{"value":-0e5}}}]}}`))
	keys, _ := newKeys(f)
	codec := journal.NewCodec(journal.Settings{KeepJustification: true}, keys)
	f.Fuzz(func(t *testing.T, body []byte) {
		e, _, err := journal.Decode(body)
		if err != nil || e.ID == "" {
			return
		}
		row, err := codec.Row(journal.Record{Evaluation: e})
		if err != nil {
			t.Fatalf("what was decoded cannot be stored: %v", err)
		}
		again, _, err := journal.Decode(row.Body)
		if err != nil {
			t.Fatalf("what was stored cannot be decoded: %v", err)
		}
		if second, err := codec.Row(journal.Record{Evaluation: again}); err != nil || string(second.Body) != string(row.Body) {
			t.Fatalf("%s becomes %s, %v", row.Body, second.Body, err)
		}
	})
}
