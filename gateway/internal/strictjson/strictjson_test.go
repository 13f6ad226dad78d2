package strictjson_test

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/countersign/countersign/gateway/internal/strictjson"
)

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ document, want string }{
		"an empty document":                    {"", "the document is not valid JSON"},
		"blanks":                               {" \n", "the document is not valid JSON"},
		"null":                                 {"null", "the document is not an object"},
		"a string":                             {`"a"`, "the document is not an object"},
		"a number":                             {"1", "the document is not an object"},
		"an array":                             {`[{"a":1}]`, "the document is not an object"},
		"an unfinished array":                  {`[`, "the document is not valid JSON"},
		"an unfinished object":                 {`{"a":1`, "the document is not valid JSON"},
		"an unfinished string":                 {`{"a":"`, "the document is not valid JSON"},
		"an unfinished name":                   {`{"a`, "the document is not valid JSON"},
		"a name without a value":               {`{"a"}`, "the document is not valid JSON"},
		"a colon without a value":              {`{"a":}`, "the document is not valid JSON"},
		"a name that is no string":             {`{1:1}`, "the document is not valid JSON"},
		"a name without quotes":                {`{a:1}`, "the document is not valid JSON"},
		"single quotes":                        {`{'a':1}`, "the document is not valid JSON"},
		"a comma too many":                     {`{"a":1,}`, "the document is not valid JSON"},
		"a comma too few":                      {`{"a":1 "b":2}`, "the document is not valid JSON"},
		"a comma in front":                     {`{,"a":1}`, "the document is not valid JSON"},
		"a comma at the end of an array":       {`{"a":[1,]}`, "the document is not valid JSON"},
		"two commas":                           {`{"a":[1,,2]}`, "the document is not valid JSON"},
		"the wrong bracket":                    {`{"a":[1}`, "the document is not valid JSON"},
		"a comment":                            {`{"a":1/**/}`, "the document is not valid JSON"},
		"NaN":                                  {`{"a":NaN}`, "the document is not valid JSON"},
		"Infinity":                             {`{"a":-Infinity}`, "the document is not valid JSON"},
		"a leading zero":                       {`{"a":01}`, "the document is not valid JSON"},
		"a plus":                               {`{"a":+1}`, "the document is not valid JSON"},
		"a hexadecimal number":                 {`{"a":0x1}`, "the document is not valid JSON"},
		"a fraction without digits":            {`{"a":1.}`, "the document is not valid JSON"},
		"a literal in capitals":                {`{"a":True}`, "the document is not valid JSON"},
		"a line break in a string":             {"{\"a\":\"\n\"}", "the document is not valid JSON"},
		"NUL in a string":                      {"{\"a\":\"\x00\"}", "the document is not valid JSON"},
		"an unknown escape":                    {`{"a":"\x41"}`, "the document is not valid JSON"},
		"half an escape":                       {`{"a":"\u12"}`, "the document is not valid JSON"},
		"invalid UTF-8 in a value":             {"{\"a\":\"\xff\"}", "the document is not valid JSON"},
		"invalid UTF-8 in a name":              {"{\"\xc0\xaf\":1}", "the document is not valid JSON"},
		"a surrogate in UTF-8":                 {"{\"a\":\"\xed\xa0\x80\"}", "the document is not valid JSON"},
		"a lone high surrogate":                {`{"a":"\ud800"}`, "the document is not valid JSON"},
		"a lone low surrogate":                 {`{"a":"\udc00"}`, "the document is not valid JSON"},
		"swapped surrogates":                   {`{"a":"\udc00\ud800"}`, "the document is not valid JSON"},
		"a lone surrogate in a name":           {`{"\ud800":1}`, "the document is not valid JSON"},
		"a byte order mark":                    {"\ufeff{}", "the document is not valid JSON"},
		"UTF-16":                               {"{\x00}\x00", "the document is not valid JSON"},
		"a form feed between tokens":           {"{\f}", "the document is not valid JSON"},
		"a no-break space between tokens":      {"{\u00a0}", "the document is not valid JSON"},
		"a second document":                    {`{} {}`, "the document has something after its end"},
		"a bracket after the end":              {`{}}`, "the document has something after its end"},
		"a comma after the end":                {`{},`, "the document has something after its end"},
		"garbage after the end":                {`{}#`, "the document has something after its end"},
		"NUL after the end":                    {"{}\x00", "the document has something after its end"},
		"exact duplicates":                     {`{"a":1,"a":1}`, "a occurs twice"},
		"duplicates of different kinds":        {`{"a":1,"b":2,"a":null}`, "a occurs twice"},
		"an escaped duplicate":                 {`{"a":1,"\u0061":2}`, "a occurs twice"},
		"an ASCII case variant":                {`{"principalId":1,"PrincipalID":2}`, "principalId occurs twice"},
		"U+017F for s":                         {`{"scope":1,"ſcope":2}`, "scope occurs twice"},
		"escaped U+017F for s":                 {`{"\u017fcope":1,"Scope":2}`, "?cope occurs twice"},
		"U+212A for k":                         {`{"kid":1,"\u212aid":2}`, "kid occurs twice"},
		"Greek sigmas":                         {`{"Σ":1,"ς":2}`, "? occurs twice"},
		"empty duplicates":                     {`{"":1,"":2}`, "? occurs twice"},
		"duplicates deep inside":               {`{"a":[0,{"b":{"c":1,"C":2}}]}`, "a[1].b.c occurs twice"},
		"duplicates in what nobody looks at":   {`{"x":{"y":1,"y":1}}`, "x.y occurs twice"},
		"33 levels":                            {strings.Repeat(`{"a":`, 33) + "1" + strings.Repeat("}", 33), "the document is nested too deeply"},
		"33 levels of arrays":                  {`{"a":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + "}", "the document is nested too deeply"},
		"a hundred thousand levels":            {`{"a":` + strings.Repeat("[", 60000), "the document is nested too deeply"},
		"1025 values":                          {`{"a":[0` + strings.Repeat(",0", 1022) + "]}", "the document has too many members"},
		"one byte more than 64 KiB":            {`{"a":"` + strings.Repeat("a", 64<<10-7) + `"}`, "the document is too large"},
		"more than 64 KiB of blanks after it ": {"{}" + strings.Repeat(" ", 64<<10), "the document is too large"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := strictjson.Parse([]byte(test.document), strictjson.Limits{})
			if _, ok := errors.AsType[*strictjson.Error](err); !ok {
				t.Fatalf("Parse: %v, want an *Error", err)
			}
			if err.Error() != test.want {
				t.Errorf("Parse: %q, want %q", err, test.want)
			}
		})
	}
}

func TestParseAccepts(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"an empty object":            "{}",
		"blanks around":              " \r\n\t{ } \n",
		"all kinds":                  `{"a":null,"b":true,"c":-1.5e3,"d":"x","e":{},"f":[]}`,
		"an escaped NUL":             `{"a":"\u0000"}`,
		"a surrogate pair":           `{"a":"\ud83d\udea8"}`,
		"numbers beyond any type":    `{"a":1e400,"b":123456789012345678901234567890}`,
		"32 levels":                  strings.Repeat(`{"a":`, 31) + "{}" + strings.Repeat("}", 31),
		"1024 values":                `{"a":[0` + strings.Repeat(",0", 1021) + "]}",
		"exactly 64 KiB":             `{"a":"` + strings.Repeat("a", 64<<10-8) + `"}`,
		"equal names in two objects": `{"a":{"x":1},"b":{"x":1,"a":2}}`,
		"names that only fold fully": `{"ss":1,"ß":2}`,
	}
	for name, document := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := strictjson.Parse([]byte(document), strictjson.Limits{}); err != nil {
				t.Errorf("Parse: %v", err)
			}
		})
	}
}

func TestParseSkipsByteOrderMarkWhereAsked(t *testing.T) {
	t.Parallel()
	limits := strictjson.Limits{SkipBOM: true}
	o, err := strictjson.Parse([]byte("\ufeff{\"a\":\"b\"}"), limits)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := o.String("a"); got != "b" || err != nil {
		t.Errorf("String: %q, %v", got, err)
	}
	if _, err := strictjson.Parse([]byte("\ufeff\ufeff{}"), limits); err == nil {
		t.Error("two byte order marks were accepted")
	}
}

const sample = `{"text":"é\n","yes":true,"no":false,"n":-12,"nil":null,"o":{"Inner":"x"},"list":[{"i":1},{"i":2}],` +
	`"mixed":[{},1],"words":["x","y"],"1.0":1.0,"zero":-0,"big":9223372036854775808,"ſ":1}`

func TestGetters(t *testing.T) {
	t.Parallel()
	o, err := strictjson.Parse([]byte(sample), strictjson.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		Value any
		OK    bool
		Err   string
	}
	message := func(err error) string {
		if err == nil {
			return ""
		}
		return err.Error()
	}
	str := func(name string) result { v, ok, err := o.String(name); return result{v, ok, message(err)} }
	boolean := func(name string) result { v, ok, err := o.Bool(name); return result{v, ok, message(err)} }
	integer := func(name string) result { v, ok, err := o.Int(name); return result{v, ok, message(err)} }
	object := func(name string) result { _, ok, err := o.Object(name); return result{nil, ok, message(err)} }
	words := func(name string) result { v, ok, err := o.Strings(name); return result{v, ok, message(err)} }
	objects := func(name string) result { v, ok, err := o.Objects(name); return result{len(v), ok, message(err)} }
	tests := map[string]struct{ got, want result }{
		"string":               {str("text"), result{"é\n", true, ""}},
		"string absent":        {str("none"), result{"", false, ""}},
		"string null":          {str("nil"), result{"", false, ""}},
		"string of a number":   {str("n"), result{"", false, "n is not a string"}},
		"string by other case": {str("TEXT"), result{"", false, ""}},
		"true":                 {boolean("yes"), result{true, true, ""}},
		"false":                {boolean("no"), result{false, true, ""}},
		"bool null":            {boolean("nil"), result{false, false, ""}},
		"bool of a string":     {boolean("text"), result{false, false, "text is neither true nor false"}},
		"int":                  {integer("n"), result{int64(-12), true, ""}},
		"int null":             {integer("nil"), result{int64(0), false, ""}},
		"int of a string":      {integer("text"), result{int64(0), false, "text is not an integer"}},
		"int with a fraction":  {integer("1.0"), result{int64(0), false, "1.0 is not an integer"}},
		"int minus zero":       {integer("zero"), result{int64(0), false, "zero is not an integer"}},
		"int too large":        {integer("big"), result{int64(0), false, "big is not an integer"}},
		"object":               {object("o"), result{nil, true, ""}},
		"object null":          {object("nil"), result{nil, false, ""}},
		"object of an array":   {object("list"), result{nil, false, "list is not an object"}},
		"objects":              {objects("list"), result{2, true, ""}},
		"objects and others":   {objects("mixed"), result{0, false, "mixed[1] is not an object"}},
		"strings":              {words("words"), result{[]string{"x", "y"}, true, ""}},
		"strings null":         {words("nil"), result{[]string(nil), false, ""}},
		"strings and others":   {words("mixed"), result{[]string(nil), false, "mixed[0] is not a string"}},
		"strings of a string":  {words("text"), result{[]string(nil), false, "text is not an array"}},
		"objects of an object": {objects("o"), result{0, false, "o is not an array"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, test.got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestIgnoringCase(t *testing.T) {
	t.Parallel()
	o, err := strictjson.Parse([]byte(sample), strictjson.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	o = o.IgnoringCase()
	inner, ok, err := o.Object("O")
	if !ok || err != nil {
		t.Fatalf("Object: %v, %v", ok, err)
	}
	if text, _, _ := inner.String("iNNER"); text != "x" {
		t.Errorf("the inner object does not ignore case: %q", text)
	}
	if o.Kind("s") != strictjson.Absent || o.Kind("S") != strictjson.Absent {
		t.Error("U+017F was taken for s")
	}
	if got := inner.Path("iNNER") + " " + inner.Path("none"); got != "o.Inner o.none" {
		t.Errorf("paths: %s", got)
	}
}

func TestKindTellsNullFromAbsent(t *testing.T) {
	t.Parallel()
	o, err := strictjson.Parse([]byte(sample), strictjson.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]strictjson.Kind{}
	for name, kind := range o.Members() {
		got[name] = kind
		if o.Kind(name) != kind || o.Has(name) != (kind != strictjson.Null) {
			t.Errorf("%s: Kind %v, Has %v, want kind %v", name, o.Kind(name), o.Has(name), kind)
		}
	}
	want := map[string]strictjson.Kind{
		"text": strictjson.String, "yes": strictjson.Bool, "no": strictjson.Bool, "n": strictjson.Number,
		"nil": strictjson.Null, "o": strictjson.IsObject, "list": strictjson.IsArray, "mixed": strictjson.IsArray,
		"words": strictjson.IsArray,
		"1.0":   strictjson.Number, "zero": strictjson.Number, "big": strictjson.Number, "ſ": strictjson.Number,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if o.Kind("none") != strictjson.Absent || (strictjson.Object{}).Kind("none") != strictjson.Absent {
		t.Error("an absent member has a kind")
	}
}

func TestErrorsNeverQuoteTheDocument(t *testing.T) {
	t.Parallel()
	name := "a\nb\x1b[31m\u202e\" " + strings.Repeat("x", 300)
	quoted, err := json.Marshal(name)
	if err != nil {
		t.Fatal(err)
	}
	document := strings.Repeat(`{"`+strings.Repeat("p", 70)+`":`, 5) + `{` + string(quoted) + `:1,` + string(quoted) + `:2}` + strings.Repeat("}", 5)
	_, err = strictjson.Parse([]byte(document), strictjson.Limits{})
	if err == nil {
		t.Fatal("accepted")
	}
	text := err.Error()
	if len(text) > 220 || strings.ContainsAny(text, "\n\x1b\"") || strings.ContainsFunc(text, func(r rune) bool { return r > '~' }) {
		t.Errorf("error text is not plain: %q", text)
	}
}

// A document that is accepted means the same to encoding/json, which many other programs use.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		sample, "{}", `{"a":1,"A":1}`, `{"a":"\ud83d\udea8","b":[[],{}]}`, "{\"a\":\"\xff\"}", `{"a":1}{}`, `{"ſ":1,"s":2}`, "\ufeff{}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		o, err := strictjson.Parse(document, strictjson.Limits{})
		if err != nil {
			return
		}
		if !utf8.Valid(document) {
			t.Fatal("accepted invalid UTF-8")
		}
		var other map[string]any
		decoder := json.NewDecoder(strings.NewReader(string(document)))
		decoder.UseNumber()
		if err := decoder.Decode(&other); err != nil {
			t.Fatalf("encoding/json refuses it: %v", err)
		}
		if diff := cmp.Diff(reduced(other), plain(t, o)); diff != "" {
			t.Error(diff)
		}
	})
}

// plain reads objects, strings and booleans through the getters and leaves out the other kinds.
func plain(t *testing.T, o strictjson.Object) any {
	t.Helper()
	out := map[string]any{}
	for name, kind := range o.Members() {
		var err error
		switch kind {
		case strictjson.String:
			out[name], _, err = o.String(name)
		case strictjson.Bool:
			out[name], _, err = o.Bool(name)
		case strictjson.Null:
			out[name] = nil
		case strictjson.IsObject:
			var inner strictjson.Object
			inner, _, err = o.Object(name)
			out[name] = plain(t, inner)
		case strictjson.Number, strictjson.IsArray, strictjson.Absent:
			out[name] = "left out"
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	return out
}

// reduced leaves out what plain leaves out.
func reduced(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for name := range value {
			value[name] = reduced(value[name])
		}
		return value
	case json.Number, []any:
		return "left out"
	default:
		return value
	}
}

func TestFoldCollisionsAreFoundAtEveryPath(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,8}`), 1, 12, strings.ToLower).Draw(t, "names")
		victim := rapid.SampledFrom(names).Draw(t, "victim")
		twin := rapid.SampledFrom([]string{
			victim, strings.ToUpper(victim), strings.NewReplacer("s", "ſ", "k", "\u212a").Replace(victim),
			strings.ToUpper(victim[:1]) + victim[1:],
		}).Draw(t, "twin")
		var members []string
		for i, name := range names {
			members = append(members, strconv.Quote(name)+":"+strconv.Itoa(i))
		}
		at := rapid.IntRange(0, len(members)).Draw(t, "at")
		depth := rapid.IntRange(0, 20).Draw(t, "depth")
		wrap := func(members []string) []byte {
			return []byte(strings.Repeat(`{"d":[`, depth) + "{" + strings.Join(members, ",") + "}" + strings.Repeat("]}", depth))
		}
		limits := strictjson.Limits{Depth: 64}
		if _, err := strictjson.Parse(wrap(members), limits); err != nil {
			t.Fatalf("without the twin: %v", err)
		}
		escaped := strings.Trim(strconv.QuoteToASCII(twin), `"`)
		members = append(members[:at:at], append([]string{`"` + escaped + `":1`}, members[at:]...)...)
		if _, err := strictjson.Parse(wrap(members), limits); err == nil {
			t.Fatalf("accepted %s", wrap(members))
		}
	})
}

func BenchmarkParse(b *testing.B) {
	document := []byte(sample)
	b.ReportAllocs()
	b.SetBytes(int64(len(document)))
	for b.Loop() {
		if _, err := strictjson.Parse(document, strictjson.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
