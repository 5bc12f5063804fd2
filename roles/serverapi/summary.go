package serverapi

import (
	"context"
	"net/http"
)

// Summary returns the numbers of devices by state. Only operators may call it.
func (c *Client) Summary(ctx context.Context) (Summary, error) {
	var answer Summary
	if _, err := c.do(ctx, "get the summary", http.MethodGet, "/summary/", nil, &answer); err != nil {
		return Summary{}, err
	}
	return answer, nil
}
