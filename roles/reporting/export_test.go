package reporting

import "bytes"

// Text is the report for people.
func (r *Report) Text() string { return r.text("") }

// Page returns a report as the metrics that Prometheus reads.
func Page(report *Report) string {
	var page bytes.Buffer
	report.page(&page)
	return page.String()
}
