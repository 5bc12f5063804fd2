// Package operator is the client of the fleet server's API for operators: typed calls for devices, layers, history,
// releases, secrets, statements, tokens and events. Its main type is Client. Lists are read page by page while their
// caller takes the elements. serverapi.Client sends the requests; serverapi also has the shapes.
package operator

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
)

// pageSize is the number of elements in each request.
const pageSize = 500

// Options are options of New.
type Options struct {
	Token   string        // of an operator; "" for a server that needs none
	CAFile  string        // CA certificates to trust instead of the system's; "" means the system's
	Timeout time.Duration // of a request; 0 means serverapi.DefaultTimeout
}

// A Client calls a server as an operator. It is safe for concurrent use. A refusal by the server is a *serverapi.Error.
//
// It has many methods because each call of the API is a method.
type Client struct{ base *serverapi.Client }

// New returns a client of the server at a URL. It sends nothing.
func New(server string, options Options) (*Client, error) {
	transport, err := serverapi.NewTransport(options.CAFile)
	if err != nil {
		return nil, err
	}
	base, err := serverapi.NewClient(server, serverapi.Options{Timeout: options.Timeout, UserAgent: "aspects-poc-fleet",
		Transport: bearer{options.Token, transport}})
	if err != nil {
		return nil, err
	}
	return &Client{base}, nil
}

// A bearer adds the token to each request. serverapi.Client does not follow redirects to another server, so no other
// server gets the token.
type bearer struct {
	token string
	below *http.Transport
}

func (b bearer) RoundTrip(request *http.Request) (*http.Response, error) {
	if b.token != "" {
		request = request.Clone(request.Context())
		request.Header.Set("Authorization", "Bearer "+b.token)
	}
	return b.below.RoundTrip(request)
}

func (b bearer) CloseIdleConnections() { b.below.CloseIdleConnections() }

// URL returns the server's address, without a slash at the end.
func (c *Client) URL() string { return c.base.URL() }

// Close closes unused connections.
func (c *Client) Close() { c.base.CloseIdleConnections() }

// get asks for a T.
func get[T any](ctx context.Context, c *Client, op, path string) (answer T, err error) {
	return send[T](ctx, c, serverapi.Call{Op: op, Method: http.MethodGet, Path: path})
}

// send sends a call whose answer is a T.
func send[T any](ctx context.Context, c *Client, call serverapi.Call) (answer T, err error) {
	call.Answer = &answer
	_, err = c.base.Do(ctx, call)
	return answer, err
}

// pages returns the elements of a list. read reads the page after a place, and returns the place after that page; "" at
// the end of the list.
func pages[T any](read func(place string) (list []T, next string, err error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for place := ""; ; {
			list, next, err := read(place)
			if err != nil {
				yield(*new(T), err)
				return
			}
			for _, element := range list {
				if !yield(element, nil) {
					return
				}
			}
			if place = next; place == "" {
				return
			}
		}
	}
}

// Summary returns the counts of devices.
func (c *Client) Summary(ctx context.Context) (serverapi.Summary, error) { return c.base.Summary(ctx) }

// A Filter chooses devices. The zero value chooses all.
type Filter struct {
	Selector string // of labels
	State    string
	Silent   *bool
	Cloned   *bool
	Text     string // a part of ID, name, address, architecture or label
	Page     int    // devices in each request; 0 means many
}

func (f Filter) query() url.Values {
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	if f.Page > 0 {
		query.Set("limit", strconv.Itoa(min(f.Page, pageSize)))
	}
	for name, value := range map[string]string{"selector": f.Selector, "state": f.State, "q": f.Text} {
		if value != "" {
			query.Set(name, value)
		}
	}
	for name, value := range map[string]*bool{"silent": f.Silent, "cloned": f.Cloned} {
		if value != nil {
			query.Set(name, strconv.FormatBool(*value))
		}
	}
	return query
}

// Devices lists devices in the order of their registration, without their reports.
func (c *Client) Devices(ctx context.Context, filter Filter) iter.Seq2[serverapi.Device, error] {
	query := filter.query()
	return pages(func(place string) ([]serverapi.Device, string, error) {
		query.Set("after", place)
		page, err := get[serverapi.DevicePage](ctx, c, "list the devices", "/devices/?"+query.Encode())
		return page.Devices, page.Next, err
	})
}

// Device returns what the server knows about a device.
func (c *Client) Device(ctx context.Context, id uuid.UUID) (serverapi.Device, error) {
	return get[serverapi.Device](ctx, c, "show the device", "/devices/"+id.String()+"/")
}

// Target returns a device's target, with the origin of each value.
func (c *Client) Target(ctx context.Context, id uuid.UUID) (serverapi.DeviceTarget, error) {
	return get[serverapi.DeviceTarget](ctx, c, "show the device's target", "/devices/"+id.String()+"/target/?explain=true")
}

// SetLabels changes labels of a device. The value nil removes a label.
func (c *Client) SetLabels(ctx context.Context, id uuid.UUID, labels map[string]*string) (serverapi.Device, error) {
	return send[serverapi.Device](ctx, c, serverapi.Call{Op: "set the labels", Method: http.MethodPatch,
		Path: "/devices/" + id.String() + "/labels/", Body: labels})
}

// Find returns the device that word names: by its ID, a unique beginning of the ID, or its name.
func (c *Client) Find(ctx context.Context, word string) (serverapi.Device, error) {
	return get[serverapi.Device](ctx, c, "find the device "+word, "/devices/"+url.PathEscape(word)+"/")
}

// SetName gives a device a name. "" removes the name.
func (c *Client) SetName(ctx context.Context, id uuid.UUID, name string) (serverapi.Device, error) {
	call := serverapi.Call{Op: "rename the device", Method: http.MethodPut, Path: "/devices/" + id.String() + "/name/",
		Body: serverapi.NameRequest{Name: name}}
	if name == "" {
		call.Method, call.Body = http.MethodDelete, nil
	}
	return send[serverapi.Device](ctx, c, call)
}

// Approve approves a device, which may then poll.
func (c *Client) Approve(ctx context.Context, id uuid.UUID) (serverapi.Device, error) {
	return send[serverapi.Device](ctx, c, serverapi.Call{Op: "approve the device", Method: http.MethodPost,
		Path: "/devices/" + id.String() + "/approve/"})
}

// Revoke revokes a device. The server then refuses its polls.
func (c *Client) Revoke(ctx context.Context, id uuid.UUID) (serverapi.Device, error) {
	return send[serverapi.Device](ctx, c, serverapi.Call{Op: "revoke the device", Method: http.MethodPost,
		Path: "/devices/" + id.String() + "/revoke/"})
}

// DeleteDevice deletes a device with its report, its statistics and its layer.
func (c *Client) DeleteDevice(ctx context.Context, id uuid.UUID) error {
	_, err := c.base.Do(ctx, serverapi.Call{Op: "delete the device", Method: http.MethodDelete, Path: "/devices/" + id.String() + "/"})
	return err
}

// Layers lists all layers in the order of merging.
func (c *Client) Layers(ctx context.Context) iter.Seq2[serverapi.Layer, error] {
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	return pages(func(place string) ([]serverapi.Layer, string, error) {
		query.Set("after", place)
		page, err := get[serverapi.Targets](ctx, c, "list the layers", "/targets/?"+query.Encode())
		return page.Layers, page.Next, err
	})
}

// layerPath returns the path of a layer: everyone, labels/NAME or devices/UUID.
func layerPath(layer string) string {
	kind, name, named := strings.Cut(layer, "/")
	if !named {
		return "/targets/" + url.PathEscape(kind) + "/"
	}
	return "/targets/" + url.PathEscape(kind) + "/" + url.PathEscape(name) + "/"
}

// Layer returns a layer.
func (c *Client) Layer(ctx context.Context, layer string) (serverapi.Layer, error) {
	return get[serverapi.Layer](ctx, c, "show the layer "+layer, layerPath(layer))
}

// A LayerChange replaces a layer.
type LayerChange struct {
	Layer    string
	Revision int64 // the layer's present revision; 0 if the layer does not exist or was never set
	serverapi.LayerRequest
	Plan json.RawMessage // a serverapi.ReleasePlan, which the server checks; nil means Release
}

func (change LayerChange) call() serverapi.Call {
	header := http.Header{"If-Match": {`"` + strconv.FormatInt(change.Revision, 10) + `"`}}
	if change.Revision == 0 {
		header = http.Header{"If-None-Match": {"*"}}
	}
	call := serverapi.Call{Op: "set the layer " + change.Layer, Method: http.MethodPut, Path: layerPath(change.Layer),
		Header: header, Body: change.LayerRequest}
	if change.Plan != nil {
		call.Body = struct {
			serverapi.LayerRequest
			Release json.RawMessage `json:"release"`
		}{change.LayerRequest, change.Plan}
	}
	return call
}

// SetLayer replaces a layer. If the layer has a newer revision, the error is serverapi.ProblemStale.
func (c *Client) SetLayer(ctx context.Context, change LayerChange) (serverapi.Layer, error) {
	return send[serverapi.Layer](ctx, c, change.call())
}

// RemoveLayer removes a layer with this revision. If the layer has a newer one, the error is serverapi.ProblemStale.
func (c *Client) RemoveLayer(ctx context.Context, layer string, revision int64) error {
	_, err := c.base.Do(ctx, serverapi.Call{Op: "remove the layer " + layer, Method: http.MethodDelete, Path: layerPath(layer),
		Header: http.Header{"If-Match": {`"` + strconv.FormatInt(revision, 10) + `"`}}})
	return err
}

// planTime is the additional time for a plan of many devices.
const planTime = 2 * time.Minute

// A Batch has changes of layers, and the stages in which devices get them.
type Batch struct {
	serverapi.Batch
	// Release is a serverapi.ReleasePlan, which the server checks; nil means that all devices get the changes at once.
	// It replaces the member of serverapi.Batch.
	Release json.RawMessage `json:"release,omitempty"`
}

// Plan returns what the changes would do. Each group has the names of its first devices.
func (c *Client) Plan(ctx context.Context, batch Batch) (serverapi.Plan, error) {
	return c.plan(ctx, batch, "/targets/?dry-run=true")
}

func (c *Client) plan(ctx context.Context, batch Batch, path string) (serverapi.Plan, error) {
	return send[serverapi.Plan](ctx, c, serverapi.Call{Op: "plan the changes", Method: http.MethodPost, Path: path, Body: batch, Longer: planTime})
}

// Groups returns what the changes would do, in groups that have all their devices. It reads them page by page; no group
// is on two pages. The revision of the batch makes sure that the fleet does not change between pages.
func (c *Client) Groups(ctx context.Context, batch Batch) iter.Seq2[serverapi.PlanGroup, error] {
	return pages(func(after string) ([]serverapi.PlanGroup, string, error) {
		page, err := c.plan(ctx, batch, "/targets/?dry-run=true&full=true&after="+url.QueryEscape(after))
		return page.Groups, page.Next, err
	})
}

// ChangeTargets makes all changes or none. If a layer or the fleet has a newer revision than the batch names, the error
// is serverapi.ProblemStale.
func (c *Client) ChangeTargets(ctx context.Context, batch Batch) (serverapi.Targets, error) {
	return send[serverapi.Targets](ctx, c, serverapi.Call{Op: "change the layers", Method: http.MethodPost, Path: "/targets/", Body: batch,
		Longer: planTime})
}

// Schema returns the JSON Schema of a layer's configuration.
func (c *Client) Schema(ctx context.Context) (map[string]any, error) {
	return get[map[string]any](ctx, c, "show what targets may contain", "/schema/")
}

// Secrets lists the named secrets, without their values.
func (c *Client) Secrets(ctx context.Context) ([]serverapi.Secret, error) {
	answer, err := get[serverapi.Secrets](ctx, c, "list the secrets", "/secrets/")
	return answer.Secrets, err
}

func secretPath(name string) string { return "/secrets/" + url.PathEscape(name) + "/" }

// SetSecret makes or replaces a named secret. The value is JSON.
func (c *Client) SetSecret(ctx context.Context, name string, value json.RawMessage) (serverapi.SecretSet, error) {
	return send[serverapi.SecretSet](ctx, c, serverapi.Call{Op: "set the secret " + name, Method: http.MethodPut,
		Path: secretPath(name), Body: serverapi.SecretRequest{Value: value}})
}

// DeleteSecret removes a named secret that no layer refers to.
func (c *Client) DeleteSecret(ctx context.Context, name string) error {
	_, err := c.base.Do(ctx, serverapi.Call{Op: "delete the secret " + name, Method: http.MethodDelete, Path: secretPath(name)})
	return err
}

// Signature returns the last statement of an operator. With manifest it returns the manifest and the salts, too. Only
// the context limits its time.
func (c *Client) Signature(ctx context.Context, manifest bool) (serverapi.Signature, error) {
	return send[serverapi.Signature](ctx, c, serverapi.Call{Op: "show the signature", Method: http.MethodGet,
		Path: "/signature/?manifest=" + strconv.FormatBool(manifest), Longer: time.Minute})
}

// SetSignature stores a statement of an operator.
func (c *Client) SetSignature(ctx context.Context, request serverapi.SignatureRequest) (serverapi.Signature, error) {
	return send[serverapi.Signature](ctx, c, serverapi.Call{Op: "store the signature", Method: http.MethodPut, Path: "/signature/",
		Body: request, Longer: time.Minute})
}

// DeleteSignature removes all statements from the server.
func (c *Client) DeleteSignature(ctx context.Context) error {
	_, err := c.base.Do(ctx, serverapi.Call{Op: "delete the signature", Method: http.MethodDelete, Path: "/signature/"})
	return err
}

// History lists changes, the newest first, without configurations: those of a layer, or all for "".
func (c *Client) History(ctx context.Context, layer string, page int) iter.Seq2[serverapi.HistoryEntry, error] {
	query := url.Values{"limit": {strconv.Itoa(min(page, pageSize))}}
	if layer != "" {
		query.Set("layer", layer)
	}
	return pages(func(place string) ([]serverapi.HistoryEntry, string, error) {
		query.Set("before", place)
		page, err := get[serverapi.HistoryPage](ctx, c, "list the history", "/history/?"+query.Encode())
		if page.Next == 0 {
			return page.History, "", err
		}
		return page.History, strconv.FormatInt(page.Next, 10), err
	})
}

// Entry returns a change, with the configurations of its layer before and after.
func (c *Client) Entry(ctx context.Context, revision int64) (serverapi.HistoryEntry, error) {
	return get[serverapi.HistoryEntry](ctx, c, fmt.Sprintf("show revision %d", revision), fmt.Sprintf("/history/%d/", revision))
}

// Diff returns what a revision changed in its layer. With against it returns how the layer differs between the two
// revisions.
func (c *Client) Diff(ctx context.Context, revision int64, against *int64) (serverapi.Diff, error) {
	path := fmt.Sprintf("/history/%d/diff/", revision)
	if against != nil {
		path += fmt.Sprintf("?against=%d", *against)
	}
	return get[serverapi.Diff](ctx, c, fmt.Sprintf("compare revision %d", revision), path)
}

// Restore restores a layer, or a device's labels or name, to its state after a revision. It returns the new change.
func (c *Client) Restore(ctx context.Context, revision int64) (serverapi.HistoryEntry, error) {
	return send[serverapi.HistoryEntry](ctx, c, serverapi.Call{Op: fmt.Sprintf("restore revision %d", revision),
		Method: http.MethodPost, Path: fmt.Sprintf("/history/%d/restore/", revision)})
}

// Releases lists releases, the newest first, with the counts of their last moves.
func (c *Client) Releases(ctx context.Context, page int) iter.Seq2[serverapi.Release, error] {
	query := url.Values{"limit": {strconv.Itoa(min(page, pageSize))}}
	return pages(func(place string) ([]serverapi.Release, string, error) {
		query.Set("before", place)
		page, err := get[serverapi.ReleasePage](ctx, c, "list the releases", "/releases/?"+query.Encode())
		if page.Next == 0 {
			return page.Releases, "", err
		}
		return page.Releases, strconv.FormatInt(page.Next, 10), err
	})
}

// Release returns a release with its present counts.
func (c *Client) Release(ctx context.Context, id int64) (serverapi.Release, error) {
	return get[serverapi.Release](ctx, c, fmt.Sprintf("show release %d", id), fmt.Sprintf("/releases/%d/", id))
}

// SayToRelease sends the word go, halt or undo to a release.
func (c *Client) SayToRelease(ctx context.Context, id int64, word string) (serverapi.Release, error) {
	return send[serverapi.Release](ctx, c, serverapi.Call{Op: fmt.Sprintf("say %s to release %d", word, id), Method: http.MethodPost,
		Path: fmt.Sprintf("/releases/%d/%s/", id, word)})
}

// quiet is the longest time without a line in a stream of events. The server sends a line every 15 seconds.
const quiet = 45 * time.Second

// Events returns the changes from now on, until the context or the connection ends. Its last element has the error. It
// calls connected when the stream has begun; if connected returns false, Events ends.
func (c *Client) Events(ctx context.Context, connected func() bool) iter.Seq2[serverapi.Event, error] {
	return func(yield func(serverapi.Event, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		silence := time.AfterFunc(quiet, cancel)
		defer silence.Stop()
		stream, err := c.base.Stream(ctx, serverapi.Call{Op: "follow the events", Method: http.MethodGet, Path: "/events/"})
		if err != nil {
			yield(serverapi.Event{}, err)
			return
		}
		defer func() { _ = stream.Close() }() // only read
		lines := bufio.NewScanner(stream)
		for first := true; lines.Scan(); first = false {
			silence.Reset(quiet)
			if first && !connected() {
				return
			}
			data, is := strings.CutPrefix(lines.Text(), "data: ")
			if !is {
				continue
			}
			var event serverapi.Event
			if json.Unmarshal([]byte(data), &event) != nil {
				continue // an event of a later server
			}
			if !yield(event, nil) {
				return
			}
		}
		err = lines.Err()
		if err == nil {
			err = fmt.Errorf("the server has ended the stream")
		}
		yield(serverapi.Event{}, fmt.Errorf("cannot follow the events of %s: %w", c.URL(), err))
	}
}
