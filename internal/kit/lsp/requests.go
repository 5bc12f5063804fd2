package lsp

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/edit"
	"aspects-poc/internal/kit/editor"
	"aspects-poc/internal/kit/lint"
)

// place returns the file and the position of a request, and the project as it is now.
func (s *server) place(params placeParams) (project *editor.Project, file string, at document.Position, err error) {
	file, ok := fileOf(params.TextDocument.URI)
	if !ok {
		return nil, "", at, fmt.Errorf("%s is not a file", params.TextDocument.URI)
	}
	return s.workspace.Load(), file, s.encoding.from(s.workspace.Text(file), params.Position), nil
}

func (s *server) completion(params placeParams) (any, error) {
	project, file, at, err := s.place(params)
	if err != nil {
		return nil, err
	}
	text := s.workspace.Text(file)
	items := []completionItem{}
	for i, item := range project.Complete(file, at) {
		// Editors compare the label with the typed text. Neovim 0.7 ignores the range of an item with a filterText.
		items = append(items, completionItem{Label: strings.Trim(item.Label, `"`), Kind: completionKind(item.Role), Detail: item.Detail,
			SortText: fmt.Sprintf("%04d", i), TextEdit: textEdit{s.encoding.span(text, item.Edit.Start, item.Edit.End), item.Edit.Text}})
	}
	return object{"isIncomplete": false, "items": items}, nil
}

// completionKind returns the protocol's number for an icon.
func completionKind(role string) int {
	switch editor.Role(role) {
	case editor.Storage:
		return 10 // property
	case editor.View:
		return 7 // class
	case editor.Alias:
		return 25 // type parameter
	case editor.Plug:
		return 6 // variable
	case editor.Request:
		return 5 // field
	case editor.Hook:
		return 23 // event
	}
	switch role {
	case "keyword":
		return 14
	case "type":
		return 22 // struct
	}
	return 12 // value
}

func (s *server) hover(params placeParams) (any, error) {
	project, file, at, err := s.place(params)
	if err != nil {
		return nil, err
	}
	text, parts := s.workspace.Text(file), []string{}
	said, about := project.Hover(file, at)
	if said != "" {
		parts = append(parts, said)
	}
	for _, f := range project.Findings()[file] {
		start, end := place(text, f)
		if s.options.Explain == nil || start.Line != at.Line || at.Column < start.Column || end.Column < at.Column {
			continue
		}
		if more := s.options.Explain(f.Code); more != "" {
			parts = append(parts, more)
		}
	}
	if len(parts) == 0 {
		return nil, nil
	}
	answer := hover{Contents: markup{"markdown", strings.Join(parts, "\n\n---\n\n")}}
	if formats := s.client.TextDocument.Hover.ContentFormat; len(formats) > 0 && !slices.Contains(formats, "markdown") {
		answer.Contents.Kind = "plaintext"
	}
	if said != "" {
		where := s.encoding.span(text, about.Start, about.End)
		answer.Range = &where
	}
	return answer, nil
}

func (s *server) locations(list []editor.Occurrence) []location {
	out := []location{}
	texts := map[string]*edit.Text{}
	for _, o := range list {
		if texts[o.File] == nil {
			texts[o.File] = s.workspace.Text(o.File)
		}
		out = append(out, location{uriOf(o.File), s.encoding.span(texts[o.File], o.Start, o.End)})
	}
	return out
}

func (s *server) definition(params placeParams) (any, error) {
	project, file, at, err := s.place(params)
	if err != nil {
		return nil, err
	}
	return s.locations(project.Definitions(file, at)), nil
}

func (s *server) references(params placeParams) (any, error) {
	project, file, at, err := s.place(params)
	if err != nil {
		return nil, err
	}
	return s.locations(project.References(file, at, params.Context.IncludeDeclaration)), nil
}

func (s *server) highlight(params placeParams) (any, error) {
	project, file, at, err := s.place(params)
	if err != nil {
		return nil, err
	}
	here := slices.DeleteFunc(project.References(file, at, true), func(o editor.Occurrence) bool { return o.File != file })
	list := []object{}
	for _, l := range s.locations(here) {
		list = append(list, object{"range": l.Range})
	}
	return list, nil
}

func (s *server) prepareRename(params placeParams) (any, error) {
	project, file, at, err := s.place(params)
	if err != nil {
		return nil, err
	}
	here, err := project.Renamable(file, at)
	if err != nil {
		return nil, err
	}
	return object{"range": s.encoding.span(s.workspace.Text(file), here.Start, here.End), "placeholder": here.Name}, nil
}

func (s *server) rename(params placeParams) (any, error) {
	project, file, at, err := s.place(params)
	if err != nil {
		return nil, err
	}
	fix, err := project.Rename(file, at, params.NewName)
	if err != nil {
		return nil, err
	}
	return s.workspaceEdit(fix)
}

// workspaceEdit returns a fix in a form that the client accepts. It returns an error if the client cannot create or rename files.
func (s *server) workspaceEdit(fix *edit.Fix) (*workspaceEdit, error) {
	can := s.client.Workspace.WorkspaceEdit
	can.DocumentChanges = can.DocumentChanges || len(can.ResourceOperations) > 0 // which are among those; Neovim 0.7 says the second only
	byFile := map[string][]textEdit{}
	for _, e := range fix.Edits {
		change := textEdit{s.encoding.span(s.workspace.Text(e.File), e.Start, e.End), e.Text}
		if !slices.Contains(byFile[e.File], change) {
			byFile[e.File] = append(byFile[e.File], change)
		}
	}
	for what, needed := range map[string]bool{"create": len(fix.Create) > 0, "rename": len(fix.Rename) > 0} {
		if needed && (!can.DocumentChanges || !slices.Contains(can.ResourceOperations, what)) {
			return nil, fmt.Errorf("this editor cannot %s files for a language server", what)
		}
	}
	if !can.DocumentChanges {
		out := &workspaceEdit{Changes: map[string][]textEdit{}}
		for file, edits := range byFile {
			out.Changes[uriOf(file)] = edits
		}
		return out, nil
	}
	out := &workspaceEdit{}
	for _, file := range slices.Sorted(maps.Keys(byFile)) {
		change := documentEdit{Edits: byFile[file]}
		change.TextDocument.URI, change.TextDocument.Version = uriOf(file), s.version(file)
		out.DocumentChanges = append(out.DocumentChanges, change)
	}
	for _, made := range fix.Create {
		out.DocumentChanges = append(out.DocumentChanges, fileOperation{Kind: "create", URI: uriOf(made.Name)})
		change := documentEdit{Edits: []textEdit{{NewText: made.Text}}}
		change.TextDocument.URI = uriOf(made.Name)
		out.DocumentChanges = append(out.DocumentChanges, change)
	}
	for _, moved := range fix.Rename {
		out.DocumentChanges = append(out.DocumentChanges, fileOperation{Kind: "rename", OldURI: uriOf(moved.From), NewURI: uriOf(moved.To)})
	}
	return out, nil
}

func (s *server) version(file string) *int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.versions[file]
}

// Kinds of actions, and the server's command.
const (
	kindQuickFix   = "quickfix"
	kindFixAll     = "source.fixAll"
	makeExecutable = "confdb.makeExecutable"
)

func (s *server) codeAction(params actionParams) (any, error) {
	file, ok := fileOf(params.TextDocument.URI)
	if !ok {
		return nil, nil
	}
	wanted := func(kind string) bool {
		return len(params.Context.Only) == 0 || slices.ContainsFunc(params.Context.Only, func(only string) bool {
			return only == kind || strings.HasPrefix(kind, only+".")
		})
	}
	project, text := s.workspace.Load(), s.workspace.Text(file)
	list := []any{}
	add := func(action codeAction) {
		if s.client.TextDocument.CodeAction.CodeActionLiteralSupport != nil {
			list = append(list, action)
		} else if action.Command != nil && action.Edit == nil {
			list = append(list, action.Command) // an old client knows commands only
		}
	}
	if wanted(kindQuickFix) {
		for _, f := range project.Actions(file, params.Range.Start.Line+1, params.Range.End.Line+1) {
			action := codeAction{Title: sentence(f.Fix.Title), Kind: kindQuickFix, Diagnostics: []diagnostic{s.diagnostic(text, f)}, IsPreferred: true}
			if s.fill(&action, f.Fix) {
				add(action)
			}
		}
	}
	if wanted(kindFixAll) {
		var fixes []*edit.Fix
		for _, f := range project.Actions(file, 1, text.Lines()) {
			if len(f.Fix.Executable)+len(f.Fix.Create)+len(f.Fix.Rename) == 0 {
				fixes = append(fixes, f.Fix)
			}
		}
		all := &edit.Fix{}
		taken, _ := edit.Choose(fixes)
		for _, fix := range taken {
			all.Edits = append(all.Edits, fix.Edits...)
		}
		action := codeAction{Title: "Mend all that can be mended", Kind: kindFixAll}
		if len(taken) > 1 && s.fill(&action, all) || len(taken) == 1 && len(params.Context.Only) > 0 && s.fill(&action, all) {
			add(action)
		}
	}
	return list, nil
}

// fill adds a fix to an action. It returns false if the client cannot perform the fix.
func (s *server) fill(action *codeAction, fix *edit.Fix) bool {
	executables := slices.Clone(fix.Executable)
	for _, made := range fix.Create {
		if made.Executable {
			executables = append(executables, made.Name)
		}
	}
	if len(executables) > 0 {
		action.Command = &command{Title: action.Title, Command: makeExecutable, Arguments: []string{uriOf(executables[0])}}
	}
	if len(fix.Edits)+len(fix.Create)+len(fix.Rename) == 0 {
		return true
	}
	change, err := s.workspaceEdit(fix)
	action.Edit = change
	return err == nil
}

func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

func (s *server) symbols(params placeParams) (any, error) {
	file, ok := fileOf(params.TextDocument.URI)
	if !ok {
		return nil, nil
	}
	text := s.workspace.Text(file)
	outline := s.workspace.Load().Outline(file)
	if s.client.TextDocument.DocumentSymbol.HierarchicalDocumentSymbolSupport {
		return s.tree(text, outline), nil
	}
	list := []flatSymbol{}
	var flatten func(parts []editor.Outline, in string)
	flatten = func(parts []editor.Outline, in string) {
		for _, part := range parts {
			list = append(list, flatSymbol{part.Name, symbolKind(part.Role), location{uriOf(file), s.encoding.span(text, part.Start, part.End)}, in})
			flatten(part.Parts, part.Name)
		}
	}
	flatten(outline, "")
	return list, nil
}

func (s *server) tree(text *edit.Text, parts []editor.Outline) []symbol {
	list := []symbol{}
	for _, part := range parts {
		list = append(list, symbol{part.Name, part.Detail, symbolKind(part.Role), s.encoding.span(text, part.Start, part.End),
			s.encoding.span(text, part.Name0, part.Name1), s.tree(text, part.Parts)})
	}
	return list
}

// symbolKind returns the protocol's number for a role.
func symbolKind(role editor.Role) int {
	return map[editor.Role]int{editor.View: 5, editor.Storage: 7, editor.Request: 8, editor.Alias: 26, editor.Plug: 13, editor.Hook: 24}[role]
}

func (s *server) folding(params placeParams) (any, error) {
	file, ok := fileOf(params.TextDocument.URI)
	if !ok {
		return nil, nil
	}
	list := []fold{}
	for _, lines := range s.workspace.Load().Folds(file) {
		list = append(list, fold{lines[0] - 1, lines[1] - 1})
	}
	return list, nil
}

func (s *server) formatting(params placeParams) (any, error) {
	file, ok := fileOf(params.TextDocument.URI)
	if !ok {
		return nil, nil
	}
	edits, err := s.workspace.Load().Format(file)
	if err != nil {
		return nil, err
	}
	text, list := s.workspace.Text(file), []textEdit{}
	for _, e := range edits {
		list = append(list, textEdit{s.encoding.span(text, e.Start, e.End), e.Text})
	}
	return list, nil
}

// tokenTypes are the types of semantic tokens, in the order of their numbers.
var tokenTypes = []string{"type", "property", "class", "parameter", "variable", "event"}

func (s *server) tokens(params placeParams) (any, error) {
	file, ok := fileOf(params.TextDocument.URI)
	if !ok {
		return nil, nil
	}
	numbers := map[editor.Role]int{editor.Alias: 0, editor.Storage: 1, editor.View: 2, editor.Request: 3, editor.Plug: 4, editor.Hook: 5}
	text := s.workspace.Text(file)
	here := slices.Clone(slices.DeleteFunc(slices.Clone(s.workspace.Load().Index()), func(o editor.Occurrence) bool { return o.File != file || o.Start == o.End }))
	slices.SortStableFunc(here, func(a, b editor.Occurrence) int {
		if a.Start.Line != b.Start.Line {
			return a.Start.Line - b.Start.Line
		}
		return a.Start.Column - b.Start.Column
	})
	data, last, behind := []int{}, position{}, document.Position{}
	for _, o := range here {
		if o.Start.Line == behind.Line && o.Start.Column < behind.Column {
			continue // tokens may not overlap
		}
		where := s.encoding.span(text, o.Start, o.End)
		column := where.Start.Character
		if where.Start.Line == last.Line {
			column -= last.Character
		}
		modifiers := 0
		if o.Definition {
			modifiers = 1
		}
		data = append(data, where.Start.Line-last.Line, column, where.End.Character-where.Start.Character, numbers[o.Role], modifiers)
		last, behind = where.Start, o.End
	}
	return object{"data": data}, nil
}

// publishLoop publishes diagnostics after each change, when nothing more was typed for Options.Pause, until ctx ends.
func (s *server) publishLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		timer := time.NewTimer(s.options.Pause)
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-s.wake:
				timer.Reset(s.options.Pause)
			case <-timer.C:
				waiting = false
			}
		}
		s.publish(ctx)
	}
}

// publish sends the diagnostics of the files in which they have changed.
func (s *server) publish(ctx context.Context) {
	defer func() {
		if fault := recover(); fault != nil {
			s.report("diagnostics", fault)
		}
	}()
	found := s.workspace.Load().Findings()
	for file := range s.published {
		if _, known := found[file]; !known {
			found[file] = nil
		}
	}
	for _, file := range slices.Sorted(maps.Keys(found)) {
		text := s.workspace.Text(file)
		message := published{URI: uriOf(file), Version: s.version(file), Diagnostics: []diagnostic{}}
		for _, f := range found[file] {
			message.Diagnostics = append(message.Diagnostics, s.diagnostic(text, f))
		}
		raw, err := json.Marshal(message)
		before, sent := s.published[file]
		if err != nil || sent && before == string(raw) || !sent && len(message.Diagnostics) == 0 && message.Version == nil {
			continue
		}
		if len(message.Diagnostics) == 0 && message.Version == nil {
			delete(s.published, file)
		} else {
			s.published[file] = string(raw)
		}
		if err := s.conn.Notify(ctx, "textDocument/publishDiagnostics", message); err != nil && ctx.Err() == nil {
			s.report("diagnostics", err)
			return
		}
	}
}

func (s *server) diagnostic(text *edit.Text, f lint.Finding) diagnostic {
	start, end := place(text, f)
	d := diagnostic{Range: s.encoding.span(text, start, end), Code: f.Code, Source: "confdb", Message: f.Message,
		Severity: map[lint.Level]int{lint.Error: 1, lint.Warning: 2, lint.Note: 3}[f.Level]}
	if f.Help != "" {
		d.Message += "\n" + f.Help
	}
	if strings.Contains(f.Doc, "://") {
		d.CodeDescription = &codeDescription{f.Doc}
	}
	return d
}

// place returns the start and end of the value, or the word, at the position of a finding.
func place(text *edit.Text, f lint.Finding) (start, end document.Position) {
	start = document.Position{Line: f.Line, Column: f.Column}
	if end, ok := text.Token(start, ""); ok && end.Line == start.Line {
		return start, end
	}
	runes := []rune(text.Line(f.Line))
	end = start
	for open := 0; end.Column <= len(runes); end.Column++ {
		r := runes[end.Column-1]
		if strings.ContainsRune(" \t,", r) || r == ':' && end.Column > start.Column || (r == '}' || r == ']') && open == 0 {
			break
		}
		switch r {
		case '{', '[':
			open++
		case '}', ']':
			open--
		}
	}
	if end == start {
		end.Column++
	}
	return start, end
}
