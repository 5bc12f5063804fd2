package operator

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"aspects-poc/roles/serverapi"
)

// An AuditFilter chooses records of the audit log. The zero value chooses all.
type AuditFilter struct {
	Since  time.Time
	Who    string // a token, a user or a person
	Thing  string
	Result string
	Page   int   // records in each request; 0 means many
	After  int64 // AuditAfter lists the records after this number
}

func (f AuditFilter) query() url.Values {
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	if f.Page > 0 {
		query.Set("limit", strconv.Itoa(min(f.Page, pageSize)))
	}
	if !f.Since.IsZero() {
		query.Set("since", strconv.FormatInt(f.Since.Unix(), 10))
	}
	for name, value := range map[string]string{"who": f.Who, "thing": f.Thing, "result": f.Result} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}

// Audit lists records of the audit log, the newest first.
func (c *Client) Audit(ctx context.Context, filter AuditFilter) iter.Seq2[serverapi.AuditRecord, error] {
	query := filter.query()
	return pages(func(place string) ([]serverapi.AuditRecord, string, error) {
		query.Set("before", place)
		page, err := get[serverapi.AuditPage](ctx, c, "list the audit log", "/audit/?"+query.Encode())
		if page.Next == 0 {
			return page.Records, "", err
		}
		return page.Records, strconv.FormatInt(page.Next, 10), err
	})
}

// AuditAfter lists the records after filter.After, the oldest first. It sets filter.After to the number of the last
// record.
func (c *Client) AuditAfter(ctx context.Context, filter *AuditFilter) iter.Seq2[serverapi.AuditRecord, error] {
	return func(yield func(serverapi.AuditRecord, error) bool) {
		for {
			query := filter.query()
			query.Set("after", strconv.FormatInt(filter.After, 10))
			page, err := get[serverapi.AuditPage](ctx, c, "follow the audit log", "/audit/?"+query.Encode())
			if err != nil {
				yield(serverapi.AuditRecord{}, err)
				return
			}
			for _, record := range page.Records {
				filter.After = record.Number
				if !yield(record, nil) {
					return
				}
			}
			if len(page.Records) < pageSize {
				return
			}
		}
	}
}

// Tokens lists all tokens, also revoked ones.
func (c *Client) Tokens(ctx context.Context) ([]serverapi.Token, error) {
	answer, err := get[serverapi.Tokens](ctx, c, "list the tokens", "/tokens/")
	return answer.Tokens, err
}

// CreateToken makes a token. The answer has the token itself.
func (c *Client) CreateToken(ctx context.Context, asked serverapi.TokenRequest) (serverapi.Token, error) {
	return send[serverapi.Token](ctx, c, serverapi.Call{Op: "make the token " + asked.Name, Method: http.MethodPost, Path: "/tokens/", Body: asked})
}

// RevokeToken revokes a token.
func (c *Client) RevokeToken(ctx context.Context, name string) error {
	_, err := c.base.Do(ctx, serverapi.Call{Op: "revoke the token " + name, Method: http.MethodDelete, Path: "/tokens/" + url.PathEscape(name) + "/"})
	return err
}

// Whoami returns who the caller is.
func (c *Client) Whoami(ctx context.Context) (serverapi.Self, error) {
	return get[serverapi.Self](ctx, c, "ask who you are", "/whoami/")
}
