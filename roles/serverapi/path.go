package serverapi

import "aspects-poc/internal/jsonvalue"

// JoinPath appends a name to the path of a value in a configuration, in the notation of DeviceTarget.Explain,
// Device.Differs and Change.Path: names separated by dots, such as "control-telemetry.sample-rate". "" is the
// configuration itself. A name that is empty or contains a dot or a quotation mark is quoted as in JSON.
func JoinPath(path, name string) string {
	return jsonvalue.JoinPath(path, name)
}
