package normalize

import (
	"strings"
	"testing"
)

func masker(t testing.TB) *Masker {
	t.Helper()
	m, err := NewMasker(nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The secrets are put together here so that no scanner takes this file for a leak.
func secretCorpus() []struct{ kind, line, secret string } {
	jwt := "eyJ" + "hbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
	return []struct{ kind, line, secret string }{
		{"bearer", "GET /cart Authorization: Bearer abcDEF123456ghiJKL", "abcDEF123456ghiJKL"},
		{"bearer", "proxy sent header 'authorization: basic dXNlcjpwYXNzdzByZA=='", "dXNlcjpwYXNzdzByZA=="},
		{"jwt", "session " + jwt + " expired", jwt},
		{"aws_key", "using AKIA" + "IOSFODNN7EXAMPLE for upload", "AKIA" + "IOSFODNN7EXAMPLE"},
		{"keyed_value", "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"},
		{"vendor_token", "clone with ghp_" + strings.Repeat("aB3", 12), "ghp_" + strings.Repeat("aB3", 12)},
		{"vendor_token", "slack xoxb-" + "123456789012-abcdefGHIJ", "xoxb-" + "123456789012-abcdefGHIJ"},
		{"vendor_token", "charge failed with sk_" + "live_" + strings.Repeat("4eC39H", 4), strings.Repeat("4eC39H", 4)},
		{"url_password", "dial postgres://shop:s3cr3t!@db:5432/orders: refused", "s3cr3t!"},
		{"url_password", "amqp://guest:p@ss:word@queue/", "p@ss:word"},
		{"url_password", "redis://:onlypass@cache:6379/0", "onlypass"},
		{"keyed_value", "login password=hunter2 user=bob", "hunter2"},
		{"keyed_value", `{"user":"bob","password":"correct horse battery"}`, "correct horse battery"},
		{"keyed_value", `{"msg":"{\"password\":\"inner value\"}"}`, "inner value"},
		{"keyed_value", `Password: letmein`, "letmein"},
		{"keyed_value", `password = 'it\'s long'`, `it\'s long`},
		{"keyed_value", "mysql --password S3cret99 -h db", "S3cret99"},
		{"keyed_value", "?api_key=0123456789abcdef&x=1", "0123456789abcdef"},
		{"keyed_value", "X-Auth-Token: 9f8e7d6c5b4a", "9f8e7d6c5b4a"},
		{"keyed_value", "client_secret=abc", "abc"},
		{"keyed_value", "apiKey: \"topsecret\"", "topsecret"},
		{"keyed_value", "'secret' => 'q w e'", "q w e"},
		{"keyed_value", "refresh_token=plainword", "plainword"},
		{"card_number", "paid with 4111111111111111 ok", "4111111111111111"},
		{"card_number", "card 5500-0000-0000-0004.", "5500-0000-0000-0004"},
		{"card_number", "card 5500-0000-0000-0004, thanks", "5500-0000-0000-0004"},
		{"card_number", "amex 3782 822463 10005!", "3782 822463 10005"},
		{"private_key", "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc\n-----END RSA PRIVATE KEY----- rest", "MIIEow"},
		{"private_key", "cut off: -----BEGIN PRIVATE KEY-----\nMIIEow", "MIIEow"},
	}
}

func TestSecretsAreMaskedAndCounted(t *testing.T) {
	for _, c := range secretCorpus() {
		m := masker(t)
		got, changed := m.Mask(c.line)
		if !changed || strings.Contains(got, c.secret) {
			t.Errorf("%q -> %q", c.line, got)
			continue
		}
		if m.Counts()[c.kind] != 1 {
			t.Errorf("%q: counted as %v, want %s", c.line, m.Counts(), c.kind)
		}
		again, _ := m.Mask(got)
		if again != got {
			t.Errorf("masking twice: %q -> %q", got, again)
		}
	}
}

func TestInnocentLookAlikesStay(t *testing.T) {
	m := masker(t)
	for _, line := range []string{
		"bearer certificates are fine", "Basic authentication failed", "basic usage of the tool",
		"invalid token: unexpected end of JSON input", "syntax error near token: identifier", "token bucket is empty",
		"max_tokens=4096 tokens=12", "token=12", "password_length=8", "password_reset=true", "password=false", "passwords do not match",
		"primary key: id", "monkey=banana", "keyboard: us", "key=order-17", "foreign_key=customer_id", "secretName: tls-cert",
		"order 1700000000000000 at 1764000000000", "trace 4111111111111112", "id=4111111111111111a", "uuid 41111111-1111-1111-1111-111111111111",
		"took 4111111111111111.5", "ip 10.0.0.1:8080 to https://example.com/a@b", "see http://host:8080/path", "user@example.com wrote",
		"eyJust a name", "AKIAshort", "BEGIN transaction", "-----BEGIN CERTIFICATE-----\nMIID\n-----END CERTIFICATE-----",
		"session started for bob", "cookie consent given", "authorization failed for user bob", "password: ", "password=", "secret=***",
		"", "=", ":", "password", "ask-me-anything",
	} {
		if got, changed := m.Mask(line); changed || got != line {
			t.Errorf("%q -> %q", line, got)
		}
	}
	for k, n := range m.Counts() {
		if n != 0 {
			t.Errorf("%s counted %d", k, n)
		}
	}
}

func TestAttributesNamedLikeSecretsAreMaskedWhole(t *testing.T) {
	m := masker(t)
	for key, want := range map[string]bool{
		"db.password": true, "http.request.header.authorization": true, "aws.secretAccessKey": true, "X-Api-Key": true,
		"user.name": false, "password.length": false, "llm.tokens": false, "token.count": false,
	} {
		if got, changed := m.MaskValue(key, "some plain words"); changed != want {
			t.Errorf("%s -> %q", key, got)
		}
	}
}

func TestOwnPatternsReplaceTheirGroup(t *testing.T) {
	m, err := NewMasker(map[string]string{"customer": `customer-(\d+)`, "named": `x(?P<o>.)y(?P<s>.)z`})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := m.Mask("customer-123 x1y2z"); got != "customer-[masked:customer] x1y[masked:named]z" {
		t.Errorf("got %q", got)
	}
	if _, err := NewMasker(map[string]string{"broken": "("}); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("a broken pattern must be named: %v", err)
	}
}

func FuzzMask(f *testing.F) {
	for _, c := range secretCorpus() {
		f.Add(c.line)
	}
	f.Add("password:\\\"")
	f.Add("--token ")
	f.Fuzz(func(t *testing.T, line string) {
		m := masker(t)
		got, changed := m.Mask(line)
		if !changed && got != line {
			t.Fatalf("%q became %q without being counted", line, got)
		}
		n := uint64(0)
		for _, c := range m.Counts() {
			n += c
		}
		if changed != (n > 0) {
			t.Fatalf("%q: changed %v, counted %d", line, changed, n)
		}
		m.MaskValue(line, line)
	})
}

func BenchmarkMaskWithoutHints(b *testing.B) {
	m := masker(b)
	line := `2026-11-24T08:00:00.123Z INFO  [checkout] order 8812 accepted in 35 ms for customer bob (items=3, total=44.90 EUR, region=eu-west-1, trace=0af7651916cd43dd)`
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, changed := m.Mask(line); changed {
			b.Fatal("masked an innocent line")
		}
	}
}

func BenchmarkMaskWithASecret(b *testing.B) {
	m := masker(b)
	line := `2026-11-24T08:00:00.123Z INFO  [checkout] login user=bob password=hunter2 with token 123`
	b.ReportAllocs()
	for b.Loop() {
		m.Mask(line)
	}
}
