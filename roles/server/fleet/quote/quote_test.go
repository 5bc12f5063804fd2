package quote_test

import (
	"encoding/json"
	"strings"
	"testing"

	"aspects-poc/roles/server/fleet/quote"
)

const pem = "-----BEGIN KEY-----\nMC4CAQAwBQYDK2VwBCIE\nIPzQ1Wm5vT8r\nab12\n-----END KEY-----\n"

func TestQuotes(t *testing.T) {
	for _, test := range []struct {
		secret any
		text   string
		want   bool
	}{
		{"hunter2", "the file has hunter2", true},
		{"hunter2", "the file has HUNTER2.", true},
		{"hunter2", "the file has hunter", true},
		{"hunter2", "h u n t e r 2", true},
		{"hunter2", "no hunt", false},
		{"hunter2", "the interface wg0 is missing", false},
		{" hunter2 ", `bad "hunter2"`, true},
		{"a<b>c&d", `bad "a\u003cb\u003ec\u0026d"`, true},
		{"a<b>c&d", "bad a&lt;b&gt;c&amp;d", true},
		{"a<b>c&d", "bad a%3Cb%3ec%26d", true},
		{"über<é", `bad \u00fcber\u003c\u00e9`, true},
		{"über<é", `bad \xc3\xbcber<\303\251`, true},
		{"пароль", `bad \u043f\u0430\u0440\u043e\u043b\u044c`, true},
		{"k𝒜y7z", `bad k\ud835\udc9cy7z`, true},
		{"a\nb\tc9", `bad a\nb\tc9`, true},
		{`C:\new\x41`, `bad "C:\\new\\x41"`, true},
		{`it's"me`, `key='it'\''s"me'`, true},
		{"%#!", "bad %#!", true},
		{"%#!", "bad thing!", false},
		{`\"`, `bad \"`, true},
		{"", "anything", false},
		{"\n", "anything\n", false},
		{"ab", "cab", true},
		{pem, "bad " + strings.Join(strings.Fields(pem), " "), true},
		{pem, "bad line IPzQ1Wm5vT8r", true},
		{pem, "bad line ab12", true},
		{pem, "bad MC4CAQAw…", true},
		{pem, "cannot read the file", false},
		{json.Number("-1E3"), "-1000 is less than the allowed minimum 0", true},
		{json.Number("-1E3"), "-1,000 is less", true},
		{json.Number("-1E3"), "-100 is less", false},
		{json.Number("-1.5e300"), "-1.5e+300 is less", true},
		{json.Number("-0"), "not 0", true},
		{json.Number("0"), "not 10", false},
		{json.Number("12345678.9"), "not 1.23457e+07", true},
		{json.Number("-98765432109876543210987"), "not -9.876543210987654e+22", true},
		{json.Number("1e400"), "not 1e400", true},
		{json.Number("1e400"), "not 1e500", true},
		{json.Number("1e400"), "not 4", false},
		{json.Number("68"), "67 is less than 69", false},
		{"0042", "not 42", true},
		{[]any{"x", map[string]any{"hunter2": true}}, "key hunter2", true},
		{map[string]any{"a": []any{json.Number("710")}}, "7.1e2 is odd", true},
		{true, "true", false},
	} {
		if got := quote.Of(test.text).Quotes(test.secret); got != test.want {
			t.Errorf("%q quotes %q: %t", test.text, test.secret, got)
		}
	}
}

func FuzzQuotes(f *testing.F) {
	f.Add(`a\u00`, "hunter2")
	f.Fuzz(func(t *testing.T, around, secret string) {
		if strings.TrimSpace(secret) != "" && strings.ContainsAny(secret, "abc123") && !quote.Of(around+" "+secret+" ").Quotes(secret) {
			t.Errorf("%q is not found behind %q", secret, around)
		}
	})
}
