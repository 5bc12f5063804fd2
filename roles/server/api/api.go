// Package api is the HTTP surface of the fleet server: the route table (routes.go), a file per resource, how bodies are
// read and errors answered. The rules and the state are in package fleet, the description of the API in package swagger,
// generated from the annotations here:
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
