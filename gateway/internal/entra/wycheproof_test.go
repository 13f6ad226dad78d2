package entra

import (
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/c2sp/wycheproof"
	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gateway/internal/strictjson"
)

// vectors are the parts of Wycheproof's JOSE files that matter here.
type vectors struct {
	TestGroups []struct {
		Comment string
		Public  map[string]any
		Private map[string]any
		Tests   []struct {
			TcID    int
			Comment string
			JWS     any // the JSON serialisation is an object
			JWE     any
			Result  string
		}
	}
}

func load(t *testing.T, name string) vectors {
	t.Helper()
	text, err := fs.ReadFile(wycheproof.TestVectors, name)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// keySetOf publishes the keys of a group like an issuer would: without what is private.
func keySetOf(t *testing.T, key map[string]any) strictjson.Object {
	t.Helper()
	keys, isSet := key["keys"].([]any)
	if !isSet {
		keys = []any{key}
	}
	public := []any{}
	for _, key := range keys {
		key := maps.Clone(key.(map[string]any))
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi"} {
			delete(key, private)
		}
		public = append(public, key)
	}
	text, err := json.Marshal(map[string]any{"keys": public})
	if err != nil {
		t.Fatal(err)
	}
	set, err := strictjson.Parse(text, strictjson.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// accepts is what Verify does, claims apart: theirs are not Entra's.
func accepts(keys strictjson.Object, compact string) bool {
	set, err := readKeys(keys, "", "")
	if err != nil || !isCompact(compact) {
		return false
	}
	t, _, rejection := openSigned(compact)
	return rejection == nil && set[t.keyID] != nil && t.checkSignature(set[t.keyID]) == ""
}

// Of all vectors exactly those pass that are valid RS256 in compact form with a key id.
func TestWycheproof(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		vectors  int
		accepted []int
		refused  map[string]int // valid ones, by algorithm
	}{
		"json_web_signature_test.json": {
			401,
			[]int{33, 259, 260, 261, 262, 263, 345, 349},
			map[string]int{
				"ES256": 2, "ES512": 2, "HS256": 9, "PS256": 6, "PS384": 6, "PS512": 4, "RS384": 4, "RS512": 4,
				"not compact": 1,
			},
		},
		"json_web_key_test.json":    {26, []int{5}, map[string]int{"HS256": 2, "HS384": 1, "HS512": 1}},
		"json_web_crypto_test.json": {83, []int{33}, map[string]int{"A256KW": 1, "ECDH-ES+A128KW": 1, "ES256": 1, "HS256": 2}},
		"json_web_encryption_test.json": {
			139, nil,
			map[string]int{
				"A128GCMKW": 1, "A128KW": 3, "A192GCMKW": 1, "A192KW": 1, "A256GCMKW": 4, "A256KW": 7, "ECDH-ES": 7,
				"ECDH-ES+A128KW": 12, "ECDH-ES+A192KW": 2, "ECDH-ES+A256KW": 4, "RSA-OAEP": 7, "RSA-OAEP-256": 7,
				"RSA1_5": 8, "dir": 1,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tried := 0
			var accepted []int
			refused := map[string]int{}
			for _, group := range load(t, name).TestGroups {
				key := group.Public
				if key == nil {
					key = group.Private
				}
				keys := keySetOf(t, key)
				for _, test := range group.Tests {
					tried++
					text, compact := test.JWS.(string)
					if !compact {
						text, _ = test.JWE.(string)
					}
					switch ok := accepts(keys, text); {
					case ok && test.Result != "valid":
						t.Errorf("%d (%s, %s): accepted", test.TcID, group.Comment, test.Comment)
					case ok:
						accepted = append(accepted, test.TcID)
					case test.Result == "valid":
						refused[algorithm(text)]++
					}
				}
			}
			slices.Sort(accepted)
			if diff := cmp.Diff(want.accepted, accepted); diff != "" || tried != want.vectors {
				t.Errorf("%d vectors; accepted: %s", tried, diff)
			}
			if diff := cmp.Diff(want.refused, refused); diff != "" {
				t.Errorf("valid and refused: %s", diff)
			}
		})
	}
}

// algorithm is what the header of a token names.
func algorithm(compact string) string {
	head, _, _ := strings.Cut(compact, ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		return "not compact"
	}
	var header map[string]any
	if err := json.Unmarshal(text, &header); err != nil {
		return "no header"
	}
	alg, _ := header["alg"].(string)
	return alg
}
