package process

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// written is what a log has after a process wrote something.
func written(t testing.TB, now func() time.Time, chunks ...string) []map[string]any {
	t.Helper()
	var b bytes.Buffer
	o := newOutput(slog.New(slog.NewJSONHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug})), now)
	l := &lines{to: o}
	for _, chunk := range chunks {
		if n, err := l.Write([]byte(chunk)); n != len(chunk) || err != nil {
			t.Fatalf("wrote %d, %v", n, err)
		}
	}
	l.flush()
	o.report()
	var records []map[string]any
	for line := range strings.Lines(b.String()) {
		record := map[string]any{}
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		delete(record, "time")
		records = append(records, record)
	}
	return records
}

func clock(at time.Time) func() time.Time { return func() time.Time { return at } }

func TestLinesBecomeRecords(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		line, level string
		log         map[string]any
	}{
		"text":                  {"hello", "INFO", map[string]any{"text": "hello"}},
		"text of Windows":       {"hello\r", "INFO", map[string]any{"text": "hello"}},
		"a panic":               {"panic: no", "ERROR", map[string]any{"text": "panic: no"}},
		"slog":                  {`{"time":"2026-01-01T00:00:00Z","level":"WARN","msg":"careful","n":1}`, "WARN", map[string]any{"text": "careful", "n": 1.0}},
		"hclog":                 {`{"@level":"debug","@message":"m","@timestamp":"t","k":"v"}`, "DEBUG", map[string]any{"text": "m", "k": "v"}},
		"a message of a number": {`{"@message":1}`, "INFO", map[string]any{"text": "", "@message": 1.0}},
		"not quite JSON":        {`{"a":`, "INFO", map[string]any{"text": `{"a":`}},
		"no UTF-8":              {"\xff", "INFO", map[string]any{"text": "\uFFFD"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.log["cut"] = false
			want := []map[string]any{{"level": c.level, "msg": "connector log", "log": c.log}}
			if diff := cmp.Diff(want, written(t, time.Now, c.line+"\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLinesAreCutAndJoined(t *testing.T) {
	t.Parallel()
	records := written(t, time.Now, "one\ntw", "o\n\n", strings.Repeat("x", 3*maxLine), "y\nlast")
	var texts []string
	for _, record := range records {
		log, _ := record["log"].(map[string]any)
		text, _ := log["text"].(string)
		if cut := len(text) == maxLine; log["cut"] != cut {
			t.Errorf("cut is %v for %d bytes", log["cut"], len(text))
		}
		texts = append(texts, text)
	}
	if diff := cmp.Diff([]string{"one", "two", strings.Repeat("x", maxLine), "last"}, texts); diff != "" {
		t.Error(diff)
	}
}

func TestFloodsAreDroppedAndCounted(t *testing.T) {
	t.Parallel()
	records := written(t, clock(time.Unix(1, 0)), strings.Repeat("line\n", maxPerSecond+7))
	if len(records) != maxPerSecond+1 || records[maxPerSecond]["dropped_lines"] != 7.0 {
		t.Errorf("%d records, the last %v", len(records), records[len(records)-1])
	}
}

func TestTheLastLinesAreKept(t *testing.T) {
	t.Parallel()
	o := newOutput(slog.New(slog.DiscardHandler), time.Now)
	for range maxLast {
		o.remember("old")
	}
	o.remember(strings.Repeat("é", maxLastLine))
	last := o.last()
	if len(last) != maxLast || last[0] != "old" || len(last[maxLast-1]) != maxLastLine+len("…") {
		t.Errorf("%d lines, the last of %d bytes", len(last), len(last[len(last)-1]))
	}
}

func FuzzOutput(f *testing.F) {
	for _, seed := range []string{`{"@message":1}`, `{"@level":[],"msg":{}}`, "{", "\x00\xff\n", `{"a":{"b":[null,1e999]}}`, "1|1|unix|/x|grpc|"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, chunk string) {
		for _, record := range written(t, time.Now, chunk) {
			if record["msg"] != "connector log" && record["msg"] != "connector logs too much" {
				t.Errorf("%q forges %v", chunk, record)
			}
		}
	})
}
