package backend

import (
	"cmp"
	"slices"
)

// ViewHeaders are the headers of a confdb-schema that describe its views.
type ViewHeaders struct {
	Account string `json:"account-id"`
	Name    string `json:"name"`
	Views   map[string]struct {
		Summary string `json:"summary"`
	} `json:"views"`
}

// ViewsOf returns the views of confdb-schemas in the order that Lister promises.
func ViewsOf(schemas []ViewHeaders) []ViewInfo {
	var list []ViewInfo
	for _, schema := range schemas {
		for name, view := range schema.Views {
			list = append(list, ViewInfo{ViewID{Account: schema.Account, Schema: schema.Name, View: name}, view.Summary})
		}
	}
	slices.SortFunc(list, func(a, b ViewInfo) int {
		return cmp.Or(cmp.Compare(a.ID.Account, b.ID.Account), cmp.Compare(a.ID.Schema, b.ID.Schema), cmp.Compare(a.ID.View, b.ID.View))
	})
	return list
}
