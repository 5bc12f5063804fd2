package rest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"

	"aspects-poc/internal/kit/world/facts"
)

// core is the name of the system's options in messages. "system" is its alias in requests.
const core = "core"

func confName(r *http.Request) string {
	if name := r.PathValue("name"); name != "system" {
		return name
	}
	return core
}

func (s *Server) getConf(r *http.Request) (reply, error) {
	name := confName(r) // as on snapd, an unknown snap has no options and is no error
	config := s.world.Facts.Now().Config(name)
	if name == core { // an imitated machine has no seed to load
		config = maps.Clone(config)
		config["seed"] = map[string]any{"loaded": true}
	}
	keys := commaSeparated(r.URL.Query().Get("keys"))
	if len(keys) == 0 {
		if config == nil {
			config = map[string]any{}
		}
		return reply{result: config}, nil
	}
	found := map[string]any{}
	for _, key := range keys {
		value, there := facts.Option(config, key)
		if !there {
			key = facts.MissingOption(config, key)
			return reply{}, &facts.Error{Status: http.StatusBadRequest, Kind: facts.KindOptionNotFound,
				Message: fmt.Sprintf("snap %q has no %q configuration option", name, key),
				Value:   map[string]any{"SnapName": name, "Key": key}}
		}
		found[key] = value
	}
	return reply{result: found}, nil
}

func (s *Server) setConf(r *http.Request) (reply, error) {
	name := confName(r)
	decoder := json.NewDecoder(r.Body)
	decoder.UseNumber()
	var values map[string]any
	if err := decoder.Decode(&values); err != nil {
		return reply{}, badRequest(fmt.Sprintf("cannot decode request body into patch values: %v", err))
	}
	change, err := s.world.Changes.Configure(name, values)
	return reply{change: change}, err
}
