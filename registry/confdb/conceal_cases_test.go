package confdb_test

import (
	"encoding/json"
	"errors"
	"testing"

	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/path"
)

// TestConceal has documents that do not fit the schema: a value that may be a secret counts as one.
func TestConceal(t *testing.T) {
	storage := json.RawMessage(`{"aliases":{"word":{"type":"string","pattern":"^[a-z]+$"}},"schema":{
		"tunnel":{"schema":{"name":"string","secret-key":{"type":"${word}","visibility":"secret"}}},
		"wifi":{"values":{"schema":{"mode":"string","psk":{"type":"string","visibility":"secret"}}}},
		"codes":{"keys":{"type":"string","visibility":"secret"},"values":"int"},
		"pins":{"type":"array","values":{"type":"int","visibility":"secret"}},
		"users":{"type":"array","values":{"schema":{"name":"string","pin":{"type":"int","visibility":"secret"}}}},
		"login":["string",{"schema":{"name":"string","word":{"type":"string","visibility":"secret"}}}],
		"free":"any","hidden":{"type":"any","visibility":"secret"},"mtu":"int"}}`)
	views := object{
		"tunnel": object{"rules": []any{object{"request": "name", "storage": "tunnel.name"},
			object{"request": "secret-key", "storage": "tunnel.secret-key", "access": "write"}}},
		"wifi": object{"rules": []any{object{"request": "{ssid}", "storage": "wifi.{ssid}",
			"content": []any{object{"storage": "mode"}, object{"storage": "psk"}}}}},
		"whole": object{"rules": []any{object{"storage": "wifi"}, object{"storage": "codes"}, object{"storage": "pins"},
			object{"storage": "users"}, object{"storage": "login"}, object{"storage": "free"}, object{"storage": "hidden"}}},
		"codes": object{"rules": []any{object{"request": "c.{code}", "storage": "codes.{code}"}}},
		"users": object{"rules": []any{object{"request": "pin[{n}]", "storage": "users[{n}].pin"}}},
		"plain": object{"rules": []any{object{"storage": "mtu"}}},
	}
	schema, err := confdb.New("acme", "net", storage, views)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ view, document, want string }{
		{"tunnel", `{"name":"a","secret-key":"S"}`, `{"name":"a","secret-key":"<secret-key>"}`},
		{"tunnel", `{"name":"a","secret-key":{"x":"S"}}`, `{"name":"a","secret-key":"<secret-key>"}`},
		{"tunnel", `{"name":"a","secret-key":null}`, `{"name":"a","secret-key":null}`},
		{"tunnel", `{"secret-kez":"S","name":{"secret-key":"N"}}`, `{"name":{"secret-key":"N"},"secret-kez":"<secret-kez>"}`},
		{"tunnel", `"S"`, `"<>"`},
		{"tunnel", `["S"]`, `"<>"`},
		{"tunnel", `{}`, `{}`},
		{"wifi", `{"home":{"mode":"wpa","psk":"S"},"work":"S"}`, `{"home":{"mode":"wpa","psk":"<home.psk>"},"work":"<work>"}`},
		{"wifi", `{"home":{"pks":"S"}}`, `{"home":{"pks":"<home.pks>"}}`},
		{"wifi", `["S"]`, `"<>"`},
		{"whole", `{"wifi":{"home":{"mode":"wpa","psk":"S"}}}`, `{"wifi":{"home":{"mode":"wpa","psk":"<wifi.home.psk>"}}}`},
		{"whole", `{"wifi":"S"}`, `{"wifi":"<wifi>"}`},
		{"whole", `{"codes":{"s":1}}`, `{"codes":"<codes>"}`},
		{"whole", `{"pins":[1,2]}`, `{"pins":"<pins>"}`},
		{"whole", `{"users":[{"name":"a","pin":1},{"name":"b","pni":2},3]}`,
			`{"users":[{"name":"a","pin":"<users[0].pin>"},{"name":"b","pni":"<users[1].pni>"},"<users[2]>"]}`},
		{"whole", `{"login":"guest"}`, `{"login":"guest"}`},
		{"whole", `{"login":{"name":"a","word":"S"}}`, `{"login":{"name":"a","word":"<login.word>"}}`},
		{"whole", `{"login":7}`, `{"login":"<login>"}`},
		{"whole", `{"free":{"secret-key":"F"},"hidden":{"x":["S"]}}`, `{"free":{"secret-key":"F"},"hidden":"<hidden>"}`},
		{"codes", `{"c":{"s":1}}`, `{"c":"<c>"}`},
		{"users", `{"pin":[1,2]}`, `{"pin":["<pin[0]>","<pin[1]>"]}`},
		{"users", `{"pin":7}`, `{"pin":"<pin>"}`},
		{"plain", `{"mtu":"M","secret-key":"M"}`, `{"mtu":"M","secret-key":"M"}`},
		{"unknown", `{"secret-key":"M"}`, `{"secret-key":"M"}`},
	}
	for _, test := range tests {
		t.Run(test.view+test.document, func(t *testing.T) {
			var document any
			if err := json.Unmarshal([]byte(test.document), &document); err != nil {
				t.Fatal(err)
			}
			concealed := schema.Conceal(test.view, document, func(at path.Path, _ any) any { return "<" + at.String() + ">" })
			got, err := json.Marshal(concealed)
			var want any
			if err := errors.Join(err, json.Unmarshal([]byte(test.want), &want)); err != nil {
				t.Fatal(err)
			}
			if wanted, _ := json.Marshal(want); string(got) != string(wanted) {
				t.Errorf("got  %s\nwant %s", got, wanted)
			}
		})
	}
}
