// Package api is the fleet server's HTTP API. New returns it as an Echo application: routes.go has the table of routes, each
// resource has a file with its handlers, body.go and query.go read requests, and problem.go maps errors to answers.
//
// Package fleet has the rules and the state, package access decides who may call. Package swagger has the description of
// the API, which go generate makes of the annotations here:
//
//	@title			aspects-poc fleet server
//	@version		1
//	@description	Devices register, report the configuration that their confdb views show, and get the one that they are
//	@description	to have. Every error is a problem detail (RFC 9457); every answer carries an X-Request-Id that stands in
//	@description	the server's log.
//	@license.name	Apache-2.0
//	@license.url	https://www.apache.org/licenses/LICENSE-2.0
//	@accept			json
//	@produce		json
//
//go:generate go run ../swagger/generate
package api
