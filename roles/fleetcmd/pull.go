package fleetcmd

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"aspects-poc/internal/durable"
	"aspects-poc/internal/jsonvalue"
	"aspects-poc/roles"
	"aspects-poc/roles/fleetcmd/folder"
	"aspects-poc/roles/serverapi"

	"github.com/urfave/cli/v2"
)

func pull(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "pull", Usage: "write the server's layers into a folder of YAML", ArgsUsage: "DIR",
		Description: "Makes the files of a folder have what the server has. In a file that exists only the values that differ are " +
			"changed: comments, order and variables stay. Secrets are written as markers, with which fleet apply keeps them. Files " +
			"of layers that the server does not have stay, unless --prune is given.",
		UsageText: "aspects-poc fleet pull fleet",
		Flags:     []cli.Flag{&cli.BoolFlag{Name: "prune", Usage: "delete the files of layers that the server does not have"}},
	}, 1, 1, func(s *session, args []string) error {
		return s.pull(args[0])
	})
}

// A pulled is the result for one file.
type pulled struct {
	File   string `json:"file"`
	Layer  string `json:"layer"`
	Action string `json:"action"` // written, changed, unchanged, deleted, left
}

// pull writes the server's layers to a folder.
func (s *session) pull(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("cannot make the folder: %w", err)
	}
	read, err := readFolder(dir)
	if err != nil {
		return err
	}
	defer s.busy("reading the devices and layers of the server")()
	there, err := read.Layers(func(named string) (folder.Device, error) {
		device, err := s.folderDevice(named)
		if isMissing(err) { // the device has another name or was deleted: the file has no layer
			return folder.Device{ID: named, Name: named}, nil
		}
		return device, err
	})
	if err != nil {
		return inFolder(dir, err)
	}
	files := map[string]*folder.Layer{}
	taken := map[string]bool{}
	for i, layer := range there {
		files[layer.Name] = &there[i]
		taken[layer.File.Path] = true
	}
	list := []pulled{}
	for layer, err := range s.client.Layers(s) {
		if err != nil {
			return err
		}
		content, err := contentOf(layer)
		if err != nil {
			return err
		}
		present := files[layer.Layer]
		delete(files, layer.Layer)
		action := "written"
		if present != nil {
			content.Path, content.Device, action = present.File.Path, present.File.Device, "unchanged"
		} else if taken[content.Path] {
			return fmt.Errorf("cannot write %s for the layer %s: the file has another layer; rename it", content.Path, layer.Layer)
		}
		changed, err := read.Write(content, present)
		if err != nil {
			return fmt.Errorf("cannot write the folder: %w", err)
		}
		if changed && present != nil {
			action = "changed"
		}
		list = append(list, pulled{content.Path, layer.Layer, action})
	}
	for name, layer := range files {
		action := "left"
		if s.c.Bool("prune") {
			if err := durable.Remove(filepath.Join(dir, filepath.FromSlash(layer.File.Path))); err != nil {
				return fmt.Errorf("cannot delete a file of the folder: %w", err)
			}
			action = "deleted"
		}
		list = append(list, pulled{layer.File.Path, name, action})
	}
	slices.SortFunc(list, func(a, b pulled) int { return strings.Compare(a.File, b.File) })
	return s.out.printOne(list, dir, func() error {
		changed := 0
		for _, file := range list {
			switch file.Action {
			case "unchanged":
				continue
			case "left":
				s.out.line("%s: the server has no such layer; the file stays, and --prune deletes it", file.File)
				continue
			}
			changed++
			s.out.line("%s is %s", file.File, file.Action)
		}
		if changed == 0 {
			s.out.line("Nothing to do: the folder has what the server has.")
		}
		return nil
	})
}

// contentOf returns the wanted content of a layer's file.
func contentOf(layer serverapi.Layer) (folder.Content, error) {
	content := folder.Content{Path: "everyone.yaml", Selector: layer.Selector, Priority: layer.Priority}
	if kind, name, named := strings.Cut(layer.Layer, "/"); named {
		name = cmp.Or(layer.Device, name)
		content.Path, content.Device = kind+"/"+name+".yaml", name
	}
	text, err := jsonvalue.Encode(layer.Config)
	if err != nil {
		return content, err
	}
	return content, jsonvalue.Decode(text, &content.Config)
}
