package entra_test

import (
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/gateway/internal/entra"
)

// FuzzVerify makes tokens of any header and claims, signs them properly, damages some, and reads what is
// accepted with encoding/json: it must be one of the few tokens that Entra issues.
func FuzzVerify(f *testing.F) {
	for _, name := range []string{"v1", "v1_client_id", "v2", "v2_idtyp_app", "bad_other_application", "bad_other_tenant", "bad_user", "bad_version_1_with_azp"} {
		f.Add(header().json(), claims(f, name).json(), uint8(0), uint16(0), "Bearer ")
	}
	good := claims(f, "v2").json()
	for i, h := range []string{
		`{"alg":"none","kid":"key-0"}`, `{"alg":"RS256","kid":"key-0","alg":"none"}`, `{"alg":"RS256","kid":"key-0","crit":["x"]}`,
		`{"alg":"RS256","kid":"../key-0"}`, `{"alg":"HS256","kid":"key-0"}`, `{"alg":"RS256","kid":"key-0","jwk":{}}`,
	} {
		f.Add(h, good, uint8(i), uint16(i*97), "bearer ")
	}
	f.Add(header().json(), strings.Replace(good, `"azp"`, `"AZP":"x","azp"`, 1), uint8(0), uint16(0), "Bearer ")
	f.Add(header().json(), strings.Replace(good, `"aud":`, `"aud":["x"],"x":`, 1), uint8(1), uint16(300), "Bearer")
	v := start(f, newTenant(f, tenantID).settings())
	f.Fuzz(func(t *testing.T, header, claims string, damage uint8, at uint16, scheme string) {
		value := scheme + damaged(sign(header, claims), damage, at)
		caller, err := v.Verify(t.Context(), []string{value})
		if err != nil {
			return
		}
		if caller.AppID != entra.PIM || caller.TenantID != tenantID {
			t.Errorf("caller %+v", caller)
		}
		checkAccepted(t, value)
	})
}

// damaged changes a token in one of a few ways; most values leave it as it is.
func damaged(token string, how uint8, at uint16) string {
	i := int(at) % len(token)
	switch how {
	case 1:
		return token[:i]
	case 2:
		return token[:i] + "." + token[i:]
	case 3:
		return token[:i] + "A" + token[min(i+1, len(token)):]
	case 4:
		return token[:i] + "\n" + token[i:]
	case 5:
		return token + "="
	default:
		return token
	}
}

func checkAccepted(t *testing.T, value string) {
	t.Helper()
	parts := strings.Split(value[len("Bearer "):], ".")
	if len(parts) != 3 || !strings.EqualFold(value[:7], "Bearer ") {
		t.Fatalf("accepted %q", value)
	}
	var header, claims map[string]any
	for i, target := range []*map[string]any{&header, &claims} {
		text, err := base64.RawURLEncoding.Strict().DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, target); err != nil {
			t.Fatal(err)
		}
	}
	for name := range header {
		if slices.Contains([]string{"crit", "jwk", "jku", "x5u", "b64", "zip", "enc", "cty"}, name) {
			t.Errorf("header has %s", name)
		}
	}
	for name := range claims {
		if name == "scp" {
			t.Error("a user's token")
		}
	}
	now := float64(issuedAt + 60)
	exp, _ := claims["exp"].(float64)
	nbf, _ := claims["nbf"].(float64)
	iat, _ := claims["iat"].(float64)
	v1 := claims["ver"] == "1.0" && claims["iss"] == issuer1(tenantID) && claims["appid"] == entra.PIM && (claims["aud"] == clientID || claims["aud"] == appIDURI)
	v2 := claims["ver"] == "2.0" && claims["iss"] == issuer2(tenantID) && claims["azp"] == entra.PIM && claims["aud"] == clientID
	if header["alg"] != "RS256" || header["kid"] != "key-0" || claims["tid"] != tenantID || !v1 && !v2 {
		t.Errorf("accepted %v %v", header, claims)
	}
	if now >= exp+120 || now < nbf-120 || now < iat-120 || exp-iat > 86400 {
		t.Errorf("accepted at the wrong time: %v", claims)
	}
}

// Whatever is changed in a signed token, it is refused.
func TestRefusesChangedTokens(t *testing.T) {
	t.Parallel()
	v := start(t, newTenant(t, tenantID).settings())
	originals := []string{mint(header(), claims(t, "v1")), mint(header(), claims(t, "v2"))}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n"
	random := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		original := originals[random.IntN(len(originals))]
		changed := []byte(original)
		for range 1 + random.IntN(3) {
			at, c := random.IntN(len(changed)), alphabet[random.IntN(len(alphabet))]
			switch random.IntN(4) {
			case 0:
				changed = slices.Insert(changed, at, c)
			case 1:
				changed = slices.Delete(changed, at, at+1)
			default:
				changed[at] = c
			}
		}
		if string(changed) == original {
			continue
		}
		if verify(t, v, bearer(string(changed))) == nil {
			t.Fatalf("accepted %s", changed)
		}
	}
}

// hostile are requests that cost the sender nothing.
func hostile(t testing.TB) map[string][]string {
	t.Helper()
	good := mint(header(), claims(t, "v2"))
	parts := strings.Split(good, ".")
	deep := `{"alg":"RS256","kid":"key-0","x":` + strings.Repeat("[", 11000)
	return map[string][]string{
		"16 KiB of dots":     {"Bearer " + strings.Repeat(".", 16<<10-7)},
		"16 KiB of letters":  {"Bearer " + strings.Repeat("a", 16<<10-7)},
		"a megabyte":         {"Bearer " + strings.Repeat("a", 1<<20)},
		"a large header":     {"Bearer " + encode(`{"alg":"RS256","kid":"key-0","x":"`+strings.Repeat("x", 11000)+`"}`) + ".e30.AA"},
		"a deep header":      {"Bearer " + encode(deep) + ".e30.AA"},
		"many claims":        {"Bearer " + parts[0] + "." + encode("["+strings.Repeat("1,", 5000)+"1]") + "." + parts[2]},
		"an unknown kid":     {"Bearer " + encode(`{"alg":"RS256","kid":"unknown"}`) + "." + parts[1] + "." + parts[2]},
		"a bad signature":    {"Bearer " + parts[0] + "." + parts[1] + "." + flip(parts[2])},
		"another audience":   {"Bearer " + mint(header(), claims(t, "v2").with(object{"aud": "x"}))},
		"two header lines":   {"Bearer " + good, "Bearer " + good},
		"no header":          nil,
		"two hundred claims": {"Bearer " + parts[0] + "." + encode(`{"a":[`+strings.Repeat("{},", 200)+`{}]}`) + "." + parts[2]},
	}
}

// T12: a refused request costs no more than 64 KiB.
func TestRefusalsAreCheap(t *testing.T) { //nolint:paralleltest // it measures
	s := newTenant(t, tenantID).settings()
	v := start(t, s)
	const rounds = 20
	for name, authorization := range hostile(t) {
		verify(t, v, authorization) // an unknown kid is fetched for once
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range rounds {
			_, _ = v.Verify(t.Context(), authorization)
		}
		runtime.ReadMemStats(&after)
		if each := (after.TotalAlloc - before.TotalAlloc) / rounds; each > 64<<10 {
			t.Errorf("%s: %d bytes", name, each)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	v := start(b, newTenant(b, tenantID).settings())
	all := hostile(b)
	all["accepted version 1"] = bearer(mint(header(), claims(b, "v1")))
	all["accepted version 2"] = bearer(mint(header(), claims(b, "v2")))
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = v.Verify(b.Context(), all[name])
			}
		})
	}
}
