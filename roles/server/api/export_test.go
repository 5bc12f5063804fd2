package api

// ProblemOf shows how an error is answered.
func ProblemOf(err error) (status int, detail string) {
	answer := problemOf(err)
	return answer.Status, answer.Detail
}

// Routes returns the route table.
func Routes() []Route { return (&handlers{}).api() }
