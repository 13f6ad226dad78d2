package callout

import (
	"math/big"
	"regexp"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"PT5H": 5 * time.Hour, "PT480M": 8 * time.Hour, "P365D": 365 * 24 * time.Hour, "P1D": 24 * time.Hour, "P2W": 14 * 24 * time.Hour,
		"PT30M": 30 * time.Minute, "PT90S": 90 * time.Second, "P1DT2H3M4S": 26*time.Hour + 3*time.Minute + 4*time.Second,
		"P1W1D": 8 * 24 * time.Hour, "PT0.5S": 500 * time.Millisecond, "PT1,5H": 90 * time.Minute, "P0.5D": 12 * time.Hour, "PT1H0.5M": time.Hour + 30*time.Second,
		"PT0H1M": time.Minute, "PT0000000008H": 8 * time.Hour, "P366D": maxDuration, "PT8784H": maxDuration, "PT0.000000001S": 1, "PT1.9999999999S": 1999999999,
		"PT0.123456789S": 123456789, "02:00:00": 2 * time.Hour, "00:00:01": time.Second, "1.00:00:00": 24 * time.Hour, "366.00:00:00": maxDuration,
		"10.23:59:59.9999999": 10*24*time.Hour + 23*time.Hour + 59*time.Minute + 59*time.Second + 999999900, "00:00:00.0000001": 100, "365.00:00:00": 365 * 24 * time.Hour,
	} {
		if got, ok := parseDuration(text); !ok || got != want {
			t.Errorf("%s: %s, %v, want %s", text, got, ok, want)
		}
	}
}

func TestParseDurationRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "P", "PT", "P1", "PT1", "1H", "T1H", "PD", "PTH", "P1Y", "P1M", "P1Y2M3D", "P1M1D", "PT1Y", "PT1D", "PT1W", "P1H", "P1S", "P1DT", "PT1H1H", "PT1M1H", "P1D1W",
		"PT1S1M", "-PT1H", "+PT1H", "PT-1H", "PT+1H", "PT1H-1M", "P-1D", "pt1h", "PT1h", "PT 1H", " PT1H", "PT1H ", "PT1H\n", "PT0H", "PT0S", "P0D", "PT0.0000000001S",
		"PT1.5H30M", "P0.5DT1H", "PT.5S", "PT5.S", "PT1.2.3S", "PT1.,5S", "PT1e3S", "PT0x1H", "PT１H", "PT1H\x00", "P1DT1H1", "PP1D", "PT1HT1M", "P1DTT1H",
		"P367D", "PT8785H", "P366DT1S", "PT999999H", "PT5124096H", "PT307445735M", "PT18446744074S", "P213504D", "P30501W", "PT999999999999999999H", "PT99999999999999999999999999999999999H", "P52W3D", "P9223372036854775807D",
		"00:00:00", "24:00:00", "00:60:00", "00:00:60", "1:00:00", "01:00", "01:00:00:00", "-01:00:00", "1.1.00:00:00", ".01:00:00", "1.:00:00", "01:00:00.", "01:00:00.x",
		"01:00:00,5", "1,01:00:00", "367.00:00:00", "366.00:00:00.0000001", "01:0a:00", "0x:00:01", "01:00:0", "01:00:000", "99999999999999999999.00:00:00", "１1:00:00", "01:00:00Z",
		"8", "8h", "3600", "PT1H/PT2H", "P0001-00-00T00:00:00", "INF", "PT0000000000000000000000000000000000000000000000008H",
	} {
		if got, ok := parseDuration(text); ok {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func TestParseInstant(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2026-10-05T06:12:40Z":                   "2026-10-05T06:12:40Z",
		"2026-10-05T06:12:40.1Z":                 "2026-10-05T06:12:40.1Z",
		"2026-10-05T06:12:40.1234567Z":           "2026-10-05T06:12:40.1234567Z",
		"2026-10-05T06:12:40.1234567891234Z":     "2026-10-05T06:12:40.123456789Z",
		"2026-10-05T06:12:40.000Z":               "2026-10-05T06:12:40Z",
		"2026-10-05T06:12:40+02:00":              "2026-10-05T04:12:40Z",
		"2026-10-05T06:12:40.5-14:00":            "2026-10-05T20:12:40.5Z",
		"2026-10-05T06:12:40-00:00":              "2026-10-05T06:12:40Z",
		"2028-02-29T23:59:59.9999999+05:45":      "2028-02-29T18:14:59.9999999Z",
		"0001-01-01T00:00:00Z":                   "0001-01-01T00:00:00Z",
		"9999-12-31T23:59:59.9999999Z":           "9999-12-31T23:59:59.9999999Z",
		"2026-10-05T06:12:40.000000000000+00:00": "2026-10-05T06:12:40Z",
	} {
		got, ok := parseInstant(text)
		if !ok || got.Format(time.RFC3339Nano) != want || got.Location() != time.UTC {
			t.Errorf("%s: %s, %v, want %s", text, got.Format(time.RFC3339Nano), ok, want)
		}
	}
	for _, text := range []string{
		"", "now", "2026-10-05", "2026-10-05T06:12:40", "2026-10-05T06:12Z", "2026-10-05 06:12:40Z", "2026-10-05t06:12:40z", "2026-10-05T6:12:40Z", "2026-10-5T06:12:40Z",
		"2026-13-05T06:12:40Z", "2026-02-29T06:12:40Z", "2026-10-32T06:12:40Z", "2026-10-05T24:00:00Z", "2026-10-05T06:60:40Z", "2026-10-05T06:12:60Z", "2026-10-05T06:12:40.Z",
		"2026-10-05T06:12:40,5Z", "2026-10-05T06:12:40+2:00", "2026-10-05T06:12:40+0200", "2026-10-05T06:12:40+15:00", "2026-10-05T06:12:40+02:60", "2026-10-05T06:12:40Z ",
		" 2026-10-05T06:12:40Z", "26-10-05T06:12:40Z", "0000-10-05T06:12:40Z", "+2026-10-05T06:12:40Z", "12026-10-05T06:12:40Z", "2026-10-05T06:12:40Z[UTC]", "1791180760",
		"/Date(1791180760000)/", "2026-10-05T06:12:40.x5Z", "2026-10-05T06:12:40ZZ", "2026-1０-05T06:12:40Z", "2026-10-05T 6:12:40Z", "2026-10-05T06:12:40.5", "2026-10-05T06:12:40++2:00",
	} {
		if got, ok := parseInstant(text); ok {
			t.Errorf("%q: %s", text, got)
		}
	}
}

// FuzzDuration compares with a reading by regular expressions and rational numbers.
func FuzzDuration(f *testing.F) {
	for _, seed := range []string{"PT8H", "P1DT2H3M4.5S", "P2W", "PT480M", "1.02:03:04.5", "02:00:00", "P366D", "PT0.0000000001S", "P1Y", "-PT1H", "PT1,5H", "24:00:00", "PT1.5H3M"} {
		f.Add(seed)
	}
	iso := regexp.MustCompile(`^P(?:(\d+(?:[.,]\d+)?)W)?(?:(\d+(?:[.,]\d+)?)D)?(?:T(?:(\d+(?:[.,]\d+)?)H)?(?:(\d+(?:[.,]\d+)?)M)?(?:(\d+(?:[.,]\d+)?)S)?)?$`)
	span := regexp.MustCompile(`^()(?:(\d+)\.)?([01]\d|2[0-3]):([0-5]\d):([0-5]\d(?:\.\d+)?)$`)
	comma := regexp.MustCompile(`,`)
	units := []time.Duration{7 * 24 * time.Hour, 24 * time.Hour, time.Hour, time.Minute, time.Second}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := parseDuration(text)
		parts := iso.FindStringSubmatch(text)
		if parts == nil {
			parts = span.FindStringSubmatch(text)
		}
		if parts == nil {
			if ok {
				t.Fatalf("%q has no known form but is %s", text, got)
			}
			return
		}
		total := new(big.Rat)
		for i, part := range parts[1:] {
			if part == "" {
				continue
			}
			amount, valid := new(big.Rat).SetString(comma.ReplaceAllString(part, "."))
			if !valid {
				t.Fatalf("%q: number %q", text, part)
			}
			total.Add(total, amount.Mul(amount, new(big.Rat).SetInt64(int64(units[i]))))
		}
		if !ok {
			return // it may be too long, too short or badly formed in ways that the expressions allow
		}
		// Every fraction is cut to billionths of its unit.
		diff := new(big.Rat).Sub(total, new(big.Rat).SetInt64(int64(got)))
		if got <= 0 || got > maxDuration || diff.Sign() < 0 || diff.Cmp(new(big.Rat).SetInt64(int64(units[0]/time.Second))) >= 0 {
			t.Fatalf("%q is %s, want %s ns", text, got, total.FloatString(3))
		}
	})
}
