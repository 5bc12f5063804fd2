package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"strings"
)

// A Trier installs snaps from folders.
type Trier interface {
	// Try begins to install the snap in a folder, or to refresh it, as `snap try` does, and returns the ID of the change.
	Try(ctx context.Context, dir string) (change string, err error)
}

// changeSnap does something to a snap: without a store it can be removed.
func (s *Server) changeSnap(r *http.Request) (reply, error) {
	var body struct {
		Action string `json:"action"`
		Purge  bool   `json:"purge"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return reply{}, badRequest(fmt.Sprintf("cannot decode request body into snap instruction: %v", err))
	}
	name := r.PathValue("name")
	if body.Action != "remove" {
		return reply{}, cannot(body.Action, name)
	}
	change, err := s.world.BeginRemove(body.Purge, name)
	return reply{change: change}, err
}

// changeSnaps does something to several snaps, or takes one that is sent, or lies in a folder.
func (s *Server) changeSnaps(r *http.Request) (reply, error) {
	media, parameters, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if strings.HasPrefix(media, "multipart/") {
		return s.sideload(r, parameters["boundary"])
	}
	var body struct {
		Action string   `json:"action"`
		Snaps  []string `json:"snaps"`
		Purge  bool     `json:"purge"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return reply{}, badRequest(fmt.Sprintf("cannot decode request body into snap instruction: %v", err))
	}
	switch {
	case body.Action != "remove":
		return reply{}, cannot(body.Action, strings.Join(body.Snaps, " "))
	case len(body.Snaps) == 0:
		return reply{}, badRequest("cannot remove snaps: none is named")
	}
	change, err := s.world.BeginRemove(body.Purge, body.Snaps...)
	return reply{change: change, result: map[string]any{"snap-names": body.Snaps}}, err
}

// sideload takes the form that `snap try` and `snap install FILE` send.
func (s *Server) sideload(r *http.Request, boundary string) (reply, error) {
	form, err := readForm(multipart.NewReader(r.Body, boundary))
	if err != nil {
		return reply{}, badRequest(fmt.Sprintf("cannot read POST form: %v", err))
	}
	const nowhere = "no hooks are run here: aspects-poc registry dev runs snaps from their source, and takes `snap try DIR`"
	switch dir := form["snap-path"]; {
	case form["action"] != "try" && s.options.Try == nil:
		return reply{}, refuse(http.StatusNotImplemented, "cannot install a snap file: "+nowhere)
	case form["action"] != "try":
		return reply{}, refuse(http.StatusNotImplemented, "cannot install a snap file: unpack it (unsquashfs -d DIR FILE) and "+
			"add the folder with `snap try DIR`")
	case s.options.Try == nil:
		return reply{}, refuse(http.StatusNotImplemented, "cannot try a snap: "+nowhere)
	case dir == "":
		return reply{}, badRequest("need 'snap-path' value in form")
	case !filepath.IsAbs(dir):
		return reply{}, badRequest(fmt.Sprintf("cannot try %q: path is not absolute", dir))
	default:
		change, err := s.options.Try.Try(r.Context(), dir)
		return reply{change: change}, err
	}
}

// fieldLimit bounds what is kept of a field of a form.
const fieldLimit = 8 << 10

// readForm reads the fields of a form; of files only that they are there.
func readForm(parts *multipart.Reader) (map[string]string, error) {
	form := map[string]string{}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return form, nil
		}
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(io.LimitReader(part, fieldLimit))
		if err == nil {
			_, err = io.Copy(io.Discard, part) // or the client would not come to read the answer
		}
		if err != nil {
			return nil, err
		}
		if part.FileName() == "" {
			form[part.FormName()] = string(text)
		}
	}
}
