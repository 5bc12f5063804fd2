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

// An Installer installs or refreshes snaps that do not come from the store. Each method begins a change and returns its ID.
type Installer interface {
	// Try begins to install the snap in a folder, as `snap try` does.
	Try(ctx context.Context, dir string) (change string, err error)
	// InstallFile begins to install a packed snap, as `snap install FILE` does. The server removes the file when InstallFile
	// returns. instance is the name of a parallel instance, or "" for the snap's own name. devmode asks for no confinement.
	InstallFile(ctx context.Context, file, instance string, devmode bool) (change string, err error)
}

// changeSnap performs an action on a snap. Only remove works without a store.
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

// changeSnaps removes several snaps, or installs one from a form.
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

// noInstaller is the reason of refusals if there is no Installer.
const noInstaller = "no hooks are run here: aspects-poc registry dev runs snaps from their source, and takes `snap try DIR` and " +
	"`snap install FILE`"

// sideload installs a snap from the form that `snap try` and `snap install FILE` send.
func (s *Server) sideload(r *http.Request, boundary string) (reply, error) {
	form, err := readForm(multipart.NewReader(r.Body, boundary), s.options.Install != nil)
	if form != nil {
		defer form.remove()
	}
	if err != nil {
		return reply{}, badRequest(fmt.Sprintf("cannot read POST form: %v", err))
	}
	var change string
	switch dir := form.fields["snap-path"]; {
	case s.options.Install == nil:
		return reply{}, refuse(http.StatusNotImplemented, "cannot install a snap: "+noInstaller)
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

// The limits of a form in bytes: fieldLimit cuts a field off, fileLimit refuses a file.
const (
	fieldLimit = 8 << 10
	fileLimit  = 4 << 30
)

// A form is a multipart form that was received.
type form struct {
	fields map[string]string
	dir    string   // of files; "" if there are none
	files  []string // packed snaps
}

// remove removes the files.
func (f *form) remove() {
	if f.dir != "" {
		_ = os.RemoveAll(f.dir) // the system cleans up its folder for temporary files
	}
}

// readForm reads a form to its end, because a client reads the answer only after it has sent everything. It stores the
// packed snaps in files if store is true.
func readForm(parts *multipart.Reader, store bool) (*form, error) {
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
		case store && part.FormName() == "snap":
			err = f.store(part)
		}
		if err == nil {
			_, err = io.Copy(io.Discard, part)
		}
		if err != nil {
			return f, err
		}
	}
}

// store writes a part to a file.
func (f *form) store(part *multipart.Part) (err error) {
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
		return errors.Join(err, fmt.Errorf("cannot store %s: %d bytes were read", part.FileName(), n))
	}
	return nil
}
