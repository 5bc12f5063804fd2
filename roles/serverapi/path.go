package serverapi

import (
	"encoding/json"
	"strings"
)

// JoinPath adds a name to the path of a value in a configuration, as DeviceTarget.Explain, Device.Differs and Change.Path
// write it: names with dots between them, such as "control-telemetry.sample-rate"; "" is the configuration itself. A name
// that is empty or has a dot or a quotation mark itself is quoted as JSON does it.
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
