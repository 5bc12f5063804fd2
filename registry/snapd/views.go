package snapd

import (
	"context"
	"net/http"
	"net/url"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/snapdhttp"
	"aspects-poc/registry/backend"
)

var _ backend.Lister = (*Backend)(nil)

// Views lists the views of the confdb-schemas that snapd knows.
func (b *Backend) Views(ctx context.Context) ([]backend.ViewInfo, error) {
	request := snapdhttp.Request{Op: "list"}
	ctx, call, err := b.life.Begin(ctx, request.About())
	if err != nil {
		return nil, err
	}
	defer call.End()
	d, err := b.generation(ctx, request)
	if err != nil {
		return nil, call.Explain(err)
	}
	schemas, err := b.schemas(ctx, d)
	if err != nil {
		return nil, call.Explain(err)
	}
	return backend.ViewsOf(schemas), nil
}

// schemas requests the headers of all confdb-schemas.
func (b *Backend) schemas(ctx context.Context, d generation) ([]backend.ViewHeaders, error) {
	request := snapdhttp.Request{Op: "list"}
	response, err := b.client.Do(ctx, http.MethodGet, "/v2/assertions/"+d.assertion, url.Values{"json": {"headers"}}, nil)
	if err != nil {
		return nil, b.lost(err, request, false)
	}
	if refusal := response.Refusal(); refusal != nil {
		return nil, b.refused(refusal, request)
	}
	var assertions []struct {
		Headers backend.ViewHeaders `json:"headers"`
	}
	if err := jsonvalue.Decode(response.Result, &assertions); err != nil {
		return nil, &backend.Error{Op: request.Op, Kind: backend.ErrOther, Err: err,
			Reason: "snapd's answer cannot be understood: " + err.Error()}
	}
	list := make([]backend.ViewHeaders, len(assertions))
	for i := range assertions {
		list[i] = assertions[i].Headers
	}
	return list, nil
}
