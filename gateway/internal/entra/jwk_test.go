package entra

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"testing"

	"github.com/countersign/countersign/gateway/internal/strictjson"
)

// T15: a key set gives up exactly the keys that may verify tokens.
func TestReadKeys(t *testing.T) {
	t.Parallel()
	const issuer, tenant = "https://login.microsoftonline.com/5d0e7f1a-9b8c-4d6e-a5f4-132435465768/v2.0", "5d0e7f1a-9b8c-4d6e-a5f4-132435465768"
	text := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	first, second := generate(t), generate(t)
	good := map[string]any{"kty": "RSA", "use": "sig", "kid": "other", "n": text(second), "e": "AQAB"}
	huge := new(big.Int).Lsh(first, 8192)
	type edits map[string]any
	tests := map[string]struct {
		edits edits
		want  bool
	}{
		"as Entra writes it":            {edits{"x5t": "x", "x5c": []any{"MIIC"}, "cloud_instance_name": "x"}, true},
		"without use":                   {edits{"use": nil}, true},
		"with alg":                      {edits{"alg": "RS256"}, true},
		"with its issuer":               {edits{"issuer": issuer}, true},
		"with the placeholder":          {edits{"issuer": "https://login.microsoftonline.com/{tenantid}/v2.0"}, true},
		"to verify":                     {edits{"key_ops": []any{"sign", "verify"}}, true},
		"of another issuer":             {edits{"issuer": "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"}, false},
		"of an issuer that is none":     {edits{"issuer": 1}, false},
		"for encryption":                {edits{"use": "enc"}, false},
		"for something in capitals":     {edits{"use": "SIG"}, false},
		"to encrypt":                    {edits{"key_ops": []any{"encrypt"}}, false},
		"to do nothing":                 {edits{"key_ops": []any{}}, false},
		"to do what is no list":         {edits{"key_ops": "verify"}, false},
		"for RS384":                     {edits{"alg": "RS384"}, false},
		"for PS256":                     {edits{"alg": "PS256"}, false},
		"of no kind":                    {edits{"kty": nil}, false},
		"of an elliptic curve":          {edits{"kty": "EC"}, false},
		"of the kind oct":               {edits{"kty": "oct", "k": "AAAA"}, false},
		"without kid":                   {edits{"kid": nil}, false},
		"with an empty kid":             {edits{"kid": ""}, false},
		"with a kid that is a number":   {edits{"kid": 1}, false},
		"with a kid of two lines":       {edits{"kid": "a\nb"}, false},
		"with its private part":         {edits{"d": "AQAB"}, false},
		"with exponent 1":               {edits{"e": "AQ"}, false},
		"with exponent 3":               {edits{"e": "Aw"}, false},
		"with exponent 65537 in 4 byte": {edits{"e": "AAEAAQ"}, false},
		"without exponent":              {edits{"e": nil}, false},
		"without modulus":               {edits{"n": nil}, false},
		"with 2047 bits":                {edits{"n": text(new(big.Int).Rsh(first, 1))}, false},
		"with 1024 bits":                {edits{"n": text(new(big.Int).Rsh(first, 1024))}, false},
		"with ten thousand bits":        {edits{"n": text(huge)}, false},
		"with an even modulus":          {edits{"n": text(new(big.Int).SetBit(first, 0, 0))}, false},
		"with modulus zero":             {edits{"n": ""}, false},
		"with padding":                  {edits{"n": text(first) + "=="}, false},
		"with standard base64":          {edits{"n": text(first)[:300] + "+/+/"}, false},
		"with a line break":             {edits{"n": text(first)[:300] + "\n" + text(first)[300:]}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := map[string]any{"kty": "RSA", "use": "sig", "kid": "tested", "n": text(first), "e": "AQAB"}
			maps.Copy(key, test.edits)
			maps.DeleteFunc(key, func(_ string, value any) bool { return value == nil })
			keys, err := readKeys(publishedSet(t, good, key), issuer, tenant)
			if err != nil {
				t.Fatal(err)
			}
			ids := slices.Sorted(maps.Keys(keys))
			want := []string{"other"}
			if test.want {
				want = append(want, "tested")
			}
			if !slices.Equal(ids, want) {
				t.Errorf("keys %v, want %v", ids, want)
			}
		})
	}
	if keys, err := readKeys(publishedSet(t, good, good), issuer, tenant); err != nil || len(keys) != 1 {
		t.Errorf("the same key twice: %v", err)
	}
}

// generate is the modulus of a new key.
func generate(t *testing.T) *big.Int {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key.N
}

func publishedSet(t *testing.T, keys ...map[string]any) strictjson.Object {
	t.Helper()
	document, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	set, err := strictjson.Parse(document, strictjson.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// The test for CVE-2017-15361 finds moduli built like those of the vulnerable generator and no others.
func TestROCA(t *testing.T) {
	t.Parallel()
	primorial := big.NewInt(1)
	for p := int64(2); p <= 167; p++ {
		if big.NewInt(p).ProbablyPrime(0) {
			primorial.Mul(primorial, big.NewInt(p))
		}
	}
	for k := range int64(50) {
		// N = 65537^c modulo the primorial, plus any multiple of it.
		n := new(big.Int).Exp(big.NewInt(publicE), big.NewInt(1000+k), primorial)
		n.Add(n, new(big.Int).Mul(primorial, new(big.Int).Lsh(big.NewInt(12345+k), 1800)))
		if !hasROCA(n) {
			t.Errorf("%d: not found", k)
		}
	}
	for range 2 {
		if hasROCA(generate(t)) {
			t.Error("a key of crypto/rsa is taken for one")
		}
	}
}
