package lint

import (
	"strconv"
	"time"

	"aspects-poc/internal/document"
	"aspects-poc/registry/confdb/path"
)

// checkAgainst compares the document with the published copy. It reports changes that break snaps or stored data.
func (c *checker) checkAgainst(old *document.Document) {
	before := newChecker(old, Options{Account: c.options.Account})
	before.readSchema()
	for _, header := range []string{"name", "account-id"} {
		was, is := old.Header(header), c.doc.Header(header)
		if was != "" && is != "" && was != is {
			c.add("other-schema", c.doc.Position(header), "%s is %q, that of the published copy is %q", header, is, was)
		}
	}
	c.compareRevisions(old)
	for _, view := range before.views {
		c.compareView(view)
	}
	if !before.broken && !c.broken {
		for _, change := range (comparison{c}).types(nil, before.root(), c.root(), c.position(nil, "schema")) {
			c.add(change.code, change.at, "%s", change.text)
		}
	}
}

func (c *checker) compareRevisions(old *document.Document) {
	was, is := revision(old), revision(c.doc)
	if !document.Same(old, c.doc, true) && is <= was {
		found := c.add("revision-not-raised", c.doc.Position("revision"), "the content differs from revision %d, but this is revision %d", was, is)
		found.Fix = c.raiseRevision(was)
	}
	then, err := time.Parse(time.RFC3339, old.Header("timestamp"))
	if err != nil {
		return
	}
	if now, err := time.Parse(time.RFC3339, c.doc.Header("timestamp")); err == nil && now.Before(then) {
		c.add("timestamp-older", c.doc.Position("timestamp"), "%s is before %s of the published copy", c.doc.Header("timestamp"),
			old.Header("timestamp"))
	}
}

func revision(d *document.Document) int {
	revision, _ := strconv.Atoi(d.Header("revision"))
	return revision
}

func (c *checker) compareView(old *viewModel) {
	var view *viewModel
	for _, v := range c.views {
		if v.name == old.name {
			view = v
		}
	}
	if view == nil {
		c.add("view-removed", c.doc.Position("views"), "view %q of the published copy is gone", old.name)
		return
	}
	if view.parsed == nil {
		return // snapd refuses the view anyway
	}
	for i := range old.rules {
		c.compareRule(&old.rules[i], view)
	}
}

func (c *checker) compareRule(old *ruleModel, view *viewModel) {
	answered, readable, writable, moved := false, false, false, true
	var at document.Position
	for i := range view.rules {
		r := &view.rules[i]
		if !answers(r.Request, old.Request) {
			continue
		}
		if !answered {
			at = r.requestAt()
		}
		answered, readable, writable = true, readable || r.Readable, writable || r.Writable
		if len(r.Request) > len(old.Request) || shape(r.Storage, r.Request) == shape(old.Storage, old.Request) ||
			r.Request.Bare() != old.Request.Bare() && path.Overlap(r.Storage, old.Storage) {
			moved = false
		}
	}
	switch {
	case !answered:
		c.add("request-removed", view.entry.KeyPos, "request %q of view %q is gone", old.Request, old.view.name)
	case old.Readable && !readable:
		c.add("access-narrowed", at, "request %q of view %q can no longer be read", old.Request, old.view.name)
	case old.Writable && !writable:
		c.add("access-narrowed", at, "request %q of view %q can no longer be written", old.Request, old.view.name)
	case moved:
		c.add("storage-moved", at, "request %q of view %q led to %q in the published copy", old.Request, old.view.name, old.Storage)
	}
}

// answers reports whether a request path leads to data that an old one led to. It may have other names of placeholders, a placeholder
// instead of a name, or more steps: then several requests replace the old one.
func answers(request, old path.Path) bool {
	if len(request) < len(old) {
		return false
	}
	for i, accessor := range old {
		is := request[i]
		wider := is.Open() && len(request) == len(old)
		if is.List() != accessor.List() || is.Open() != accessor.Open() && !wider || !is.Open() && is.Name != accessor.Name {
			return false
		}
	}
	return true
}

// shape returns a storage path with its placeholders named after their positions in the request. Paths that differ only in
// the names of placeholders have the same shape.
func shape(storage, request path.Path) string {
	numbers := map[string]string{}
	for i, accessor := range request {
		if accessor.Open() {
			numbers[accessor.Bare()] = "p" + strconv.Itoa(i)
		}
	}
	renamed := make(path.Path, len(storage))
	for i, accessor := range storage {
		if accessor.Open() {
			accessor.Name = numbers[accessor.Bare()]
		}
		renamed[i] = accessor
	}
	return renamed.Bare()
}
