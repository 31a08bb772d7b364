package normalize

import "strings"

// vendor is one form of token that begins with a mark of its issuer.
type vendor struct {
	prefix string
	length int    // characters behind the prefix, at least
	exact  bool   // and no more
	extra  string // characters beside letters and digits
	hex    bool   // hexadecimal digits only
	after  bool   // the prefix is no part of the secret: it stays
}

// vendorTable lists the tokens by their first byte. Forms are those that the
// issuers document.
func vendorTable() (t [256][]vendor) {
	const dash = "-_"
	for _, v := range []vendor{
		{prefix: "ghp_", length: 30}, {prefix: "gho_", length: 30}, {prefix: "ghu_", length: 30}, {prefix: "ghs_", length: 30}, {prefix: "ghr_", length: 30},
		{prefix: "github_pat_", length: 30, extra: "_"},
		{prefix: "glpat-", length: 16, extra: dash}, {prefix: "glptt-", length: 16, extra: dash}, {prefix: "gldt-", length: 16, extra: dash}, {prefix: "glrt-", length: 16, extra: dash},
		{prefix: "glcbt-", length: 16, extra: dash}, {prefix: "glsoat-", length: 16, extra: dash}, {prefix: "glft-", length: 16, extra: dash},
		{prefix: "xoxa-", length: 10, extra: "-"}, {prefix: "xoxb-", length: 10, extra: "-"}, {prefix: "xoxe-", length: 10, extra: "-"}, {prefix: "xoxo-", length: 10, extra: "-"},
		{prefix: "xoxp-", length: 10, extra: "-"}, {prefix: "xoxr-", length: 10, extra: "-"}, {prefix: "xoxs-", length: 10, extra: "-"}, {prefix: "xapp-", length: 10, extra: "-"},
		{prefix: "AIza", length: 35, extra: dash}, {prefix: "ya29.", length: 30, extra: dash + "."}, {prefix: "1//0", length: 30, extra: dash}, {prefix: "GOCSPX-", length: 20, extra: dash},
		{prefix: "sk_live_", length: 16}, {prefix: "sk_test_", length: 16}, {prefix: "rk_live_", length: 16}, {prefix: "rk_test_", length: 16}, {prefix: "whsec_", length: 16, extra: "+/="},
		{prefix: "sk-", length: 20, extra: dash}, {prefix: "hf_", length: 30}, {prefix: "gsk_", length: 30}, {prefix: "xai-", length: 30}, {prefix: "nvapi-", length: 30, extra: dash}, {prefix: "r8_", length: 30},
		{prefix: "hvs.", length: 20, extra: dash}, {prefix: "hvb.", length: 20, extra: dash}, {prefix: "hvr.", length: 20, extra: dash},
		{prefix: "npm_", length: 30}, {prefix: "pypi-", length: 30, extra: dash}, {prefix: "dckr_pat_", length: 20, extra: dash}, {prefix: "rubygems_", length: 40},
		{prefix: "dop_v1_", length: 40}, {prefix: "doo_v1_", length: 40}, {prefix: "dor_v1_", length: 40},
		{prefix: "shpat_", length: 30}, {prefix: "shpss_", length: 30}, {prefix: "shpca_", length: 30}, {prefix: "shppa_", length: 30},
		{prefix: "glsa_", length: 20, extra: "_"}, {prefix: "glc_", length: 20, extra: "+/="}, {prefix: "NRAK-", length: 20}, {prefix: "NRII-", length: 20, extra: dash},
		{prefix: "AGE-SECRET-KEY-1", length: 50}, {prefix: "sq0atp-", length: 20, extra: dash}, {prefix: "sq0csp-", length: 20, extra: dash}, {prefix: "PMAK-", length: 50, extra: "-"},
		{prefix: "ATATT3", length: 30, extra: "-_="}, {prefix: "ATCTT3", length: 30, extra: "-_="}, {prefix: "lin_api_", length: 30}, {prefix: "sntrys_", length: 30, extra: "+/=_"}, {prefix: "sntryu_", length: 30},
		{prefix: "EAACEdEose0cBA", length: 20}, {prefix: "figd_", length: 30, extra: dash}, {prefix: "SG.", length: 40, extra: "-_."}, {prefix: "sbp_", length: 30},
		{prefix: "pscale_tkn_", length: 30, extra: "-_."}, {prefix: "pscale_pw_", length: 30, extra: "-_."}, {prefix: "dp.pt.", length: 30},
		{prefix: "FwoGZXIvYXdz", length: 30, extra: "+/="}, {prefix: "IQoJb3JpZ2lu", length: 30, extra: "+/="}, {prefix: "ABSK", length: 60, extra: "+/="},
		{prefix: "dapi", length: 32, exact: true, hex: true}, {prefix: "SK", length: 32, exact: true, hex: true}, {prefix: "key-", length: 32, exact: true, hex: true},
		{prefix: "hooks.slack.com/services/", length: 20, extra: "/", after: true}, {prefix: "discord.com/api/webhooks/", length: 40, extra: "/-_", after: true},
		{prefix: "discordapp.com/api/webhooks/", length: 40, extra: "/-_", after: true},
	} {
		t[v.prefix[0]] = append(t[v.prefix[0]], v)
	}
	return t
}

// Read only.
var (
	vendorFirst = vendorFirstTable()
	vendors     = vendorTable()
	vendorPairs = vendorPairTable()
)

// vendorFirstTable tells the bytes that begin a token.
func vendorFirstTable() (t [256]bool) {
	for a := range vendors {
		t[a] = len(vendors[a]) > 0
	}
	return t
}

// vendorPairTable has a bit for each pair of bytes that begins a token.
func vendorPairTable() (t [256][4]uint64) {
	for a := range vendors {
		for i := range vendors[a] {
			b := vendors[a][i].prefix[1]
			t[a][b>>6] |= 1 << (b & 63)
		}
	}
	return t
}

// vendorStarts reports whether a token may begin at position i.
func vendorStarts(s string, i int) bool {
	if i+1 >= len(s) || i > 0 && isWordByte(s[i-1]) {
		return false
	}
	b := s[i+1]
	return vendorPairs[s[i]][b>>6]>>(b&63)&1 != 0
}

// vendorAt returns the stretch of s, from its beginning on, that is a token;
// to is 0 when there is none.
func vendorAt(s string) (from, to int) {
	for _, v := range vendors[s[0]] {
		if !strings.HasPrefix(s, v.prefix) {
			continue
		}
		end := len(v.prefix)
		for end < len(s) && v.holds(s[end]) {
			end++
		}
		n := end - len(v.prefix)
		if n < v.length || v.exact && n != v.length || end < len(s) && v.exact && isWordByte(s[end]) {
			continue
		}
		if v.after {
			return len(v.prefix), end
		}
		return 0, end
	}
	return 0, 0
}

func (v vendor) holds(c byte) bool {
	if v.hex {
		return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
	}
	return c != '_' && isWordByte(c) || strings.IndexByte(v.extra, c) >= 0
}

// telegramAt returns the stretch of a Telegram bot token whose colon is at i:
// 8 to 10 digits before, 35 characters that begin with AA behind.
func telegramAt(s string, i int) (from, to int) {
	from, to = i, i+1
	for from > 0 && s[from-1] >= '0' && s[from-1] <= '9' {
		from--
	}
	if n := i - from; n < 8 || n > 10 || !strings.HasPrefix(s[to:], "AA") {
		return 0, 0
	}
	for to < len(s) && (isWordByte(s[to]) || s[to] == '-') {
		to++
	}
	if to-i-1 != 35 {
		return 0, 0
	}
	return from, to
}

// maskVendors replaces tokens that begin with a mark of their issuer.
func maskVendors(s string) (string, int) {
	var b strings.Builder
	last, n := 0, 0
	put := func(from, to int) {
		b.WriteString(s[last:from])
		b.WriteString(replacement(vendorKind))
		last = to
		n++
	}
	for i := 0; i < len(s); i++ {
		if s[i] == ':' {
			if from, to := telegramAt(s, i); to > 0 && from >= last {
				put(from, to)
				i = to - 1
			}
			continue
		}
		if !vendorStarts(s, i) {
			continue
		}
		if from, to := vendorAt(s[i:]); to > 0 {
			put(i+from, i+to)
			i += to - 1
		}
	}
	if n == 0 {
		return s, 0
	}
	b.WriteString(s[last:])
	return b.String(), n
}
