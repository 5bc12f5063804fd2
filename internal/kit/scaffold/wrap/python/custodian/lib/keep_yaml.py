"""YAML files, for keep.py: maps by indentation and in braces, lists, texts on one line.

Anchors, aliases, tags and texts over several lines stay as they are.
"""
import re

import keep
import keep_flow

PLAIN = re.compile(r"[\w./+~=<(\\$^;][\w ./+~=<>(\\$^;:@%!|)*&\"'#-]*\Z")
ODD_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?\Z")
NULLS = ("", "~", "null", "Null", "NULL")


class Yaml(keep_flow.Flow):
    word_end = "[{"
    escapes = {"0": "\x00", "a": "\a", "e": "\x1b", "v": "\v", " ": " ", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029"}
    separator = " "

    def read(self):
        self.lines = keep.lines_of(self.text)
        self.at = self.done = 0  # the line; behind the last line with more than a comment
        self.places[()] = keep.Place(())
        at, indent = self.peek()
        if at is None:
            return
        if re.match(r"---( +#.*)?\s*\Z", self.content(at)):
            self.at, self.done = at + 1, self.lines[at].next
            self.places[()].after = self.done
            at, indent = self.peek()
            if at is None:
                return
        if self.content(at)[0] == "{":
            del self.places[()]
            _, end = self.flow_value(self.lines[at].start + indent, (), None, True)
            if self.blank(end) < len(self.text):
                self.broken(end, "something stands behind the end of the map")
            return
        if self.is_dash(at):
            self.broken(self.lines[at].start, "the file is a list: a map of keys is needed")
        self.block(indent, ())

    def content(self, at):
        return self.text[self.lines[at].start:self.lines[at].end].strip()

    def is_dash(self, at):
        return (self.content(at) + " ").startswith("- ")

    def peek(self):
        """Returns the next line that has more than a comment, and its indentation."""
        while self.at < len(self.lines):
            line = self.lines[self.at]
            text = self.text[line.start:line.end]
            rest = text.lstrip(" ")
            if text.strip() == "":
                pass
            elif rest.lstrip("\t").startswith("#"):
                self.comments.append((line.start + text.index("#"), line.end))
            elif rest[0] == "\t":
                self.broken(line.start, "a tab stands in the indentation: use spaces")
            elif text.startswith("---") and self.done > 0 or text.strip() == "..." and text[0] == ".":
                self.broken(line.start, "the file has several documents: one is needed")
            elif text[0] == "%":
                self.broken(line.start, "a directive: remove it")
            else:
                return self.at, len(text) - len(rest)
            self.at += 1
        return None, -1

    def block(self, indent, path):
        """Reads a map whose keys have an indentation."""
        place = self.places.setdefault(path, keep.Place(path))
        place.indent = " " * indent
        keys = set()
        while True:
            at, found = self.peek()
            if at is None or found < indent:
                return
            line = self.lines[at]
            if found > indent:
                self.broken(line.start, "the line is indented by {} spaces, and the keys above by {}".format(found, indent))
            if self.is_dash(at):
                self.broken(line.start, "an element of a list stands among keys")
            key, start = self.key(line.start + found, line.end)
            if key in keys:
                self.broken(line.start, "the key {!r} stands twice: remove one".format(key))
            keys.add(key)
            entry = self.value(keep.Entry(path + (key,), at + 1, start, place, line.start, line.next), start, indent)
            place.after = entry.next = self.done
            if entry.kind:
                entry.raw = self.text[entry.start:entry.end]
                self.entries.append(entry)

    def key(self, at, end):
        """Reads the key at an offset, and returns where its value begins, or the end of the line."""
        if self.text[at] in "\"'":
            key, colon = self.quoted(at)
            if colon is None:
                self.broken(at, "the key has no end")
            while colon < end and self.text[colon] == " ":
                colon += 1
            if self.text[colon:colon + 1] != ":":
                self.broken(at, "a colon is missing behind the key")
        else:
            found = re.compile(r"(?:(?! #).)*?(?=:(?:[ \t]|\Z))").match(self.text[:end], at)
            if found is None or found.end() == at:
                self.broken(at, "a key and a colon are expected")
            key, colon = found.group().rstrip(" "), found.end()
            if key[0] in "&*!?|>%@`{}[],#" and key != "<<":
                self.broken(at, "the text is no key that the hooks can read")
        colon += 1
        while colon < end and self.text[colon] in " \t":
            colon += 1
        return key, colon

    def tail(self, at, end):
        """Reads what stands behind a value: nothing, or a comment."""
        rest = self.text[at:end].lstrip(" \t")
        if rest and (rest[0] != "#" or at > 0 and end - len(rest) == at and self.text[at - 1] not in " \t"):
            self.broken(at, "something stands behind the value")
        if rest:
            self.comments.append((end - len(rest), end))

    def finish(self, at):
        self.at, self.done = at + 1, self.lines[at].next

    def value(self, entry, at, indent):
        line = self.lines[self.at]
        first = self.text[at] if at < line.end else "#"
        if first == "#":
            while entry.start > line.start and self.text[entry.start - 1] in " \t":
                entry.start -= 1
            entry.end = entry.start
            self.tail(at, line.end)
            self.finish(self.at)
            return self.below(entry, indent)
        if first in "&*!|>" or entry.path[-1] == "<<":
            entry.other("a text over several lines" if first in "|>" else "an anchor, an alias or a tag")
            return self.skip(entry, indent, first in "|>")
        if first in "%@`,]}":
            self.broken(at, "a value cannot begin with {}: put it in quotes".format(first))
        if first in "[{":
            read, end = self.flow_value(at, entry.path, None, True)
            read.place, read.first, read.member, read.line = entry.place, entry.first, -1, entry.line
            if not read.kind:
                self.places[entry.path].indent, self.places[entry.path].key_end = entry.place.indent, at
            last = self.at
            while self.lines[last].end < end:
                last += 1
            self.tail(end, self.lines[last].end)
            self.finish(last)
            return read
        if first in "\"'":
            value, end = self.quoted(at)
            if end is None:
                entry.other("a text over several lines")
                return self.skip(entry, indent, True)
            entry.value, entry.kind, entry.end = value, "string", end
            self.tail(end, line.end)
        else:
            entry.end = self.plain_end(at, line.end)
            word = self.text[at:entry.end]
            if ": " in word or word.endswith(":") or word == "-" or word.startswith(("- ", "? ")):
                self.broken(at, "the value has a colon or a dash as YAML uses them: put the text in quotes")
            self.tail(entry.end, line.end)
            entry.value, entry.kind, entry.why = self.scalar(word)
        last = self.at
        self.finish(last)
        following, found = self.peek()
        if following is not None and found > indent:  # it goes on
            self.at = last
            entry.other("a text over several lines")
            return self.skip(entry, indent, True)
        return entry

    def plain_end(self, at, end):
        comment = self.text.find(" #", at, end)
        return at + len(self.text[at:comment if comment >= 0 else end].rstrip(" \t"))

    def skip(self, entry, indent, is_text):
        """Leaves out the lines that are indented more than the key. In a text, lines with # are text."""
        last = self.at
        for at in range(self.at + 1, len(self.lines)):
            line = self.lines[at]
            rest = self.text[line.start:line.end].lstrip(" ")
            if not rest or rest[0] == "#" and not is_text:
                continue
            if line.end - line.start - len(rest) <= indent:
                break
            last = at
        self.finish(last)
        entry.end = self.lines[last].end
        return entry

    def below(self, entry, indent):
        """Reads what is under a key without a value: a map, a list or nothing."""
        at, comments = self.at, len(self.comments)
        following, found = self.peek()
        if following is not None and self.is_dash(following) and found >= indent:
            return self.list(entry, found)
        if following is not None and found > indent:
            self.places[entry.path] = keep.Place(entry.path, key_end=entry.start)
            self.block(found, entry.path)
            return entry
        del self.comments[comments:]  # the caller reads them again
        self.at = at
        entry.kind = "null"
        return entry

    def list(self, entry, indent):
        """Reads a list with one element a line."""
        first, values = self.at, []
        while True:
            at, found = self.peek()
            if at is None or found < indent or found == indent and not self.is_dash(at):
                break
            line = self.lines[at]
            item = keep.Item(line.start, line.end, following=line.next)
            entry.items.append(item)
            if found == indent:
                self.element(item, line.start + found + 1, line)
            values.append(item.value)
            self.finish(at)
        entry.kind, entry.value, entry.start, entry.end = "list", values, self.lines[first].start, self.done
        entry.settle_list()
        return entry

    def element(self, item, at, line):
        while at < line.end and self.text[at] == " ":
            at += 1
        item.start = at
        c = self.text[at] if at < line.end else "#"
        if c in "#&*!|>[{%@`" or c == "-" and self.text[at + 1:at + 2] in (" ", "", "\n", "\r"):
            return
        if c in "\"'":
            value, end = self.quoted(at)
            if end is None:
                return
            item.value, item.kind, item.end = value, "string", end
        else:
            item.end = self.plain_end(at, line.end)
            word = self.text[at:item.end]
            if ": " in word or word.endswith(":"):
                return
            item.value, item.kind, _ = self.scalar(word)
        rest = self.text[item.end:line.end].lstrip(" \t")
        if rest and rest[0] != "#":
            item.kind = ""  # such as a key in quotes
        elif rest:
            self.comments.append((line.end - len(rest), line.end))

    def word_ends(self, at):
        return self.text.startswith((": ", " #"), at)

    def doubled(self, quote, at):
        return quote == "'" and self.text[at + 1:at + 2] == "'"

    def single(self, inside):
        return inside.replace("''", "'")

    def is_reference(self, c):
        return c in "&*!|>%@`"

    def is_key(self, key):
        return key != "" and key[0] not in "&*!?|>%@`<"

    def scalar(self, word):
        value, other = keep.bool_of(word)
        if other:
            return value, "bool", ""
        if word in NULLS:
            return None, "null", ""
        if keep.INT.match(word) or keep.NUMBER.match(word):
            return keep.number_of(word)
        if keep.is_date(word) and len(word) > 8:
            return word, "date", ""
        if keep_flow.ODD_NUMBER.match(word) or ODD_DATE.match(word):
            return None, "other", "programs read the value in different ways: put it in quotes, or write it plainly"
        return word, "string", ""

    def plain_safe(self, text):
        """Says whether every parser of YAML reads a text without quotes as this text."""
        if not PLAIN.match(text) or text.endswith((" ", ":")) or ": " in text or " #" in text or text in "ynYN":
            return False
        return self.scalar(text)[1] == "string"

    def bool_literal(self, value, like):
        was, other = keep.bool_of(like)
        if not other:
            return "true" if value else "false"
        return like if was == value else other

    def number_literal(self, value, like):
        text = super().number_literal(value, like)
        if "e" in text and "." not in text:
            text = text.replace("e", ".0e")
        return text

    def text_literal(self, text, like):
        quote = like[:1] if like[:1] in ("'", '"') else ""
        if not quote and keep.is_date(like) and len(like) > 8:
            return keep.check_date(text, like)
        if not quote and self.plain_safe(text):
            return text
        if quote == "'" and not keep.CONTROL.search(text):
            return "'" + text.replace("'", "''") + "'"
        return keep.in_quotes(text)

    def key_literal(self, key):
        return key if self.plain_safe(key) and ":" not in key else keep.in_quotes(key)

    def remove_lines(self, entry, kept):
        place = entry.place
        alone = not any(path[:-1] == place.path for path in self.places if path) and sum(e.place is place for e in self.entries) == 1
        if place.path and alone:  # a map without keys would be no value
            return self.text[:place.key_end] + " {}" + self.text[place.key_end:entry.first] + kept + self.text[entry.next:]
        return super().remove_lines(entry, kept)

    def insert_below(self, entry, rest, text):
        if entry.kind == "null" and not entry.place.flow:
            return self.add_lines(entry.next, self.nested(rest, text, entry.place.indent + self.unit()))
        return None

    def insert_lines(self, place, path, depth, text):
        return self.add_lines(place.after, self.nested(path[depth:], text, place.indent))

    def nested(self, path, text, indent):
        out = ""
        for i, key in enumerate(path):
            out += indent + self.unit() * i + self.key_literal(key) + ":"
            out += (" " + text if i == len(path) - 1 else "") + self.eol
        return out

    def insert_flow(self, place, rest, text):
        if place.members or not place.key_end:
            return super().insert_flow(place, rest, text)
        start = place.start  # lines instead of empty braces
        while self.text[start - 1] == " ":
            start -= 1
        newline = self.text.find("\n", place.end)
        following = newline + 1 if newline >= 0 else len(self.text)
        lines = self.nested(rest, text, place.indent + self.unit())
        if self.text[following - 1] != "\n":
            lines = self.eol + lines
        return self.text[:start] + self.text[place.end:following] + lines + self.text[following:]


FORMAT = Yaml
