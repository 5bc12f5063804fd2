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
	"os"
	"path/filepath"
	"strings"
)

// An Installer installs snaps that are not in the store. Each method begins to, or to refresh one, and returns the ID of the
// change.
type Installer interface {
	// Try takes the snap in a folder, as `snap try` does.
	Try(ctx context.Context, dir string) (change string, err error)
	// InstallFile takes a packed snap, as `snap install FILE` does. The file is gone when it returns. instance is the name of
	// a parallel instance, "" for the snap's own; devmode says that it was asked for without confinement.
	InstallFile(ctx context.Context, file, instance string, devmode bool) (change string, err error)
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
	change, err := s.world.Changes.Remove(body.Purge, name)
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
	change, err := s.world.Changes.Remove(body.Purge, body.Snaps...)
	return reply{change: change, result: map[string]any{"snap-names": body.Snaps}}, err
}

// nowhere is said where nobody installs anything.
const nowhere = "no hooks are run here: aspects-poc registry dev runs snaps from their source, and takes `snap try DIR` and " +
	"`snap install FILE`"

// sideload takes the form that `snap try` and `snap install FILE` send.
func (s *Server) sideload(r *http.Request, boundary string) (reply, error) {
	form, err := readForm(multipart.NewReader(r.Body, boundary), s.options.Install != nil)
	if form != nil {
		defer form.forget()
	}
	if err != nil {
		return reply{}, badRequest(fmt.Sprintf("cannot read POST form: %v", err))
	}
	var change string
	switch dir := form.fields["snap-path"]; {
	case s.options.Install == nil:
		return reply{}, refuse(http.StatusNotImplemented, "cannot install a snap: "+nowhere)
	case form.fields["action"] == "try" && dir == "":
		return reply{}, badRequest("need 'snap-path' value in form")
	case form.fields["action"] == "try" && !filepath.IsAbs(dir):
		return reply{}, badRequest(fmt.Sprintf("cannot try %q: path is not absolute", dir))
	case form.fields["action"] == "try":
		change, err = s.options.Install.Try(r.Context(), dir)
	case len(form.files) == 0:
		return reply{}, badRequest(`cannot find "snap" file field in provided multipart/form-data payload`)
	case len(form.files) > 1:
		return reply{}, refuse(http.StatusNotImplemented, "cannot install several snap files at once: install one after the other")
	default:
		change, err = s.options.Install.InstallFile(r.Context(), form.files[0], form.fields["name"], form.fields["devmode"] == "true")
	}
	return reply{change: change}, err
}

// fieldLimit bounds what is kept of a field of a form, and fileLimit how long a file may be.
const (
	fieldLimit = 8 << 10
	fileLimit  = 4 << 30
)

// A form is what was sent as one.
type form struct {
	fields map[string]string
	dir    string   // of files; "" if there are none
	files  []string // those that are snaps
}

// forget removes the files.
func (f *form) forget() {
	if f.dir != "" {
		_ = os.RemoveAll(f.dir) // in the system's folder for such
	}
}

// readForm reads a form. Files are kept only if somebody wants them; they are read in any case, as the client would not come
// to read the answer.
func readForm(parts *multipart.Reader, keep bool) (*form, error) {
	f := &form{fields: map[string]string{}}
	for {
		part, err := parts.NextPart()
		switch {
		case errors.Is(err, io.EOF):
			return f, nil
		case err != nil:
			return f, err
		case part.FileName() == "":
			var text []byte
			text, err = io.ReadAll(io.LimitReader(part, fieldLimit))
			f.fields[part.FormName()] = string(text)
		case keep && part.FormName() == "snap":
			err = f.keep(part)
		}
		if err == nil {
			_, err = io.Copy(io.Discard, part)
		}
		if err != nil {
			return f, err
		}
	}
}

// keep writes a file that is sent.
func (f *form) keep(part *multipart.Part) (err error) {
	if f.dir == "" {
		if f.dir, err = os.MkdirTemp("", "aspects-poc-snap-"); err != nil {
			return err
		}
	}
	path := filepath.Join(f.dir, fmt.Sprintf("%d.snap", len(f.files)))
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	f.files = append(f.files, path)
	if n, err := io.Copy(file, io.LimitReader(part, fileLimit)); err != nil || n == fileLimit {
		return errors.Join(err, fmt.Errorf("%s cannot be kept: %d bytes were read", part.FileName(), n))
	}
	return nil
}
