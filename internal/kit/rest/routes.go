package rest

import (
	"fmt"
	"net/http"
	"strings"

	"aspects-poc/internal/kit/world/facts"
)

// A socket is one of the two sockets on which requests arrive.
type socket int

const (
	mainSocket socket = iota // /run/snapd.socket
	snapSocket               // /run/snapd-snap.socket
)

// An access is the callers that may use an endpoint.
type access int

const (
	everybody access = iota // any user, on the main socket
	root                    // the administrator, on the main socket
	snap                    // snaps, on their own socket
)

type handler func(s *Server, r *http.Request) (reply, error)

type endpoint struct {
	access access
	handle handler
}

// routes lists the endpoints: path, method, access and handler.
var routes = withAbsent(map[string]map[string]endpoint{
	"/v2/system-info":                      {"GET": {everybody, (*Server).systemInfo}},
	"/v2/confdb":                           {"POST": {root, whileEnabled("confdb", whileEnabled("confdb-control", (*Server).delegate))}},
	"/v2/confdb/{account}/{schema}/{view}": {"GET": {root, whileEnabled("confdb", (*Server).getView)}, "PUT": {root, whileEnabled("confdb", (*Server).setView)}},
	"/v2/changes":                          {"GET": {everybody, (*Server).listChanges}},
	"/v2/changes/{id}":                     {"GET": {everybody, (*Server).showChange}, "POST": {root, (*Server).abortChange}},
	"/v2/notices":                          {"GET": {everybody, (*Server).listNotices}, "POST": {everybody, (*Server).addNotice}},
	"/v2/notices/{id}":                     {"GET": {everybody, (*Server).showNotice}},
	"/v2/warnings":                         {"GET": {everybody, (*Server).listWarnings}, "POST": {root, (*Server).okayWarnings}},
	"/v2/assertions":                       {"GET": {everybody, (*Server).assertionTypes}, "POST": {root, (*Server).acknowledge}},
	"/v2/assertions/{type}":                {"GET": {everybody, (*Server).findAssertions}},
	"/v2/snaps":                            {"GET": {everybody, (*Server).listSnaps}, "POST": {root, (*Server).changeSnaps}},
	"/v2/snaps/{name}":                     {"GET": {everybody, (*Server).showSnap}, "POST": {root, (*Server).changeSnap}},
	"/v2/snaps/{name}/conf":                {"GET": {root, (*Server).getConf}, "PUT": {root, (*Server).setConf}},
	"/v2/connections":                      {"GET": {everybody, (*Server).listConnections}},
	"/v2/interfaces":                       {"GET": {everybody, (*Server).listInterfaces}, "POST": {root, (*Server).changeInterfaces}},
	"/v2/apps":                             {"GET": {everybody, (*Server).listApps}, "POST": {root, (*Server).controlApps}},
	"/v2/logs":                             {"GET": {root, (*Server).showLogs}},
	RunPath:                                {"GET": {root, (*Server).program}},
	"/v2/snapctl":                          {"POST": {snap, (*Server).snapctl}},
	"/v2/aliases":                          {"GET": {everybody, noneByName}},
	"/v2/systems":                          {"GET": {root, noneByName}},
	"/v2/users":                            {"GET": {root, none}},
	"/v2/quotas":                           {"GET": {everybody, none}},
	"/v2/snapshots":                        {"GET": {everybody, none}},
	"/v2/validation-sets":                  {"GET": {root, none}},
	"/v2/validation-sets/{account}/{name}": {"GET": {root, noValidationSet}},
})

// bodyLimit is the largest body that is read. snapd has no limit.
const bodyLimit = 16 << 20

// handler makes the handler of a socket.
func (s *Server) handler(from socket) http.Handler {
	mux := http.NewServeMux()
	for path, methods := range routes {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			answer, err := s.answer(from, methods, r)
			s.write(w, r, answer, err)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.write(w, r, reply{}, refuse(http.StatusNotFound, "not found"))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.log.Debug("request", "method", r.Method, "path", r.URL.Path, "query", r.URL.RawQuery)
		if !strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") { // readForm has its own limits
			r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
		}
		// The mux would redirect an unclean path, and answer CONNECT with a page.
		if strings.Contains(r.URL.Path, "//") || r.Method == http.MethodConnect {
			s.write(w, r, reply{}, refuse(http.StatusNotFound, "not found"))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// answer checks method and caller, in snapd's order, and calls the endpoint's handler.
func (s *Server) answer(from socket, methods map[string]endpoint, r *http.Request) (reply, error) {
	e, found := methods[r.Method]
	if !found {
		return reply{}, refuse(http.StatusMethodNotAllowed, fmt.Sprintf("method %q not allowed", r.Method))
	}
	denied := &facts.Error{Status: http.StatusForbidden, Kind: facts.KindLoginRequired, Message: "access denied"}
	peer, known := peerOf(r.Context())
	switch {
	case (e.access == snap) != (from == snapSocket):
		return reply{}, denied
	case !known:
		return reply{}, denied
	case e.access == root && !s.options.Root(peer.uid):
		denied.Status = http.StatusUnauthorized
		return reply{}, denied
	}
	return e.handle(s, r)
}
