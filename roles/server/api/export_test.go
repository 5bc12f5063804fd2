package api

import "aspects-poc/roles/server/access"

// ProblemOf shows how an error is answered.
func ProblemOf(err error) (status int, detail string) {
	answer := problemOf(err)
	return answer.Status, answer.Detail
}

// A Row is one of the route table.
type Row struct {
	Method, Path, Query string
	Body, Tags          bool
	Right               access.Right
}

// Routes shows the route table.
func Routes() (rows []Row) {
	for _, route := range (&handlers{}).api() {
		rows = append(rows, Row{route.method, route.path, route.takes.query, route.takes.body, route.takes.tags, route.right})
	}
	return rows
}
