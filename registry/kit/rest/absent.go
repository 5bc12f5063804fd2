package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"aspects-poc/registry/kit/world"
)

// What an imitated machine has none of is answered as by a snapd that has none of it: clients that list all there is, as
// the snap command does, are not told of an error.

func none(*Server, *http.Request) (reply, error) { return reply{result: []any{}}, nil }

func noAliases(*Server, *http.Request) (reply, error) { return reply{result: map[string]any{}}, nil }

func noValidationSet(*Server, *http.Request) (reply, error) {
	return reply{}, &world.Error{Status: http.StatusNotFound, Kind: "validation-set-not-found", Message: "validation set not found"}
}

func noStore(*Server, *http.Request) (reply, error) {
	return reply{}, refuse(http.StatusInternalServerError, "there is no store here")
}

// changeSnap removes a snap, which is all that can be done to one without a store.
func (s *Server) changeSnap(r *http.Request) (reply, error) {
	var body struct {
		Action string `json:"action"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return reply{}, badRequest(fmt.Sprintf("cannot decode request body into snap instruction: %v", err))
	}
	name := r.PathValue("name")
	if body.Action != "remove" {
		return reply{}, badRequest(fmt.Sprintf("cannot %s %q: there is no store here: aspects-poc registry dev installs "+
			"snaps from their source", plainAction(body.Action), name))
	}
	if _, err := s.world.Snap(name); err != nil {
		return reply{}, &world.Error{Status: http.StatusNotFound, Kind: world.KindSnapNotFound, Value: name,
			Message: fmt.Sprintf("snap %q is not installed", name)}
	}
	change, err := s.world.BeginRemove(name)
	return reply{change: change}, err
}

func plainAction(action string) string {
	if slices.Contains([]string{"install", "refresh", "revert", "enable", "disable", "switch", "hold", "unhold"}, action) {
		return action
	}
	return "do that to"
}

// changeSnaps refuses what is done to several snaps at once, and the upload of a snap.
func changeSnaps(*Server, *http.Request) (reply, error) {
	return reply{}, badRequest("cannot install, refresh or remove several snaps: aspects-poc registry dev installs snaps " +
		"from their source")
}
