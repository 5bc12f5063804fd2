package audit

import "aspects-poc/roles/serverapi"

// timeForm is RFC 3339 with milliseconds.
const timeForm = "2006-01-02T15:04:05.000Z07:00"

// Shape returns the record as the API and the file have it.
func (r Record) Shape() serverapi.AuditRecord {
	return serverapi.AuditRecord{
		Number: r.Number, Time: r.At.UTC().Format(timeForm), Who: serverapi.Actor{Kind: string(r.Kind), Name: r.Name, Person: r.Person, Role: r.Role,
			Scope: r.Scope, Address: r.Address, Proxy: r.Proxy, UserAgent: r.Agent},
		Verb: r.Verb, Thing: r.Thing, Details: r.Details, Result: string(r.Result), Status: r.Status, Reason: r.Reason,
		Revision: r.Revision, Times: r.Times, RequestID: r.Request,
	}
}
