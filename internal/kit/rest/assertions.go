package rest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/kit/assertion"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/registry/confdb"
)

// assertionMedia is the media type of a stream of assertions.
const assertionMedia = "application/x.ubuntu.assertion"

func (s *Server) assertionTypes(*http.Request) (reply, error) {
	return reply{result: map[string]any{"types": assertion.Types()}}, nil
}

// assertions returns the machine's assertions of a type, sorted by name. A confdb-schema that was added without a signature
// gets a placeholder for one.
func (s *Server) assertions() ([]*assertion.Assertion, error) {
	var list []*assertion.Assertion
	for _, schema := range append(facts.Builtin(), s.world.Facts.Now().Schemas()...) {
		a, err := assertionOf(schema)
		if err != nil {
			return nil, fmt.Errorf("confdb-schema %s: %w", schema.ID(), err)
		}
		list = append(list, a)
	}
	for _, other := range s.world.Facts.Now().Assertions() {
		a, err := assertion.Decode([]byte(other.Text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", other.Name, err)
		}
		list = append(list, a)
	}
	return list, nil
}

func assertionOf(schema facts.Schema) (*assertion.Assertion, error) {
	if schema.Assertion != "" {
		return assertion.Decode([]byte(schema.Assertion))
	}
	return assertion.Unsigned(schema.Document)
}

func (s *Server) findAssertions(r *http.Request) (reply, error) {
	kind, query := r.PathValue("type"), r.URL.Query()
	if !assertion.Known(kind) {
		return reply{}, badRequest(fmt.Sprintf("invalid assert type: %q", kind))
	}
	shape := query.Get("json")
	if shape != "" && shape != "false" && shape != "true" && shape != "headers" {
		return reply{}, badRequest(`"json" query parameter when used must be set to "true" or "headers"`)
	}
	if remote := query.Get("remote"); remote != "" && remote != "false" && remote != "true" {
		return reply{}, badRequest(`"remote" query parameter when used must be set to "true" or "false" or left unset`)
	}
	if query.Get("remote") == "true" {
		return reply{}, refuse(http.StatusInternalServerError, "searching assertions failed: there is no store here; without "+
			"--remote you get what is known here")
	}
	all, err := s.assertions()
	if err != nil {
		return reply{}, err
	}
	found := slices.DeleteFunc(all, func(a *assertion.Assertion) bool {
		if a.Type() != kind {
			return true
		}
		for name := range query {
			if name != "json" && name != "remote" && name != "max-format" && a.Header(name) != query.Get(name) {
				return true
			}
		}
		return false
	})
	if shape == "true" || shape == "headers" {
		results := []map[string]any{}
		for _, a := range found {
			result := map[string]any{"headers": a.Headers()}
			if body := a.Body(); len(body) > 0 && shape == "true" {
				result["body"] = string(body)
			}
			results = append(results, result)
		}
		return reply{result: results}, nil
	}
	return reply{raw: func(w http.ResponseWriter) {
		s.sendRaw(w, assertionMedia, len(found), func(into io.Writer) error {
			var texts [][]byte
			for _, a := range found {
				texts = append(texts, a.Encode())
			}
			_, err := into.Write(bytes.Join(texts, []byte("\n")))
			return err
		})
	}}, nil
}

func (s *Server) sendRaw(w http.ResponseWriter, media string, count int, write func(io.Writer) error) {
	w.Header().Set("Content-Type", media)
	w.Header().Set("X-Ubuntu-Assertions-Count", strconv.Itoa(count))
	w.WriteHeader(http.StatusOK)
	if err := write(w); err != nil {
		s.log.Debug("client has gone", "error", err)
	}
}

// acknowledge adds the assertions that `snap ack` sends: all of a stream, or none.
func (s *Server) acknowledge(r *http.Request) (reply, error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return reply{}, badRequest(fmt.Sprintf("cannot decode request body into assertions: %v", err))
	}
	list, err := assertion.DecodeAll(text)
	if err != nil {
		return reply{}, badRequest(fmt.Sprintf("cannot decode request body into assertions: %v", err))
	}
	var schemas []facts.Schema
	var others []facts.Assertion
	for _, a := range list {
		var schema facts.Schema
		switch a.Type() {
		case "confdb-schema":
			schema, err = s.admit(a)
			schemas = append(schemas, schema)
		case "account-key":
			_, err = assertion.ReadKey(a.Encode())
			others = append(others, factOf(a))
		default:
			// The store signs these, and its keys are unknown here. The assertion is listed, but has no effect.
			others = append(others, factOf(a))
		}
		if err != nil {
			return reply{}, badRequest("assert failed: " + err.Error())
		}
	}
	if err := s.world.Facts.Update(func(d *facts.Draft) error { return d.Acknowledge(schemas, others) }); err != nil {
		var refused *facts.Error
		if errors.As(err, &refused) {
			return reply{}, badRequest("assert failed: " + refused.Message)
		}
		return reply{}, err
	}
	return reply{}, s.standIn()
}

// factOf returns an assertion in the form that package facts stores.
func factOf(a *assertion.Assertion) facts.Assertion {
	return facts.Assertion{Name: a.String(), Revision: a.Revision(), Text: string(a.Encode())}
}

// admit checks a confdb-schema before it is acknowledged.
func (s *Server) admit(a *assertion.Assertion) (facts.Schema, error) {
	schema, err := Parse(a)
	if err != nil {
		return facts.Schema{}, err
	}
	if !s.options.Unsigned {
		if err := s.options.Keys.Check(a); err != nil {
			unknown := (*assertion.UnknownKeyError)(nil)
			if errors.As(err, &unknown) {
				err = fmt.Errorf("cannot resolve prerequisite assertion: account-key (%s)", unknown.Key)
			}
			return facts.Schema{}, err
		}
	}
	return schema, nil
}

// Parse reads the confdb-schema in an assertion. It does not verify the signature.
func Parse(a *assertion.Assertion) (facts.Schema, error) {
	if authority, account := a.Header("authority-id"), a.Header("account-id"); authority != account {
		return facts.Schema{}, fmt.Errorf("authority-id and account-id must match, confdb-schema assertions are expected to "+
			"be signed by the issuer account: %q != %q", authority, account)
	}
	document, err := a.Document()
	if err != nil {
		return facts.Schema{}, err
	}
	parsed, err := confdb.ParseDocument(document)
	if err != nil {
		return facts.Schema{}, fmt.Errorf("assertion confdb-schema: %w", err)
	}
	return facts.Schema{Parsed: parsed, Document: document, Assertion: string(a.Encode())}, nil
}

// ParseSchema reads a confdb-schema from a file's text: an assertion, or the JSON that is the input of `snap sign`. It does
// not verify signatures. It returns the errors of packages assertion and confdb.
func ParseSchema(text []byte) (facts.Schema, error) {
	if strings.HasPrefix(strings.TrimSpace(string(text)), "{") {
		parsed, err := confdb.ParseDocument(text)
		if err != nil {
			return facts.Schema{}, err
		}
		return facts.Schema{Parsed: parsed, Document: text}, nil
	}
	a, err := assertion.Decode(text)
	if err != nil {
		return facts.Schema{}, err
	}
	return Parse(a)
}
