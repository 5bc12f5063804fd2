"""TOML files, for keep.py: tables, keys and values. Lists of tables and texts over several lines stay as they are."""
import re

import keep
import keep_flow

NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?\Z")
KEY = re.compile(r"[A-Za-z0-9_-]+\Z")


class Toml(keep_flow.Flow):
    sign = "="
    word_end = " \t#=[{\""
    escapes = {"e": "\x1b"}

    def read(self):
        place = self.places[()] = keep.Place(())
        lists, current = {}, None
        lines = keep.lines_of(self.text)
        n = 0
        while n < len(lines):
            line = lines[n]
            text = self.text[line.start:line.end].lstrip(" \t")
            start = line.end - len(text)
            n += 1
            if not text.strip():
                continue
            if text[0] == "#":
                self.comments.append((start, line.end))
                continue
            if text[0] == "[":
                path, double = self.header(start, line.end)
                current = None
                for name in lists:
                    if path[:len(name)] == name:
                        current = lists[name]
                place = keep.Place(path)
                place.after, place.indent = line.next, self.text[line.start:start]
                if double and current is None:
                    current = lists[path] = keep.Entry(path, n, line.start, self.places[()], line.start, line.next)
                    current.other("a list of tables")
                    self.entries.append(current)
                elif current is None and path in self.places and not self.places[path].dotted:
                    self.broken(line.start, "the table {} stands twice: remove one".format(keep.dotted(path)))
                if current is not None:
                    place.opaque = True
                    current.raw += self.text[line.start:line.next]
                else:
                    self.places[path] = place
                continue
            keys, at = self.flow_key(start)
            sign = at - 1
            while at < line.end and self.text[at] in " \t":
                at += 1
            entry, end = self.flow_value(at, place.path + keys, place, not place.opaque)
            last = n - 1
            while lines[last].end < end:
                last += 1
            n = last + 1
            tail = self.text[end:lines[last].end].lstrip(" \t")
            if tail and tail[0] != "#":
                self.broken(end, "something stands behind the value")
            if tail:
                self.comments.append((lines[last].end - len(tail), lines[last].end))
            if place.opaque:
                current.raw += self.text[line.start:lines[last].next]
                continue
            place.after = lines[last].next
            if not self.sep:
                self.sep = self.text[start + len(self.text[start:sign].rstrip(" \t")):at]
            for i in range(1, len(keys)):
                above = place.path + keys[:i]
                self.places.setdefault(above, keep.Place(above, dotted=True))
            if entry.kind:
                entry.first, entry.next, entry.place, entry.member = line.start, lines[last].next, place, -1
                entry.raw = self.text[entry.start:entry.end]
                self.entries.append(entry)

    def header(self, at, end):
        begin, path = at, ()
        double = self.text.startswith("[[", at)
        at += 2 if double else 1
        while True:
            while at < end and self.text[at] in " \t":
                at += 1
            if at < end and self.text[at] in "\"'":
                key, at = self.quoted(at)
                if at is None:
                    self.broken(begin, "the name of the table has no end")
            else:
                key = re.compile(r"[^.\] \t]*").match(self.text, at, end).group()
                if not KEY.match(key):
                    self.broken(begin, "{!r} is no name for a table".format(key))
                at += len(key)
            path += (key,)
            while at < end and self.text[at] in " \t":
                at += 1
            if at >= end or self.text[at] != ".":
                break
            at += 1
        close = "]]" if double else "]"
        tail = self.text[at:end]
        rest = tail[len(close):].lstrip(" \t")
        if not tail.startswith(close) or rest and rest[0] != "#":
            self.broken(begin, "a bracket is missing, or something stands behind it")
        if rest:
            self.comments.append((end - len(rest), end))
        return path, double

    def key_ends(self, at):
        return self.text[at:at + 1] == "."

    def is_key(self, key):
        return KEY.match(key) is not None

    def scalar(self, word):
        digits = word.replace("_", "")
        if word in ("true", "false"):
            return word == "true", "bool", ""
        if keep.is_date(word):
            return word, "date", ""
        if NUMBER.match(digits):
            return keep.number_of(digits)
        if keep_flow.ODD_NUMBER.match(word) or len(word) > 8 and word[0] in "0123456789":
            return None, "other", "a number or time in a form that has no equal in confdb"
        raise ValueError("the text is no value of TOML: texts need quotes")

    def text_literal(self, text, like):
        if keep.is_date(like):
            return keep.check_date(text, like)
        if like[:1] == "'" and not keep.CONTROL.search(text) and "'" not in text:
            return "'" + text + "'"
        return keep.in_quotes(text)

    def key_literal(self, key):
        return key if KEY.match(key) else keep.in_quotes(key)

    def pair(self, path, text, indent, wide):
        return self.dotted_key(path) + " = " + text

    def insert_flow(self, place, rest, text):
        if not place.members:
            return self.splice(place.start, place.end, "{ " + self.pair(rest, text, "", False) + " }")
        return super().insert_flow(place, rest, text)


FORMAT = Toml
