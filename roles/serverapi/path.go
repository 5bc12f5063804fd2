package serverapi

import (
	"encoding/json"
	"strings"
)

// JoinPath appends a name to the path of a value in a configuration, in the notation of DeviceTarget.Explain,
// Device.Differs and Change.Path: names separated by dots, such as "control-telemetry.sample-rate". "" is the
// configuration itself. A name that is empty or contains a dot or a quotation mark is quoted as in JSON.
func JoinPath(path, name string) string {
	if name == "" || strings.ContainsAny(name, `."`) {
		quoted, err := json.Marshal(name)
		if err == nil {
			name = string(quoted)
		}
	}
	if path == "" {
		return name
	}
	return path + "." + name
}
