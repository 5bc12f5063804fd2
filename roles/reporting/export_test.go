package reporting

// Text is the report for people.
func (r *Report) Text() string { return r.text("") }
