// Package api is the fleet server's HTTP API. Its main function is New, which returns the API as an Echo application.
// routes.go has the table of routes, each resource has a file with its handlers, body.go and query.go parse requests,
// and problem.go maps errors to answers.
//
// Package fleet has the rules and the state, package access decides who may call. Package swagger has the description
// of the API, which go generate makes from the annotations here:
//
//	@title			aspects-poc fleet server
//	@version		1
//	@description	Devices register, report the configuration of their confdb views, and get their target. Every error is a
//	@description	problem detail (RFC 9457). Every answer has an X-Request-Id, which the server's log has too.
//	@license.name	Apache-2.0
//	@license.url	https://www.apache.org/licenses/LICENSE-2.0
//	@accept			json
//	@produce		json
//
//go:generate go run ../swagger/generate
package api
