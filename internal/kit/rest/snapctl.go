package rest

import (
	"encoding/json"
	"fmt"
	"net/http"

	"aspects-poc/internal/kit/world/snapctl"
)

// nobody is the ID of the user without any rights.
const nobody = 65534

func (s *Server) snapctl(r *http.Request) (reply, error) {
	var body struct {
		Context string   `json:"context-id"`
		Args    []string `json:"args"`
		Stdin   []byte   `json:"stdin"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return reply{}, badRequest(fmt.Sprintf("cannot decode snapctl request: %v", err))
	}
	if len(body.Args) == 0 {
		return reply{}, badRequest("snapctl cannot run without args")
	}
	caller, _ := peerOf(r.Context())
	uid := caller.uid
	switch {
	case s.options.Root(uid):
		uid = 0
	case uid == 0:
		uid = nobody // the real root is no administrator here
	}
	output, err := s.world.Snapctl.Run(r.Context(), snapctl.Call{Cookie: body.Context, UID: uid, Args: body.Args})
	if err != nil {
		return reply{}, err
	}
	return reply{result: map[string]string{"stdout": output.Stdout, "stderr": output.Stderr}}, nil
}
