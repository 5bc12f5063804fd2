package rest

import (
	"encoding/json"
	"errors"
	"net/http"

	"aspects-poc/internal/kit/world/facts"
)

// A reply is the answer of a handler: a result, a change or a raw body. Refusals are errors instead.
type reply struct {
	result any
	change string                      // ID of the change that has begun; "" if there is none
	raw    func(w http.ResponseWriter) // writes the whole answer
}

// An envelope is an answer of snapd, with members in snapd's order.
type envelope struct {
	Type   string `json:"type"`
	Code   int    `json:"status-code"`
	Status string `json:"status"`
	Result any    `json:"result"`
	Change string `json:"change,omitempty"`
}

type failure struct {
	Message string `json:"message"`
	Kind    string `json:"kind,omitempty"`
	Value   any    `json:"value,omitempty"`
}

// write answers with a reply or, if err is not nil, with an error.
func (s *Server) write(w http.ResponseWriter, r *http.Request, answer reply, err error) {
	if failed := s.exportFeatures(); failed != nil {
		s.log.Error(failed.Error())
	}
	var refused *facts.Error
	switch {
	case err == nil && answer.raw != nil:
		answer.raw(w)
	case err == nil && answer.change != "":
		s.send(w, http.StatusAccepted, envelope{Type: "async", Change: answer.change, Result: answer.result})
	case err == nil:
		s.send(w, http.StatusOK, envelope{Type: "sync", Result: answer.result})
	case errors.As(err, &refused):
		status := refused.Status
		if status == 0 {
			status = http.StatusInternalServerError
		}
		s.send(w, status, envelope{Type: "error", Result: failure{refused.Message, refused.Kind, refused.Value}})
	case r.Context().Err() != nil: // the client has gone, or the server stops
		s.send(w, http.StatusInternalServerError, envelope{Type: "error", Result: failure{Message: "request canceled"}})
	default:
		s.log.Warn("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
		s.send(w, http.StatusInternalServerError, envelope{Type: "error", Result: failure{Message: err.Error()}})
	}
}

func (s *Server) send(w http.ResponseWriter, status int, e envelope) {
	e.Code, e.Status = status, http.StatusText(status)
	text, err := json.Marshal(e)
	if err != nil {
		s.log.Error("answer cannot be written as JSON", "error", err)
		http.Error(w, "internal error: answer cannot be written as JSON", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // fails only if the client has gone
}

func refuse(status int, message string) *facts.Error {
	return &facts.Error{Status: status, Message: message}
}

func badRequest(message string) *facts.Error { return refuse(http.StatusBadRequest, message) }
