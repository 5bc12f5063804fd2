"""JSON files, for keep.py."""
import re

import keep
import keep_flow

NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?\Z")


class Json(keep_flow.Flow):
    comment = ""
    quotes = '"'
    separator = ": "
    trailing_comma = False
    key_space = " \t\r\n"

    def read(self):
        at = self.blank(0)
        if self.text[at:at + 1] != "{":
            self.broken(at, "the file has no map of keys: it must begin with {")
        _, end = self.flow_value(at, (), None, True)
        if self.blank(end) < len(self.text):
            self.broken(end, "something stands behind the end of the map")
        self.wide = "\n" in self.text

    def blank(self, at):
        at = super().blank(at)
        if self.text[at:at + 1] in ("/", "#"):
            self.broken(at, "JSON has no comments: remove it")
        return at

    def after_key(self, behind):
        if not self.sep:
            self.sep = ":" if behind[0] == behind[1] else ": "

    def scalar(self, word):
        if word == "null":
            return None, "null", ""
        if word in ("true", "false"):
            return word == "true", "bool", ""
        if NUMBER.match(word):
            return keep.number_of(word)
        raise ValueError("the text is no value of JSON: texts need quotes")

    def text_literal(self, text, like):
        return keep.in_quotes(text)

    def key_literal(self, key):
        return keep.in_quotes(key)

    def unit(self):
        root = self.places[()]
        return (self.indent_at(root.members[0][0]) if root.members else "") or "  "

    def pair_sep(self):
        return self.sep


FORMAT = Json
