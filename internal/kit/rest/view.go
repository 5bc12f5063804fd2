package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/registry/backend"
)

func viewID(r *http.Request) backend.ViewID {
	return backend.ViewID{Account: r.PathValue("account"), Schema: r.PathValue("schema"), View: r.PathValue("view")}
}

func (s *Server) getView(r *http.Request) (reply, error) {
	query := r.URL.Query()
	access, err := accessTimeout(query.Get("access-timeout"), "read")
	if err != nil {
		return reply{}, err
	}
	if text := query.Get("constraints"); text != "" {
		if access.Constraints, err = constraints(text); err != nil {
			return reply{}, err
		}
	}
	change, err := s.world.Changes.Get(r.Context(), viewID(r), commaSeparated(query.Get("keys")), access)
	return reply{change: change}, err
}

func (s *Server) setView(r *http.Request) (reply, error) {
	// No UseNumber: over REST, snapd decodes numbers as floats.
	var body struct {
		Values  map[string]any `json:"values"`
		Options struct {
			AccessTimeout string `json:"access-timeout"`
		} `json:"options"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return reply{}, badRequest(fmt.Sprintf("cannot decode confdb request body: %v", err))
	}
	if len(body.Values) == 0 {
		return reply{}, badRequest("cannot write confdb: request body contains no values")
	}
	access, err := accessTimeout(body.Options.AccessTimeout, "write")
	if err != nil {
		return reply{}, err
	}
	change, err := s.world.Changes.Set(r.Context(), viewID(r), body.Values, access)
	return reply{change: change}, err
}

// delegate refuses to delegate views to remote operators: an imitated machine has no identity.
func (*Server) delegate(*http.Request) (reply, error) {
	return reply{}, refuse(http.StatusInternalServerError, "device has no identity yet")
}

// commaSeparated splits a list of names and leaves out empty ones.
func commaSeparated(texts ...string) []string {
	var names []string
	for _, text := range texts {
		for name := range strings.SplitSeq(text, ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

func accessTimeout(text, verb string) (changes.Access, error) {
	if text == "" {
		return changes.Access{}, nil
	}
	timeout, err := time.ParseDuration(text)
	if err != nil || timeout < 0 {
		return changes.Access{}, badRequest(fmt.Sprintf("cannot %s confdb: invalid access-timeout: %q", verb, text))
	}
	return changes.Access{Timeout: &timeout}, nil
}

func constraints(text string) (map[string]any, error) {
	var values map[string]any
	if err := jsonvalue.DecodeFirst([]byte(text), &values); err != nil {
		return nil, badRequest(`"constraints" must be a JSON object`)
	}
	if err := backend.CheckConstraints(values); err != nil {
		return nil, badRequest(err.Error())
	}
	return values, nil
}
