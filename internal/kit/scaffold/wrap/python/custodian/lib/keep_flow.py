"""Values in braces and brackets, for the formats that have them: YAML, JSON and TOML."""
import re

import keep

ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "/": "/"}
ODD_NUMBER = re.compile(r"([-+]?(0[xXoObB]?[0-9a-fA-F_]+|[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|\.[0-9_]+([eE][-+]?[0-9]+)?|"
                        r"[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?|\.(inf|Inf|INF))|\.(nan|NaN|NAN)|[-+]?(inf|nan)|(=|<<))\Z")


class Flow(keep.Document):
    comment = "#"
    quotes = "\"'"
    sign = ":"
    word_end = " \t#:=[{\""
    escapes = {}
    trailing_comma = True

    def blank(self, at):
        """Skips what may stand between values: spaces, line ends, comments."""
        while at < len(self.text):
            c = self.text[at]
            if c in " \n\r\t":
                at += 1
            elif c == self.comment:
                end = re.compile(r"[^\r\n]*").match(self.text, at).end()
                self.comments.append((at, end))
                at = end
            else:
                break
        return at

    def word(self, at):
        """Returns the end of a text without quotes."""
        end = at
        while end < len(self.text) and self.text[end] not in ",]}\n\r" + self.word_end and not self.word_ends(end):
            end += 1
        return at + len(self.text[at:end].rstrip(" \t"))

    def word_ends(self, at):
        return False

    def quoted(self, at):
        """Returns the text in quotes at an offset, and where it ends: None if not on its line."""
        quote = self.text[at]
        i = at + 1
        while i < len(self.text) and self.text[i] != "\n":
            c = self.text[i]
            if c == "\\" and quote == '"':
                i += 1
            elif c == quote and self.doubled(quote, i):
                i += 1
            elif c == quote:
                inside = self.text[at + 1:i]
                return (self.single(inside) if quote == "'" else self.unescape(inside, at)), i + 1
            i += 1
        return "", None

    def doubled(self, quote, at):
        return False

    def single(self, inside):
        return inside

    def unescape(self, inside, at):
        out, i = "", 0
        while i < len(inside):
            if inside[i] != "\\":
                out += inside[i]
                i += 1
                continue
            c = inside[i + 1]
            i += 2
            width = {"x": 2, "u": 4, "U": 8}.get(c, 0) if c == "u" or self.escapes else 0
            if width:
                digits = inside[i:i + width]
                if not re.match("[0-9a-fA-F]{%d}\\Z" % width, digits):
                    self.broken(at, "\\{} is not followed by a character's number".format(c))
                code = int(digits, 16)
                i += width
                low = re.compile(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})").match(inside, i)
                if 0xD800 <= code < 0xDC00 and low:
                    code = 0x10000 + ((code - 0xD800) << 10) + int(low.group(1), 16) - 0xDC00
                    i = low.end()
                if code > 0x10FFFF or 0xD800 <= code < 0xE000:
                    self.broken(at, "\\{} is not followed by a character's number".format(c))
                out += chr(code)
            elif c in ESCAPES or c in self.escapes:
                out += ESCAPES.get(c) or self.escapes[c]
            else:
                self.broken(at, "\\{} is no escape".format(c))
        return out

    def flow_value(self, at, path, place, keeps):
        """Reads a value and what is inside. Without keeps nothing is recorded."""
        if at >= len(self.text):
            self.broken(at, "the file ends where a value is expected")
        entry = keep.Entry(path, self.text.count("\n", 0, at) + 1, at, place)
        c = self.text[at]
        if c == "{":
            return self.flow_map(entry, path, keeps)
        if c == "[":
            return self.flow_list(entry)
        if self.text.startswith(('"""', "'''"), at) and len(self.quotes) > 1:
            end = self.text.find(c * 3, at + 3)
            if end < 0:
                self.broken(at, "the text has no end")
            entry.end = end + 3
            while entry.end < len(self.text) and self.text[entry.end] == c:
                entry.end += 1
            entry.other("a text over several lines")
        elif c in self.quotes:
            value, end = self.quoted(at)
            if end is None:
                self.broken(at, "the text has no end in this line")
            entry.kind, entry.value, entry.end = "string", value, end
        elif self.is_reference(c):
            entry.end = self.word(at)
            entry.other("an anchor, an alias or a tag")
        else:
            entry.end = self.word(at)
            try:
                entry.value, entry.kind, entry.why = self.scalar(self.text[at:entry.end])
            except ValueError as reason:
                self.broken(at, reason)
        return entry, entry.end

    def is_reference(self, c):
        return False

    def flow_key(self, at):
        """Reads a key, and the sign behind it."""
        keys = []
        while True:
            if at >= len(self.text):
                self.broken(at, "a key is missing")
            if self.text[at] in self.quotes:
                key, end = self.quoted(at)
                if end is None:
                    self.broken(at, "the key has no end")
            else:
                end = at
                while end < len(self.text) and self.text[end] not in "\n\r,]}[{#\"" + self.sign and not self.key_ends(end):
                    end += 1
                key = self.text[at:end].rstrip(" \t")
                if not self.is_key(key):
                    self.broken(at, "the text is no key")
            keys.append(key)
            at = end
            while at < len(self.text) and self.text[at] in self.key_space:
                at += 1
            if self.key_ends(at):
                at += 1
                while at < len(self.text) and self.text[at] in " \t":
                    at += 1
                continue
            if self.text[at:at + 1] != self.sign:
                self.broken(at, '"{}" is expected behind the key {!r}'.format(self.sign, keep.dotted(keys)))
            return tuple(keys), at + 1

    key_space = " \t"

    def key_ends(self, at):
        return False

    def is_key(self, key):
        return False

    def after_key(self, at):
        """Is told where a value may begin, behind the sign."""

    def flow_map(self, entry, path, keeps):
        at = entry.start
        place = keep.Place(path, flow=True, start=at)
        following = self.blank(at + 1)
        while True:
            if following >= len(self.text):
                self.broken(at, "the brace has no end")
            if self.text[following] == "}":
                break
            begin, line = following, self.text.count("\n", 0, following) + 1
            keys, following = self.flow_key(following)
            behind = following
            following = self.blank(following)
            self.after_key((behind, following))
            inner, end = self.flow_value(following, path + keys, place, keeps)
            if inner.kind:
                inner.place, inner.member, inner.line = place, len(place.members), line
                if keeps:
                    inner.raw = self.text[inner.start:inner.end]
                    self.entries.append(inner)
            place.members.append((begin, end))
            following = self.separator_after(end, "}", "a comma or a brace is missing")
        place.end = entry.end = following + 1
        if keeps:
            if path in self.places:
                self.broken(at, "{} stands twice: remove one".format(keep.dotted(path)))
            self.places[path] = place
        entry.kind = ""
        return entry, place.end

    def separator_after(self, end, close, missing):
        following = self.blank(end)
        if self.text[following:following + 1] == ",":
            comma, following = following, self.blank(following + 1)
            if self.text[following:following + 1] == close and not self.trailing_comma:
                self.broken(comma, "a comma stands before {}".format(close))
        elif self.text[following:following + 1] != close:
            self.broken(following, missing)
        return following

    def flow_list(self, entry):
        entry.kind, entry.flow, values = "list", True, []
        following = self.blank(entry.start + 1)
        while True:
            if following >= len(self.text):
                self.broken(entry.start, "the bracket has no end")
            if self.text[following] == "]":
                break
            element, end = self.flow_value(following, entry.path, None, False)
            entry.items.append(keep.Item(following, end, element.value, element.kind))
            values.append(element.value)
            following = self.separator_after(end, "]", "a comma or a bracket is missing")
        entry.end, entry.value = following + 1, values
        entry.settle_list()
        return entry, entry.end

    def unit(self):
        """Returns the indentation of one level."""
        indents = [place.indent for place in self.places.values() if len(place.path) == 1 and not place.flow and place.indent]
        return min(indents, key=len) if indents else "  "

    wide = False  # whether braces go over several lines

    def insert_flow(self, place, rest, text):
        indent = self.indent_at(place.start) + self.unit()
        if place.members:
            first, last = place.members[0], place.members[-1]
            if "\n" in self.text[place.start:first[0]]:
                indent = self.indent_at(last[0])
                comma = re.match(r"[^#,]*,", self.text[last[1]:place.end - 1])
                if comma:
                    at = last[1] + comma.end()
                    return self.splice(at, at, self.eol + indent + self.pair(rest, text, indent, self.wide) + ",")
                return self.splice(last[1], last[1], "," + self.eol + indent + self.pair(rest, text, indent, self.wide))
            return self.splice(last[1], last[1], ", " + self.pair(rest, text, indent, False))
        if self.wide:
            inside = self.eol + indent + self.pair(rest, text, indent, True) + self.eol + self.indent_at(place.start)
            return self.splice(place.start, place.end, "{" + inside + "}")
        return self.splice(place.start, place.end, "{" + self.pair(rest, text, indent, False) + "}")

    def pair(self, path, text, indent, wide):
        """Returns a key and its value for a map in braces."""
        if len(path) == 1:
            return self.key_literal(path[0]) + self.pair_sep() + text
        inner = indent + self.unit()
        if wide:
            below = self.eol + inner + self.pair(path[1:], text, inner, True) + self.eol + indent
        else:
            below = self.pair(path[1:], text, inner, False)
        return self.key_literal(path[0]) + self.pair_sep() + "{" + below + "}"

    def pair_sep(self):
        return ": "
