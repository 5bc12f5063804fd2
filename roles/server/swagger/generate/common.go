package main

import "strings"

// pathOrder is the order of the paths for readers: what an operator reads and sets, the history, the server, and last
// what only devices call.
var pathOrder = []string{"/devices/", "/devices/{uuid}/", "/devices/{uuid}/target/", "/devices/{uuid}/labels/", "/devices/{uuid}/name/",
	"/devices/{uuid}/stats/", "/devices/{uuid}/approve/", "/devices/{uuid}/revoke/", "/devices/{uuid}/cloned/", "/revoked-keys/",
	"/revoked-keys/{key}/", "/state/{uuid}/",
	"/targets/", "/targets/everyone/", "/targets/labels/{name}/", "/targets/devices/{uuid}/", "/target-config/", "/schema/",
	"/secrets/", "/secrets/{name}/", "/signature/", "/history/", "/history/{revision}/", "/history/{revision}/diff/", "/history/{revision}/restore/",
	"/secrets/", "/secrets/{name}/", "/history/", "/history/{revision}/", "/history/{revision}/diff/", "/history/{revision}/restore/",
	"/releases/", "/releases/{id}/", "/releases/{id}/go/", "/releases/{id}/halt/", "/releases/{id}/undo/",
	"/whoami/", "/tokens/", "/tokens/{name}/", "/audit/",
	"/summary/", "/events/", "/healthz", "/readyz", "/register/", "/poll/", "/keys/"}

// methodOrder is the order of a path's operations: reads first, removals last.
var methodOrder = []string{"get", "put", "post", "patch", "delete"}

var tags = []object{
	{"name": "devices", "description": "The devices, their states and reports"},
	{"name": "target", "description": "The configuration for devices, in layers"},
	{"name": "history", "description": "Changes of targets, labels and names, and how to restore them"},
	{"name": "releases", "description": "Changes that devices get in stages"},
	{"name": "access", "description": "Who may do what, and who did what"},
	{"name": "server", "description": "The fleet as a whole, and the server itself"},
	{"name": "device", "description": "Requests of devices, signed with their keys"},
}

// securitySchemes are the ways in which callers authenticate.
var securitySchemes = object{
	"token": object{"type": "http", "scheme": "bearer",
		"description": "An operator's token, printed by `aspects-poc server token create NAME`."},
	"password": object{"type": "http", "scheme": "basic",
		"description": "The same token as a password, for browsers. The user name can be any text."},
	"signature": object{"type": "http", "scheme": "signature",
		"description": "A device signs its requests with its own key (RFC 9421); docs/access.md says how. Devices that never " +
			"signed need nothing where the server runs with --allow-unsigned."},
}

// The kinds of callers.
const (
	operator = "operator"
	device   = "device"
	anyone   = "anyone"
)

// security returns the credentials of each kind of caller. {} means none in OpenAPI: an operator on the server's
// machine needs none until there is a token.
var security = map[string][]object{
	operator: {{"token": []any{}}, {"password": []any{}}, {}},
	device:   {{"signature": []any{}}, {}},
	anyone:   {},
}

// callerOf returns the kind of caller of an operation. A test of the API compares it with the route table.
func callerOf(operation string) string {
	switch operation {
	case "register-device", "poll", "replace-key":
		return device
	case "healthz", "readyz":
		return anyone
	}
	return operator
}

// commonResponses returns the errors that all operations of a caller and a method share.
func commonResponses(caller, method string) map[string]string {
	common := map[string]string{
		"422":     "A query parameter or a body is not allowed here; nothing is changed",
		"default": "Any other error, such as a method that the path does not have",
	}
	switch {
	case caller == device:
		common["429"] = "The device sends too many requests; Retry-After says when to try again"
	case caller == operator && method == "get":
		common["403"] = "The server has no token yet, and the caller is on another machine"
	case caller == operator:
		common["412"] = "If-Match or If-None-Match does not hold"
	}
	return common
}

// headersOf returns the headers that an answer has in addition to its body; nil for none.
func headersOf(code, operation string) object {
	header := func(kind, text string) object {
		return object{"description": text, "schema": object{"type": kind}}
	}
	headers := object{}
	if code == "503" || code == "429" {
		headers["Retry-After"] = header("integer", "Seconds to wait before the next request")
	}
	if code == "401" {
		headers["WWW-Authenticate"] = header("string", "The schemes that the server accepts")
	}
	layered := strings.HasSuffix(operation, "-layer") || strings.HasSuffix(operation, "-everyone") ||
		strings.HasSuffix(operation, "-target") && operation != "get-device-target" || operation == "restore" ||
		operation == "put-secret"
	if layered && (code == "200" && !strings.HasPrefix(operation, "delete") || code == "304") {
		headers["ETag"] = header("string", "The revision, in quotes; not on a dry run")
	}
	if code[0] == '2' && (operation == "poll" || operation == "register-device") {
		headers["Poll-Interval"] = header("integer", "Seconds between polls")
	}
	if code[0] == '2' && operation == "poll" {
		headers["Preference-Applied"] = header("string", "wait=SECONDS: the longest time that the server waited")
		headers["Report-Sequence"] = header("integer", "The sequence of the last stored report, if this report was older")
	}
	if len(headers) == 0 {
		return nil
	}
	return headers
}
