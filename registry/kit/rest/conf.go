package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"aspects-poc/registry/kit/world"
)

// core is the name that the system's options have in messages; "system" is another name of it.
const core = "core"

func confName(r *http.Request) string {
	if name := r.PathValue("name"); name != "system" {
		return name
	}
	return core
}

func (s *Server) getConf(r *http.Request) (reply, error) {
	name := confName(r)
	if name != core {
		if _, err := s.world.Snap(name); err != nil {
			return reply{}, err
		}
	}
	config := s.world.Config(name)
	keys := commaSeparated(r.URL.Query().Get("keys"))
	if len(keys) == 0 {
		if config == nil {
			config = map[string]any{}
		}
		return reply{result: config}, nil
	}
	found := map[string]any{}
	for _, key := range keys {
		value, there := option(config, key)
		if !there {
			if len(keys) > 1 {
				continue
			}
			return reply{}, &world.Error{Status: http.StatusBadRequest, Kind: world.KindOptionNotFound,
				Message: fmt.Sprintf("snap %q has no %q configuration option", name, key),
				Value:   map[string]any{"SnapName": name, "Key": key}}
		}
		found[key] = value
	}
	return reply{result: found}, nil
}

// option finds an option by its path with dots.
func option(config map[string]any, key string) (value any, found bool) {
	value = config
	for part := range strings.SplitSeq(key, ".") {
		object, ok := value.(map[string]any)
		if !ok {
			return nil, false
		}
		if value, found = object[part]; !found {
			return nil, false
		}
	}
	return value, true
}

func (s *Server) setConf(r *http.Request) (reply, error) {
	name := confName(r)
	decoder := json.NewDecoder(r.Body)
	decoder.UseNumber()
	var values map[string]any
	if err := decoder.Decode(&values); err != nil {
		return reply{}, badRequest(fmt.Sprintf("cannot decode request body into patch values: %v", err))
	}
	change, err := s.world.BeginConfigure(name, values)
	return reply{change: change}, err
}
