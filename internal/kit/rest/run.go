package rest

import "net/http"

// A Program is the command line and the environment of an app of a snap.
type Program struct {
	Args []string `json:"args"`
	Env  []string `json:"env"`
}

// Programs returns the Programs of apps.
type Programs interface {
	// Program returns the Program for an app with arguments. name is SNAP.APP or SNAP. asShell replaces the app by a shell.
	Program(name string, asShell bool, arguments []string) (Program, error)
}

// RunPath is an endpoint that snapd does not have. It returns the Program of an app to `aspects-poc registry run`, because `snap run`
// needs snapd's own files, which an imitated machine lacks.
const RunPath = "/v2/imitation/run"

func (s *Server) program(r *http.Request) (reply, error) {
	if s.options.Programs == nil {
		return reply{}, refuse(http.StatusNotImplemented, "no apps are run here: aspects-poc registry dev runs snaps from their source")
	}
	query := r.URL.Query()
	program, err := s.options.Programs.Program(query.Get("name"), query.Get("shell") == "true", query["arg"])
	return reply{result: program}, err
}
