package page

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"aspects-poc/internal/yamljson"
	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/api"
	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

// perLayers is the number of devices' layers on a page.
const perLayers = 50

// layerRoutes returns the routes of layers. A layer has the same name in them as in the API.
func (p *Page) layerRoutes() []api.Route {
	list := []api.Route{
		{Method: http.MethodGet, Path: "/page/layers/", Right: access.Read, Handle: p.onlyWith("after done", p.layers)},
		{Method: http.MethodGet, Path: "/page/layers/new/", Right: access.Read, Handle: p.onlyWith("as", p.newLayer)},
		{Method: http.MethodPost, Path: "/page/layers/new/", Right: mayWrite, Act: "set layers/labels", Handle: p.onlyWith("as", p.makeLayer)},
	}
	for _, one := range []struct {
		path  string
		right access.Right
	}{{"everyone/", mayForAll}, {"labels/:name/", mayWrite}, {"devices/:uuid/", mayWrite}} {
		path, thing := "/page/layers/"+one.path, strings.TrimSuffix(one.path, "/")
		list = append(list,
			api.Route{Method: http.MethodGet, Path: path, Right: access.Read, Handle: p.onlyWith("done", p.ofLayer(p.showLayer))},
			api.Route{Method: http.MethodGet, Path: path + "edit/", Right: access.Read, Handle: p.onlyWith("as", p.ofLayer(p.editLayer))},
			api.Route{Method: http.MethodPost, Path: path + "edit/", Right: one.right, Act: "set layers/" + thing,
				Handle: p.onlyWith("as", p.ofLayer(p.changeLayer))},
			api.Route{Method: http.MethodGet, Path: path + "remove/", Right: access.Read, Handle: p.onlyWith("", p.ofLayer(p.askRemoval))},
			api.Route{Method: http.MethodPost, Path: path + "remove/", Right: one.right, Act: "remove layers/" + thing,
				Handle: p.onlyWith("", p.ofLayer(p.removeLayer))})
	}
	return list
}

// rightFor returns the right to change a layer.
func rightFor(name fleet.LayerName) access.Right {
	if name == fleet.Everyone {
		return mayForAll
	}
	return mayWrite
}

// ofLayer returns the handler of a page about the layer in the path. A layer that does not exist has revision 0.
func (p *Page) ofLayer(handle func(echo.Context, fleet.Layer) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		name, wrong, err := p.layerOf(c)
		if wrong != "" {
			return p.problem(c, rootOf(c), wrong)
		}
		if err != nil {
			return err
		}
		layer, err := p.present(c, name)
		if err != nil {
			return err
		}
		return handle(c, layer)
	}
}

// present returns the present layer. A layer that does not exist has revision 0.
func (p *Page) present(c echo.Context, name fleet.LayerName) (fleet.Layer, error) {
	layer, err := p.fleet.Layer(c.Request().Context(), name)
	if errors.Is(err, fleet.ErrUnknownLayer) {
		return fleet.Layer{Name: name}, nil
	}
	return layer, err
}

// layerOf returns the name of the layer in the path. wrong says what is wrong with the path.
func (p *Page) layerOf(c echo.Context) (name fleet.LayerName, wrong string, err error) {
	if given := c.Param("name"); given != "" {
		if name, err = fleet.LabelLayer(given); err != nil {
			return "", "There is no such layer: " + err.Error() + ".", nil
		}
		return name, "", nil
	}
	if text := c.Param("uuid"); text != "" {
		id, err := p.fleet.Find(c.Request().Context(), text)
		return fleet.DeviceLayer(id), missing(id, err), err
	}
	return fleet.Everyone, "", nil
}

// A layerRow is a layer in the list.
type layerRow struct {
	Name, URL  string
	Device     string // the name of the layer's device, if it has one
	Selector   string
	DevicesURL string
	Priority   int64
	Devices    int
	Revision   int64
	By         string
	Layer      fleet.Layer
}

func (p *Page) layers(c echo.Context) error {
	ctx := c.Request().Context()
	layers, _, err := p.fleet.Targets()
	if err != nil {
		return err
	}
	if len(layers) == 0 || layers[0].Name != fleet.Everyone {
		layers = append([]fleet.Layer{{Name: fleet.Everyone}}, layers...)
	}
	roll, _, err := p.roster.Roll(ctx)
	if err != nil {
		return err
	}
	selectors := make([]fleet.Selector, len(layers))
	for i, layer := range layers {
		selectors[i] = layer.Selector
	}
	counts := roll.Matching(selectors)
	own, next, err := p.fleet.DeviceLayers(ctx, c.QueryParam("after"), perLayers)
	if errors.Is(err, fleet.ErrBadCursor) {
		return p.problem(c, rootOf(c), "The list of layers has no such page.")
	}
	if err != nil {
		return err
	}
	data := struct {
		common
		Shared, Own []layerRow
		Next        string
		MayMake     bool
	}{common: p.common(c, "Layers", "layers"), MayMake: may(c, mayWrite)}
	for i, layer := range layers {
		row := rowOfLayer(layer)
		row.Devices = counts[i]
		row.DevicesURL = "../devices/"
		if row.Selector != "" {
			row.DevicesURL += "?" + url.Values{"selector": {row.Selector}}.Encode()
		}
		data.Shared = append(data.Shared, row)
	}
	ids := make([]uuid.UUID, len(own))
	for i, layer := range own {
		ids[i] = layer.Name.Device()
	}
	named, err := p.fleet.NamesOf(ctx, ids)
	if err != nil {
		return err
	}
	for i, layer := range own {
		row := rowOfLayer(layer)
		row.Device = named[ids[i]]
		data.Own = append(data.Own, row)
	}
	if next != "" {
		data.Next = "?" + url.Values{"after": {next}}.Encode()
	}
	return render(c, http.StatusOK, "layers", data)
}

func rowOfLayer(layer fleet.Layer) layerRow {
	return layerRow{Name: string(layer.Name), URL: string(layer.Name) + "/", Selector: layer.Selector.String(), Priority: layer.Priority,
		Revision: layer.Revision, By: layer.By, Layer: layer}
}

func (p *Page) showLayer(c echo.Context, layer fleet.Layer) error {
	if layer.Revision == 0 && layer.Name.IsLabels() {
		return p.problem(c, rootOf(c), fmt.Sprintf("There is no layer %s.", layer.Name))
	}
	ctx := c.Request().Context()
	written, err := yamlOf(layer.Config)
	if err != nil {
		return err
	}
	entries, err := p.fleet.Entries(ctx, layer.Name, 0, mostChanges)
	if err != nil {
		return err
	}
	changes, err := p.changesOf(c.Request().Context(), entries)
	if err != nil {
		return err
	}
	row := rowOfLayer(layer)
	data := struct {
		common
		layerRow
		Text      string
		DeviceURL string
		Changes   []change
		MayChange bool
		MayRemove bool
	}{common: p.common(c, row.Name, "layers"), layerRow: row, Text: written, Changes: changes, MayChange: mayChange(c, layer)}
	data.MayRemove = data.MayChange && layer.Revision > 0
	data.DevicesURL = data.Root + "page/devices/?" + url.Values{"selector": {row.Selector}}.Encode()
	switch {
	case layer.Name.IsDevice():
		data.DevicesURL, data.DeviceURL = "", data.Root+"page/devices/"+layer.Name.Device().String()+"/"
		data.Devices = 1
	case layer.Name == fleet.Everyone:
		data.DevicesURL = data.Root + "page/devices/"
		fallthrough
	default:
		roll, _, err := p.roster.Roll(ctx)
		if err != nil {
			return err
		}
		data.Devices = roll.Matching([]fleet.Selector{layer.Selector})[0]
	}
	return render(c, http.StatusOK, "layer", data)
}

// yamlOf returns a configuration as YAML for people.
func yamlOf(config fleet.Config) (string, error) {
	if config.String() == "{}" {
		return "", nil
	}
	written, err := yamljson.Encode([]byte(config.String()))
	return string(written), err
}

// askRemoval shows what the removal of a layer would do.
func (p *Page) askRemoval(c echo.Context, layer fleet.Layer) error {
	return p.removal(c, layer, layer.Revision, "", http.StatusOK)
}

func (p *Page) removal(c echo.Context, layer fleet.Layer, match int64, problem string, status int) error {
	data := confirmation{common: p.common(c, "Remove "+string(layer.Name), "layers"), Button: "Remove the layer", Danger: true, Back: "../",
		Kept: []hidden{{"match", fmt.Sprint(match)}}, Problem: problem}
	data.Says = []string{fmt.Sprintf("The layer %s, revision %d, is removed. The history keeps it, so that it can be restored.", layer.Name, layer.Revision)}
	if !mayChange(c, layer) {
		data.Refused = notAllowed
		return p.confirm(c, status, data)
	}
	planned, err := p.plan(c.Request().Context(), fleet.Change{Layer: fleet.Layer{Name: layer.Name}, Remove: true, Within: within(c)}, nil)
	if err != nil {
		data.Refused = "There is nothing to do."
		return p.refused(c, err, data)
	}
	data.Plan = planned
	return p.confirm(c, status, data)
}

func (p *Page) removeLayer(c echo.Context, layer fleet.Layer) error {
	sent, err := formOf(c)
	if err != nil {
		return err
	}
	match := sent.number("match")
	_, err = p.fleet.Set(c.Request().Context(), fleet.Change{Layer: fleet.Layer{Name: layer.Name,
		Authorship: fleet.Authorship{By: author(c)}}, Remove: true, Match: &match, Within: within(c)})
	if layer.Revision == 0 && (errors.Is(err, fleet.ErrStale) || errors.Is(err, fleet.ErrUnknownLayer)) {
		err = nil // the form was sent twice, or somebody else has removed the layer
	}
	if err != nil {
		return explain(c, err, func(status int, problem string) error { return p.removal(c, layer, layer.Revision, problem, status) })
	}
	return seeOther(c, rootOf(c)+"page/layers/?done=remove")
}
