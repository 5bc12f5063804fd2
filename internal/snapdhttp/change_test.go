package snapdhttp_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/internal/snapdhttp"
)

func TestChangeValues(t *testing.T) {
	tests := []struct {
		name, change string
		values       map[string]any
		refusal      *snapdhttp.Refusal
		wantErr      string
	}{
		{
			name:   "values since 2.71",
			change: `{"id":"51","status":"Done","ready":true,"data":{"values":{"sample-rate":9007199254740993}}}`,
			values: map[string]any{"sample-rate": json.Number("9007199254740993")},
		},
		{
			name:   "values of 2.69",
			change: `{"id":"51","status":"Done","ready":true,"data":{"confdb-data":{"sample-rate":3}}}`,
			values: map[string]any{"sample-rate": json.Number("3")},
		},
		{
			name: "no data since 2.71",
			change: `{"id":"51","status":"Done","ready":true,"data":{"error":{"kind":"option-not-found",
				"message":"cannot get \"a\" through A/S/V: no data"}}}`,
			refusal: &snapdhttp.Refusal{Kind: "option-not-found", Message: `cannot get "a" through A/S/V: no data`},
		},
		{
			name: "no data of 2.69",
			change: `{"id":"51","status":"Done","ready":true,
				"data":{"confdb-error":"cannot get \"a\" through A/S/V: no data"}}`,
			refusal: &snapdhttp.Refusal{Message: `cannot get "a" through A/S/V: no data`},
		},
		{
			name: "error beside values: the error counts",
			change: `{"id":"51","status":"Done","ready":true,
				"data":{"values":{"a":1},"error":{"message":"cannot get A/S/V: no data"}}}`,
			refusal: &snapdhttp.Refusal{Message: "cannot get A/S/V: no data"},
		},
		{
			name: "failed load hook",
			change: `{"id":"51","status":"Error","ready":true,
				"err":"cannot perform the following tasks:\n- Run hook load-view-a of snap \"cust\" (run hook \"load-view-a\": \n-----\nout\n-----)"}`,
			refusal: &snapdhttp.Refusal{Message: "run hook \"load-view-a\": \n-----\nout\n-----", Hook: "load-view-a of cust"},
		},
		{
			name:    "on hold",
			change:  `{"id":"51","status":"Hold","ready":true}`,
			refusal: &snapdhttp.Refusal{Message: "change 51 ended as Hold without an error"},
		},
		{name: "not ready", change: `{"id":"51","status":"Doing"}`, wantErr: "change 51 is not finished"},
		{
			name: "a write's change", change: `{"id":"51","status":"Done","ready":true}`,
			wantErr: "change 51 is done but has neither values nor an error",
		},
		{
			name: "null for values", change: `{"id":"51","status":"Done","ready":true,"data":{"values":null}}`,
			wantErr: `change 51: data "values": want a JSON object, got null`,
		},
		{
			name: "null for an error", change: `{"id":"51","status":"Done","ready":true,"data":{"error":null}}`,
			wantErr: `change 51: data "error": want a message, or an object with one`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			change, err := snapdhttp.DecodeChange([]byte(test.change))
			if err != nil {
				t.Fatal(err)
			}
			values, refusal, err := change.Values()
			if got := text(err); got != test.wantErr {
				t.Errorf("error is %q, want %q", got, test.wantErr)
			}
			if diff := cmp.Diff(test.values, values); diff != "" {
				t.Errorf("values differ (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.refusal, refusal); diff != "" {
				t.Errorf("refusal differs (-want +got):\n%s", diff)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestChangeFailure(t *testing.T) {
	tests := []struct{ name, change, want, hook string }{
		{
			// Seen on snapd 2.77.1, shortened.
			name: "custodian's refusal, from the task's log",
			change: `{"id":"198","kind":"set-confdb","status":"Error","ready":true,
				"err":"cannot perform the following tasks:\n- Run hook change-view-control-telemetry of snap \"cust\" (cannot change confdb ACC/network: cust rejected changes: rate too high)",
				"tasks":[{"kind":"clear-confdb-tx-on-error","status":"Undone"},
					{"kind":"run-hook","summary":"Run hook change-view-control-telemetry of snap \"cust\"","status":"Error","log":["2026-11-22T23:49:17Z INFO started",
						"2026-11-22T23:49:17Z ERROR cannot change confdb ACC/network: cust rejected changes: rate too high"]},
					{"kind":"commit-confdb-tx","status":"Hold"}]}`,
			want: "cannot change confdb ACC/network: cust rejected changes: rate too high",
			hook: "change-view-control-telemetry of cust",
		},
		{
			name: "the same without tasks, reason with brackets",
			change: `{"id":"198","status":"Error","ready":true,
				"err":"cannot perform the following tasks:\n- Run hook change-view-a of snap \"cust\" (cannot change confdb ACC/network: cust rejected changes: no (really))"}`,
			want: "cannot change confdb ACC/network: cust rejected changes: no (really)",
			hook: "change-view-a of cust",
		},
		{
			name: "two tasks failed",
			change: `{"id":"1","status":"Error","ready":true,
				"err":"cannot perform the following tasks:\n- One (first)\n- Two (second)"}`,
			want: "first",
		},
		{
			name:   "an err of another form",
			change: `{"id":"1","status":"Error","ready":true,"err":"the sky is falling"}`,
			want:   "the sky is falling",
		},
		{name: "done", change: `{"id":"1","status":"Done","ready":true,"err":"ignored"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			change, err := snapdhttp.DecodeChange([]byte(test.change))
			if err != nil {
				t.Fatal(err)
			}
			got, hook := "", ""
			if refusal := change.Failure(); refusal != nil {
				got, hook = refusal.Message, refusal.Hook
			}
			if got != test.want || hook != test.hook {
				t.Errorf("failure of %q is %q, want %q of %q", hook, got, test.want, test.hook)
			}
		})
	}
}

// FuzzAnswers: each answer is decoded or an error, never a panic and never an empty value.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{
		`{"type":"sync","status-code":200,"status":"OK","result":{"sample-rate":3}}`,
		`{"type":"async","status-code":202,"status":"Accepted","result":null,"change":"50"}`,
		`{"type":"async","status-code":202,"result":null}`,
		`{"type":"error","status-code":404,"result":{"message":"not found"}}`,
		`{"type":"error","result":null}`,
		`{"type":"sync","result":{"id":"51","status":"Done","ready":true,"data":{"values":{"a":1}}}}`,
		`{"type":"sync","result":{"id":"51","status":"Done","ready":true,"data":{"confdb-error":"no data"}}}`,
		`{"type":"sync","result":{"id":"51","status":"Error","ready":true,"err":"cannot perform the following tasks:\n- A (b)"}}`,
		`{"type":"sync","result":{"id":"51","status":"Error","tasks":[{"status":"Error","log":["x ERROR y",""]}]}}`,
		`{}`, `null`, `[]`, ``, `{"type":"sync"`, "<html>",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		response, err := snapdhttp.DecodeResponse(200, input)
		if err != nil {
			if response != nil {
				t.Error("an answer and an error")
			}
			return
		}
		if refusal := response.Refusal(); refusal != nil {
			e := snapdhttp.Explain(*refusal, snapdhttp.Request{Op: "get", View: telemetry})
			if e.Kind == nil || e.Error() == "" {
				t.Errorf("refusal %q became an empty error", refusal.Message)
			}
			return
		}
		if response.Type == snapdhttp.TypeAsync && response.Change == "" {
			t.Error("asynchronous, but without a change")
		}
		change, err := snapdhttp.DecodeChange(response.Result)
		if err != nil {
			return
		}
		values, refusal, err := change.Values()
		answers := 0
		for _, given := range []bool{values != nil, refusal != nil, err != nil} {
			if given {
				answers++
			}
		}
		if answers != 1 {
			t.Errorf("values %v, refusal %v, error %v: want exactly one", values, refusal, err)
		}
		if refusal != nil && refusal.Message == "" {
			t.Error("refusal without words")
		}
	})
}
