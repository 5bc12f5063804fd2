package rest

import "net/http"

// A Program is what is executed for an app of a snap.
type Program struct {
	Args []string `json:"args"`
	Env  []string `json:"env"`
}

// Programs knows how the apps of snaps are run.
type Programs interface {
	// Program says how to run an app, named SNAP.APP or SNAP, or a shell in its place, with arguments.
	Program(name string, asShell bool, arguments []string) (Program, error)
}

// RunPath is an endpoint that snapd does not have: `snap run` works with snapd's own files, which are not here, so that
// `aspects-poc registry run` asks there how to run an app.
const RunPath = "/v2/imitation/run"

func (s *Server) program(r *http.Request) (reply, error) {
	if s.options.Programs == nil {
		return reply{}, refuse(http.StatusNotImplemented, "no apps are run here: aspects-poc registry dev runs snaps from their source")
	}
	query := r.URL.Query()
	program, err := s.options.Programs.Program(query.Get("name"), query.Get("shell") == "true", query["arg"])
	return reply{result: program}, err
}
