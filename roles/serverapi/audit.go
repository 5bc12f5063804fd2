package serverapi

// AuditPage is the answer to GET /audit/.
type AuditPage struct {
	Records []AuditRecord `json:"records"`
	// Next is the value of "before" for the next page, or of "after" if the request has "after". It is 0 if there is no
	// next page. With "after" there is always a next page, because the log grows.
	Next int64 `json:"next,omitempty" example:"41"`
}

// AuditRecord says who did what, from where, and with which result.
type AuditRecord struct {
	Number int64  `json:"number" example:"42"`                     // a later record has a higher one
	Time   string `json:"time" example:"2024-11-24T20:26:40.123Z"` // RFC 3339, UTC
	Who    Actor  `json:"who"`
	Verb   string `json:"verb" example:"set"`
	Thing  string `json:"thing" example:"layers/everyone"`
	// Details describes the act in a few more words.
	Details  string `json:"details,omitempty" example:"selector site=berlin"`
	Result   string `json:"result" enums:"done,unchanged,refused,failed"`
	Status   int    `json:"status,omitempty" example:"403"` // of HTTP, if it was refused or has failed
	Reason   string `json:"reason,omitempty"`
	Revision int64  `json:"revision,omitempty" example:"7"` // the last revision that the change drew
	Times    int64  `json:"times,omitempty" example:"12"`   // of requests without a valid token: how many
	// RequestID is the X-Request-ID of the answer. The server's log has it too.
	RequestID string `json:"request-id,omitempty"`
}

// Actor is who acted.
type Actor struct {
	// Kind is operator (has a token), loopback (on the server's machine, while there is no token), command (a command
	// on the database), server (by itself) or stranger (without a valid token).
	Kind      string `json:"kind" enums:"operator,loopback,command,server,stranger"`
	Name      string `json:"name,omitempty" example:"anna"`               // of the token or the user, or the release that moves by itself
	Person    string `json:"person,omitempty" example:"anna@example.com"` // whom a proxy names
	Role      string `json:"role,omitempty" example:"operator"`
	Scope     string `json:"scope,omitempty" example:"site=berlin"`
	Address   string `json:"address,omitempty" example:"192.0.2.7"`
	Proxy     string `json:"proxy,omitempty" example:"127.0.0.1"` // the proxy that has told person and address
	UserAgent string `json:"user-agent,omitempty" example:"curl/8.5.0"`
}

// Tokens is the answer to GET /tokens/.
type Tokens struct {
	Tokens []Token `json:"tokens"`
}

// Token describes a token. Times are in seconds since 1970; 0 means never.
type Token struct {
	Name     string `json:"name" example:"anna"`
	Token    string `json:"token,omitempty"` // the token itself, only in the answer to its creation
	Purpose  string `json:"purpose" enums:"operate,enrol"`
	State    string `json:"state" enums:"valid,revoked,expired,used-up"`
	Role     string `json:"role,omitempty" enums:"viewer,operator,approver,admin"`
	Proxy    bool   `json:"proxy,omitempty"` // its holder is a proxy that names the person
	Created  int64  `json:"created" example:"1732480000"`
	Expires  int64  `json:"expires,omitempty" example:"1732566400"`
	Revoked  int64  `json:"revoked,omitempty"`
	LastUsed int64  `json:"last-used,omitempty"`
	Uses     int64  `json:"uses,omitempty" example:"50"` // number of devices that an enrolment token admits; 0 for any number
	Used     int64  `json:"used,omitempty"`
	// Enrolment says which devices may register. Only the answer to the creation of an enrolment token has it. An open
	// server ignores enrolment tokens.
	Enrolment string `json:"enrolment,omitempty" enums:"open,token,approve"`

	Scope  map[string]string `json:"scope,omitempty" example:"site:berlin"`
	Labels map[string]string `json:"labels,omitempty" example:"site:line-1"` // of the devices that register with it
}

// TokenRequest is the body of POST /tokens/.
type TokenRequest struct {
	Name    string            `json:"name" example:"bert"`
	Purpose string            `json:"purpose,omitempty" enums:"operate,enrol"` // default: operate
	Role    string            `json:"role,omitempty" enums:"viewer,operator,approver,admin"`
	Scope   map[string]string `json:"scope,omitempty" example:"site:berlin"`
	Proxy   bool              `json:"proxy,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
	Uses    int64             `json:"uses,omitempty"`
	Expires int64             `json:"expires-in,omitempty" example:"86400"` // seconds from now; 0 for never
}

// Self is the answer to GET /whoami/: who the caller is.
type Self struct {
	Kind    string            `json:"kind" enums:"operator,loopback"`
	Name    string            `json:"name,omitempty" example:"anna"`
	Person  string            `json:"person,omitempty" example:"anna@example.com"`
	Role    string            `json:"role" enums:"viewer,operator,approver,admin"`
	Scope   map[string]string `json:"scope,omitempty" example:"site:berlin"`
	Expires int64             `json:"expires,omitempty" example:"1732566400"`
}
