package generate

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/snapdhttp"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb/path"
)

//go:embed client.py
var pythonClient string

// pythonErrors are the classes of client.py for the kinds of errors.
var pythonErrors = map[error]string{
	backend.ErrNoData: "NoData", backend.ErrNoMatch: "NoMatch", backend.ErrUnauthorized: "Unauthorized", backend.ErrInvalid: "Invalid",
	backend.ErrBadRequest: "BadRequest", backend.ErrNoSchema: "NoSchema", backend.ErrNoView: "NoView", backend.ErrNoCustodian: "NoCustodian",
	backend.ErrDisabled: "Disabled", backend.ErrNotConnected: "NotConnected", backend.ErrRejected: "Refused", backend.ErrBusy: "Busy",
	backend.ErrUnknown: "OutcomeUnknown", backend.ErrUnsupported: "Unsupported",
}

var pythonKeywords = strings.Fields("and as assert async await bool break case class cls continue def del dict elif else except field finally float " +
	"for from global if import in int is lambda list match nonlocal not object or pass property raise return self str super try type while with yield")

// Python returns the source of a module for Python 3.8 and later, which needs only the standard library. It has a class for each
// view, a dataclass for each kind of map, and the client of snapd and snapctl that they use.
func (s *Source) Python() string {
	views := s.Views()
	p := &python{}
	p.linef(`"""Typed access to the views of the confdb-schema %s.`, docText(s.Parsed.Name))
	p.linef("")
	if s.Summary != "" {
		p.linef("%s\n", docText(s.Summary))
	}
	for _, line := range s.Header("python") {
		p.linef("%s", docText(line))
	}
	p.linef(`"""`)
	p.linef(pythonImports)
	client := strings.Replace(pythonClient, "@@WORDS@@\n", pythonWords(), 1)
	p.text.WriteString(client)
	for _, t := range structs(views) {
		if t.Kind == Struct {
			p.dataclass(t)
		}
	}
	names := namer{}
	for _, t := range structs(views) {
		names.unique("type", t.Name)
	}
	for _, view := range views {
		p.view(s, view, camel(names.unique("view "+view.Name, view.Name, view.Name+"-view")))
	}
	return p.text.String()
}

const pythonImports = `
from __future__ import annotations

import dataclasses
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Generic, Iterator, List, Optional, Sequence, Tuple, Type, TypeVar, Union, cast, get_type_hints
from typing import Literal, get_args, get_origin
from urllib.parse import urlencode

_T = TypeVar("_T")

`

// pythonWords prints the tables from snapd's kinds and messages to kinds of errors. This project's client uses the same tables.
func pythonWords() string {
	var text strings.Builder
	text.WriteString("_KINDS: Tuple[Tuple[str, str, Type[ConfdbError]], ...] = (\n")
	for _, row := range snapdhttp.Kinds() {
		fmt.Fprintf(&text, "    (%s, %s, %s),\n", quote(row.Kind), quote(row.Part), pythonErrors[row.Is])
	}
	text.WriteString(")\n_WORDS: Tuple[Tuple[str, Type[ConfdbError]], ...] = (\n")
	for _, row := range snapdhttp.Words() {
		fmt.Fprintf(&text, "    (%s, %s),\n", quote(row.Pattern), pythonErrors[row.Is])
	}
	text.WriteString(")\n")
	return text.String()
}

// quote returns a text as a literal of Python. A Go literal in ASCII is also one of Python.
func quote(text string) string { return strconv.QuoteToASCII(text) }

// docText returns a text for a docstring.
func docText(text string) string {
	text = strings.ReplaceAll(text, `\`, `\\`)
	return strings.TrimSpace(strings.ReplaceAll(text, `"`, `'`))
}

type python struct{ text strings.Builder }

func (p *python) linef(format string, args ...any) { fmt.Fprintf(&p.text, format+"\n", args...) }

// snake returns a name as that of a variable: max_speed for max-speed. client.py converts it to the name in JSON.
func snake(name string) string {
	name = strings.ReplaceAll(name, "-", "_")
	if slices.Contains(pythonKeywords, name) {
		name += "_"
	}
	return name
}

func (p *python) dataclass(t *Type) {
	p.linef("\n\n@dataclass")
	p.linef("class %s:", camel(t.Name))
	if t.Required != nil {
		p.linef(`    """It needs %s."""`+"\n", strings.Join(t.Required, ", or "))
	}
	if t.Required == nil && len(t.Fields) == 0 && t.Element == nil {
		p.linef("    pass")
	}
	for _, f := range t.Fields {
		comment := ""
		if notes := f.Notes(); len(notes) > 0 {
			comment = "  # " + strings.Join(notes, "; ")
		}
		p.linef("    %s: Optional[%s] = None%s", snake(f.Name), pythonType(f.Type), comment)
	}
	if t.Element != nil {
		p.linef(`    %s: Optional[Dict[str, %s]] = field(default=None, metadata={"entries": True})  # all others, by name`,
			t.rest("entries"), pythonType(t.Element))
	}
}

// rest returns the name of the attribute for members without a Field.
func (t *Type) rest(name string) string {
	for slices.ContainsFunc(t.Fields, func(f Field) bool { return strings.ReplaceAll(f.Name, "-", "") == strings.ReplaceAll(name, "_", "") }) {
		name = "other_" + name
	}
	return name
}

func pythonType(t *Type) string {
	if t == nil {
		return "Any"
	}
	switch t.Kind {
	case Text:
		if t.Choices == nil {
			return "str"
		}
		var list []string
		for _, choice := range t.Choices {
			list = append(list, quote(choice))
		}
		return "Literal[" + strings.Join(list, ", ") + "]"
	case Int:
		if t.Choices == nil {
			return "int"
		}
		return "Literal[" + strings.Join(t.Choices, ", ") + "]"
	case Number:
		return "float"
	case Bool:
		return "bool"
	case List:
		if t.Gaps {
			return "List[Optional[" + pythonType(t.Element) + "]]"
		}
		return "List[" + pythonType(t.Element) + "]"
	case Map:
		return "Dict[str, " + pythonType(t.Element) + "]"
	case Struct:
		return camel(t.Name)
	case Union:
		var list []string
		for _, alternative := range t.Alternatives {
			if text := pythonType(alternative); !slices.Contains(list, text) {
				list = append(list, text)
			}
		}
		if len(list) == 1 {
			return list[0]
		}
		return "Union[" + strings.Join(list, ", ") + "]"
	}
	return "Any"
}

func (p *python) view(s *Source, v View, class string) {
	p.linef("\n\nclass %s(_View):", class)
	about := v.Summary
	if about == "" {
		about = "The view " + v.Name + "."
	}
	p.linef(`    """%s"""`+"\n", docText(about))
	p.linef("    _view = %s", quote(s.Parsed.ID()+"/"+v.Name))
	p.linef("    _name = %s", quote(v.Name))
	p.linef("    _data = %s", pythonType(v.Data))
	if v.Writable {
		p.linef("    _paths = %s", pythonPaths(v.Paths))
	}
	if v.Readable {
		p.read(v)
	}
	if v.Writable {
		p.linef("\n    def set(self, data: %s) -> None:", pythonType(v.Data))
		p.linef(`        """Writes what is there in one transaction. None is left out; an empty list or map unsets."""`)
		p.linef("        self._set(self._shaped(data))")
		p.linef("\n    def unset(self, *requests: %s) -> None:", v.writable())
		p.linef(`        """Removes what the request paths lead to, in one transaction."""`)
		p.linef("        self._set({request: None for request in requests})")
	}
	if v.Readable && v.Writable {
		p.linef("\n    def update(self, change: Callable[[%s], None]) -> None:", pythonType(v.Data))
		p.linef(`        """Reads, has change alter the data, and writes what is different. Somebody else may write in between: snapd has no lock."""`)
		p.linef("        self._update(change)")
	}
	for i, name := range v.members("get", "set", "unset", "update", "watch") {
		p.item(v.Items[i], snake(name))
	}
}

func (p *python) read(v View) {
	kind := pythonType(v.Data)
	signature, values, needed := "", "", false
	for _, parameter := range v.Parameters {
		name := snake(parameter.Name)
		if name == "previous" {
			name = "previous_"
		}
		values += quote(parameter.Name) + ": " + name + ", "
		if parameter.Required {
			signature += ", " + name + ": Union[str, int, float, bool]"
			needed = true
		} else {
			signature += ", " + name + ": Optional[Union[str, int, float, bool]] = None"
		}
	}
	p.linef("\n    def get(self, *%s, previous: bool = False) -> %s:", signature, kind)
	p.linef(`        """All that the view shows. NoData is raised if there is nothing. previous is for hooks: what was before the write."""`)
	p.linef("        return cast(%s, self._get({%s}, previous))", quote(kind), strings.TrimSuffix(values, ", "))
	if needed {
		return // a watch would need the constraints
	}
	p.linef("\n    def watch(self, every: float = 60.0, timeout: Optional[float] = None) -> Iterator[%s]:", kind)
	p.linef(`        """What the view shows now, and again after each change. Inside of a snap it reads every so many seconds."""`)
	p.linef("        return cast(%s, self._watch(every, timeout))", quote("Iterator["+kind+"]"))
}

// writable returns the Python type of the request paths that can be unset.
func (v View) writable() string {
	var list []string
	for _, item := range v.Items {
		switch {
		case !item.Writable:
		case len(item.Placeholders) > 0 || len(item.Request) > 1:
			return "str" // a part of a path is one, too
		default:
			list = append(list, quote(item.Request.String()))
		}
	}
	return "Literal[" + strings.Join(list, ", ") + "]"
}

func pythonPaths(p *Paths) string {
	own := "False"
	if p.Own {
		own = "True"
	}
	var inner []string
	for _, name := range sorted(p.Inner) {
		inner = append(inner, quote(name)+": "+pythonPaths(p.Inner[name]))
	}
	return `{"own": ` + own + `, "inner": {` + strings.Join(inner, ", ") + "}}"
}

func (p *python) item(item Item, name string) {
	var arguments, given strings.Builder
	for _, placeholder := range item.Placeholders {
		kind := "str"
		if placeholder.Kind == path.IndexPlaceholder {
			kind = "int"
		}
		fmt.Fprintf(&arguments, ", %s: %s", snake(placeholder.Name), kind)
		fmt.Fprintf(&given, ", %s", snake(placeholder.Name))
	}
	request := fmt.Sprintf("_at(%s%s)", quote(item.pattern()), given.String())
	of, with := "Item", "self, "+request
	switch {
	case !item.Writable:
		of = "ReadItem"
	case !item.Readable:
		of = "WriteItem"
	}
	p.linef("\n    def %s(self%s) -> %s[%s]:", name, arguments.String(), of, pythonType(item.Type))
	p.linef(`        """%s"""`, docText(strings.Join(append([]string{item.Request.String()}, item.Type.Notes(true)...), "; ")))
	p.linef("        return %s(%s, %s)", of, with, pythonType(item.Type))
}

// pattern returns the request path with {} and [{}] in the places of placeholders.
func (i Item) pattern() string {
	request := slices.Clone(i.Request)
	for at := range request {
		if request[at].Open() {
			request[at].Name = ""
		}
	}
	return request.Bare()
}
