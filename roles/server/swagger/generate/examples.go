package main

import (
	"net/http"
	"strconv"
)

const exampleID = "ca155b32-2472-4650-afb0-c6f967328afe"

// requests lists the schemas of bodies, which allow no further members.
var requests = []string{"RegisterRequest", "PollRequest", "Report", "Running", "Attempted", "Document", "LayerRequest", "SecretRequest", "NameRequest"}

// parameters are the examples of parameters, by name. "Try it out" begins with them.
var parameters = map[string]any{
	"uuid": exampleID, "name": "berlin", "revision": 1, "limit": 100, "selector": "site=berlin,stage!=test",
}

// exampleKey is a valid public key. Nobody has its private key.
const exampleKey = "-----BEGIN PUBLIC KEY-----\n" +
	"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA0Hpm24KliZhoRew/F3Eu\n" +
	"uSvJNfWfJyn3O4ZNSjW+z4wyXzXO8kel6u4kE+XB8yj5jf47pOdOgIPvOJfuwO0Q\n" +
	"BP5b6Zsm4Vq1wSJbbcCubv+qKmE8BkSu+G1a0oJdEc4jCmHf6GcYgxylL+swho6v\n" +
	"U76baDjrXr2tsWzO2LAITXzsM6EPao2JD3pWDUHLSFLjsv/0dIkkbF3g6oK5c3gH\n" +
	"vmcZfLfVMa8xzUNUf95CArwo0APBkE0uE2iCT1AwRv7v5hvtQpENSqYipMd+co06\n" +
	"D+P7EXuZM8JqHFcqoZldNiQKUnHcDpT08R6nzvc9fZE4A1oF9NscZIhoJL6jxInn\n" +
	"DQIDAQAB\n" +
	"-----END PUBLIC KEY-----\n"

// examples are the examples of bodies. "Try it out" begins with them.
var examples = map[string]object{
	"RegisterRequest": {"ip-address": "192.0.2.7", "public-key-rsa": exampleKey, "arch": "amd64"},
	"RegisterResponse": {"uuid": exampleID, "registered": 1719407517,
		"ip-address": "192.0.2.7", "public-key-rsa": exampleKey, "arch": "amd64"},
	"PollRequest": {"uuid": exampleID, "config": exampleConfig(2)},
	"Document":    {"config": exampleConfig(4)},
	"Offer": {"config": exampleConfig(4), "revision": 5,
		"hash": "sha-256=RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o="},
	"LayerRequest":  {"config": exampleConfig(4)},
	"SecretRequest": {"value": "correct horse battery staple"},
	"LabelsPatch":   {"site": "berlin", "stage": nil},
	"NameRequest":   {"name": "lobby"},
	"State": {"registered": 1719407517, "ip-address": "192.0.2.7", "public-key-rsa": exampleKey, "arch": "amd64",
		"config": exampleConfig(2)},
}

func exampleConfig(rate int) object {
	return object{"control-telemetry": object{"sample-rate": rate, "monitor-peers": true}}
}

// descriptions are the descriptions of schemas whose Go types cannot have one.
var descriptions = map[string]string{
	"Config": "A configuration: names of confdb views, each with the values that the view shows. Any JSON object is " +
		"carried, nested up to 128 levels; numbers keep their digits.",
	"Problem": "A problem detail (RFC 9457)",
}

// problemExample returns an example of an operation's error.
func problemExample(code, operation string) object {
	status, err := strconv.Atoi(code)
	if err != nil {
		return object{}
	}
	example := object{"title": http.StatusText(status), "status": status}
	field := func(name, message string) {
		example["detail"] = name + " " + message
		example["errors"] = []object{{"field": name, "message": message}}
	}
	switch status {
	case http.StatusBadRequest:
		example["detail"] = "Agent not registered"
		if operation == "get-state" {
			example["detail"] = "Agent registration not found"
		}
	case http.StatusUnauthorized:
		example["detail"] = "An operator's token is needed"
	case http.StatusNotFound:
		example["detail"] = "There is no such device"
	case http.StatusPreconditionFailed:
		example["type"] = "urn:aspects-poc:problem:stale"
		example["detail"] = `If-Match: "5" does not hold: the layer has the ETag "7"`
	case http.StatusConflict:
		example["detail"] = map[string]string{
			"delete-secret": "cannot delete the secret vpn: it is named in everyone; change these layers first",
			"delete-device": "The server remembers as many keys of removed, revoked devices as it may; allow those that are no danger " +
				"any more (GET and DELETE /revoked-keys/), then delete this device",
			"replace-key": "Another device has this key",
		}[operation]
	case http.StatusTooManyRequests:
		example["detail"] = "This device sends more requests than the server remembers; try again in a moment"
	case http.StatusForbidden:
		example["detail"] = "Pages of other sites may not change anything here"
	case http.StatusRequestEntityTooLarge:
		example["detail"] = "The body must not be larger than 1048576 bytes"
	case http.StatusUnsupportedMediaType:
		example["detail"] = `Content-Type must be application/json in UTF-8, not "text/plain"`
	case http.StatusServiceUnavailable:
		example["detail"] = "The server cannot use its state; its log says why"
	default:
		switch operation {
		case "register-device":
			field("ip-address", "is missing")
		case "put-secret":
			field("value", "must not be null: to unset a value, write null into the layer")
		case "delete-secret":
			field("name", "cannot be used: a secret's name must be letters and digits of ASCII, and ._-/ between them, not \"a b\"")
		case "get-state":
			field("uuid", `must be a UUID, not "7"`)
		case "get-summary", "get-events", "healthz", "readyz", "list-devices":
			field("selektor", "is no parameter of this request; did you mean selector?")
		default:
			field("config", "must be an object, not an array")
		}
	}
	return example
}
