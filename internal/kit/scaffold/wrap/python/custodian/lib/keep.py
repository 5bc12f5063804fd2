"""Changes values in a configuration file and keeps all the rest: comments, order, quotes, indentation.

edit() reads its own result: if that has another value than asked for, or lacks a comment, edit() raises Refused and the file
stays as it is. What cannot be changed safely is an entry of the kind "other", with the reason.
"""
import datetime
import re


class Broken(Exception):
    """The file cannot be read. The text begins with the line."""


class Refused(Exception):
    """A value cannot be put into the file."""


class Entry:
    """A value in a file, and the key before it.

    kind is bool, int, number, string, date, list, null or other; line begins at 1; start and end say where the text of the
    value is, first and next which lines belong to the entry.
    """

    def __init__(self, path, line, start, place, first=0, following=0):
        self.path = path
        self.line = line
        self.start = self.end = start
        self.place = place
        self.first = first
        self.next = following
        self.kind = ""
        self.element = ""
        self.value = None
        self.why = ""
        self.member = -1
        self.items = []
        self.flow = False
        self.raw = ""

    def other(self, why):
        self.kind, self.element, self.value, self.why = "other", "", None, why

    def settle_list(self):
        """Finds the kind of the elements. A list of different kinds becomes other."""
        why, kind = "", ""
        for item in self.items:
            if item.kind in ("", "list"):
                why = "a list of lists or maps"
            elif item.kind in ("null", "other", "date"):
                why = "a list with a value of the kind " + item.kind
            elif kind in ("", item.kind):
                kind = item.kind
            elif {kind, item.kind} == {"int", "number"}:
                kind = "number"
            else:
                why = "a list of {} and {}".format(kind, item.kind)
        self.element = kind
        if why:
            self.other(why)


class Item:
    """An element of a list. next is the beginning of the next line, in lists with one element a line."""

    def __init__(self, start, end, value=None, kind="", following=0):
        self.start, self.end, self.value, self.kind, self.next = start, end, value, kind, following


class Place:
    """A map: where its keys are, and where a new one goes."""

    def __init__(self, path, flow=False, start=0, key_end=0, dotted=False):
        self.path = path
        self.flow = flow  # in braces, from start to end
        self.start = self.end = start
        self.members = []
        self.indent = ""
        self.after = 0  # where the next line goes
        self.dotted = dotted  # TOML: only named by keys with dots
        self.opaque = False  # inside of something that stays as it is
        self.key_end = key_end  # YAML: behind the colon of the map's key


class Line:
    def __init__(self, start, end, following):
        self.start, self.end, self.next = start, end, following


def lines_of(text):
    lines, at = [], 0
    while at < len(text):
        newline = text.find("\n", at)
        following = newline + 1 if newline >= 0 else len(text)
        end = newline if newline >= 0 else len(text)
        if newline > at and text[newline - 1] == "\r":
            end -= 1
        lines.append(Line(at, end, following))
        at = following
    return lines


PAIRS = [("true", "false"), ("True", "False"), ("TRUE", "FALSE"), ("yes", "no"), ("Yes", "No"), ("YES", "NO"), ("on", "off"),
         ("On", "Off"), ("ON", "OFF")]
INT = re.compile(r"-?(0|[1-9][0-9]*)\Z")
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+([eE][-+][0-9]+)?\Z")
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
DATES = [(re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z"), "%Y-%m-%d"),
         (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z"), "%Y-%m-%dT%H:%M:%SZ"),
         (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\Z"), "%Y-%m-%dT%H:%M:%S"),
         (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\Z"), "%Y-%m-%d %H:%M:%S"),
         (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[-+][0-9]{2}:[0-9]{2}\Z"), "%Y-%m-%dT%H:%M:%S%z"),
         (re.compile(r"[0-9]{2}:[0-9]{2}:[0-9]{2}\Z"), "%H:%M:%S")]


def is_date(text):
    return any(form.match(text) for form, _ in DATES)


def check_date(text, example):
    """Raises Refused if a text is no date in the form of an example."""
    for form, layout in DATES:
        if form.match(example):
            try:
                datetime.datetime.strptime(text, layout)
            except ValueError:
                raise Refused("the value is no date or time in the form of {}".format(example))
            if not form.match(text):
                raise Refused("the value is no date or time in the form of {}".format(example))
            return text
    raise Refused("the file has no date to compare the value with")


def bool_of(word):
    """Returns the value of a word such as yes, and the word for the other value."""
    for yes, no in PAIRS:
        if word == yes:
            return True, no
        if word == no:
            return False, yes
    return None, ""


def number_of(text):
    """Returns value, kind and reason of a number. Integers that a 64-bit float cannot hold are other."""
    text = text.lstrip("+")
    if not INT.match(text):
        if float(text) in (float("inf"), float("-inf")):
            return None, "other", "the number is too large"
        return float(text), "number", ""
    if abs(int(text)) > 1 << 53:
        return None, "other", "the number is too large to be held exactly"
    return int(text), "int", ""


def in_quotes(text):
    """Returns a text in double quotes, for YAML, JSON and TOML alike."""
    short = {"\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t", '"': '"', "\\": "\\"}
    out = ""
    for c in text:
        if c in short:
            out += "\\" + short[c]
        elif CONTROL.match(c) or c in "\ufffe\uffff":
            out += "\\u{:04X}".format(ord(c))
        else:
            out += c
    return '"' + out + '"'


def dotted(path):
    return ".".join(path)


class Document:
    """A file that was read. The class of each format reads, and writes literals."""

    separator = " = "

    def __init__(self, text):
        self.text = text
        self.eol = "\r\n" if re.search(r"\A[^\n]*\r\n", text) else "\n"
        self.entries = []
        self.places = {}
        self.comments = []
        self.sep = ""  # between key and value, as the first entry has it
        if text.startswith("\ufeff"):
            self.broken(0, "the file begins with a byte order mark: remove it")
        self.read()
        self.sep = self.sep or self.separator
        seen = {}
        for entry in self.entries:
            if entry.path in seen:
                raise Broken("line {}: {} stands here and in line {}: remove one".format(entry.line, dotted(entry.path), seen[entry.path].line))
            seen[entry.path] = entry
        self.found = seen

    def read(self):
        raise NotImplementedError

    def scalar(self, word):
        """Returns value, kind and reason of a text without quotes."""
        raise NotImplementedError

    def text_literal(self, text, like):
        raise NotImplementedError

    def key_literal(self, key):
        raise NotImplementedError

    def broken(self, at, reason):
        raise Broken("line {}: {}".format(self.text.count("\n", 0, at) + 1, reason))

    def literal_of(self, entry):
        return self.text[entry.start:entry.end]

    def literal(self, value, like):
        """Returns the text for a value in the style of like, the text of an earlier value."""
        if isinstance(value, bool):
            return self.bool_literal(value, like)
        if isinstance(value, int) and abs(value) > 1 << 53:
            raise Refused("the number is too large to be held exactly")
        if isinstance(value, (int, float)):
            return self.number_literal(value, like)
        if isinstance(value, str):
            return self.text_literal(value, like)
        inside = like.strip("[]").split(",")[0].strip()
        return "[" + ", ".join(self.literal(element, inside) for element in value) + "]"

    def bool_literal(self, value, like):
        return "true" if value else "false"

    def number_literal(self, value, like):
        if isinstance(value, float) and value == int(value) and abs(value) <= 1 << 53:
            value = int(value)
        text = repr(value)
        if NUMBER.match(like) and INT.match(text):
            text += ".0"
        return text

    # Editing

    def apply(self, path, value, like):
        """Returns the text with another value at a path. None removes the key."""
        entry = self.found.get(path)
        if entry is None:
            if path in self.places:
                raise Refused("the file has keys below it")
            return self.text if value is None else self.insert(path, value, like)
        if entry.kind == "other":
            raise Refused("line {} of the file has {}: change it there".format(entry.line, entry.why))
        if value is None:
            return self.remove(entry)
        if isinstance(value, list) and entry.kind == "list":
            return self.set_list(entry, value)
        if isinstance(value, list) and not self.has_lists or entry.kind == "list":
            raise Refused("line {} of the file has another type".format(entry.line))
        text = self.literal(value, like if entry.kind == "null" else self.literal_of(entry))
        if entry.start == entry.end and entry.start > 0 and self.text[entry.start - 1] not in " \t" and self.sep.endswith(" "):
            text = " " + text
        return self.splice(entry.start, self.empty_end(entry), text)

    def empty_end(self, entry):
        """Returns where the text of a value ends; of an empty one behind the spaces up to the end of its line."""
        end = entry.end
        while entry.start == entry.end and self.text[end:end + 1] in (" ", "\t"):
            end += 1
        return end if self.text[end:end + 1] in ("", "\n", "\r") else entry.end

    has_lists = True

    def splice(self, start, end, text):
        return self.text[:start] + text + self.text[end:]

    def comments_in(self, start, end, indent):
        """Returns the comments inside of a part of the text, each on a line of its own."""
        return "".join(indent + self.text[a:b] + self.eol for a, b in self.comments if a >= start and b <= end)

    def remove(self, entry):
        place = entry.place
        if not place.flow:
            return self.remove_lines(entry, self.comments_in(entry.first, entry.next, place.indent))
        if len(place.members) == 1:
            return self.splice(place.start + 1, place.end - 1, "")
        if entry.member == len(place.members) - 1:
            return self.splice(place.members[entry.member - 1][1], place.members[entry.member][1], "")
        return self.splice(place.members[entry.member][0], place.members[entry.member + 1][0], "")

    def remove_lines(self, entry, kept):
        return self.splice(entry.first, entry.next, kept)

    def insert(self, path, value, like):
        """Adds a key behind the last one of its map, and the maps that it needs."""
        depth = len(path) - 1
        while depth > 0 and path[:depth] not in self.places:
            depth -= 1
        place = self.places.get(path[:depth])
        if place is None or place.opaque:
            raise Refused("the file has no place for it")
        text = self.literal(value, like)
        for i in range(depth + 1, len(path)):
            entry = self.found.get(path[:i])
            if entry is not None:
                added = self.insert_below(entry, path[i:], text)
                if added is None:
                    raise Refused("line {} of the file has a value for {}, and no map".format(entry.line, dotted(path[:i])))
                return added
        if place.flow:
            return self.insert_flow(place, path[depth:], text)
        return self.insert_lines(place, path, depth, text)

    def insert_below(self, entry, rest, text):
        return None

    def insert_flow(self, place, rest, text):
        raise NotImplementedError

    def insert_lines(self, place, path, depth, text):
        """INI and TOML: a line at the end of a section, or a new section."""
        while place.dotted:
            depth -= 1
            place = self.places.get(path[:depth], place)
            if not place.dotted:
                return self.add_lines(place.after, place.indent + self.dotted_key(path[depth:]) + self.sep + text + self.eol)
        if len(path) - depth == 1:
            return self.add_lines(place.after, place.indent + self.key_literal(path[-1]) + self.sep + text + self.eol)
        lines = "[" + self.dotted_key(path[:-1]) + "]" + self.eol + self.key_literal(path[-1]) + self.sep + text + self.eol
        return self.add_lines(len(self.text), (self.eol if self.text.strip() else "") + lines)

    def dotted_key(self, path):
        return ".".join(self.key_literal(key) for key in path)

    def add_lines(self, at, lines):
        """Adds lines at the beginning of a line, or at the end of a text whose last line may have no end."""
        if at > 0 and self.text[at - 1] != "\n":
            lines = self.eol + lines
        return self.splice(at, at, lines)

    def indent_at(self, at):
        return re.match(r"[ \t]*", self.text[self.text.rfind("\n", 0, at) + 1:at]).group()

    def set_list(self, entry, values):
        """Changes a list, and leaves the elements as they are that are the same at its beginning and its end."""
        items, n = entry.items, len(entry.items)
        prefix = 0
        while prefix < min(n, len(values)) and equal(items[prefix].value, values[prefix]):
            prefix += 1
        suffix = 0
        while suffix < min(n, len(values)) - prefix and equal(items[n - 1 - suffix].value, values[len(values) - 1 - suffix]):
            suffix += 1
        texts = []
        for i, value in enumerate(values):
            if i < prefix:
                texts.append(self.text[items[i].start:items[i].end])
            elif i >= len(values) - suffix:
                old = items[n - len(values) + i]
                texts.append(self.text[old.start:old.end])
            else:
                like = items[i if i < n - suffix else 0] if n else None
                texts.append(self.literal(value, self.text[like.start:like.end] if like else ""))
        if n == 0:
            return self.splice(entry.start, entry.end, "[" + ", ".join(texts) + "]")
        if not texts:
            raise Refused("a list without elements: unset it")
        if not entry.flow:
            return self.set_lines(entry, texts, prefix, suffix)
        if len(texts) == n:
            out = self.text
            for item, text in reversed(list(zip(items, texts))):
                out = out[:item.start] + text + out[item.end:]
            return out
        if any(entry.start < a and b < entry.end for a, b in self.comments):
            raise Refused("the list in line {} has comments between its elements: change it in the file".format(entry.line))
        head, tail = self.text[entry.start:items[0].start], self.text[items[-1].end:entry.end]
        sep = ", "
        if n > 1:
            sep = self.text[items[0].end:items[1].start]
        elif "\n" in head:
            sep = "," + self.eol + self.indent_at(items[0].start)
        return self.splice(entry.start, entry.end, head + sep.join(texts) + tail)

    def set_lines(self, entry, texts, prefix, suffix):
        """Changes a list with one element a line."""
        items, n = entry.items, len(entry.items)
        start = self.text.rfind("\n", 0, items[0].start) + 1
        dash = self.text[start:items[0].start]
        indent = re.match(" *", dash).group()
        same = min(n, len(texts)) - suffix
        out = self.text
        for i in range(n - suffix - 1, same - 1, -1):
            begin = out.rfind("\n", 0, items[i].start) + 1
            out = out[:begin] + self.comments_in(begin, items[i].next, indent) + out[items[i].next:]
        added = texts[same:len(texts) - suffix]
        if added:
            at = items[same - 1].next if same > 0 else start
            lines = "".join(dash + text + self.eol for text in added)
            if at > 0 and out[at - 1] != "\n":
                lines = self.eol + lines
            out = out[:at] + lines + out[at:]
        for i in range(same - 1, prefix - 1, -1):
            out = out[:items[i].start] + texts[i] + out[items[i].end:]
        return out


def equal(a, b):
    """Says whether two values are the same. 1 and 1.0 are, and 1 and true are not."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b))
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def edit(kind, text, changes):
    """Returns the text of a file with changes: (path, value, like). None as value removes the key.

    kind is the class of the format. like is the text of an earlier value, whose style a new key takes.
    """
    before = kind(text)
    out = text
    for path, value, like in changes:
        try:
            out = kind(out).apply(path, value, like)
        except (Broken, Refused) as reason:
            raise Refused("cannot set {}: {}".format(dotted(path), reason))
    try:
        compare(before, kind(out), changes)
    except Broken as reason:
        raise Refused("cannot change the file safely ({}): change it by hand".format(reason))
    return out


def compare(before, after, changes):
    """Raises Broken if the values of a file are not those of another with changes, or if a comment is missing."""
    want = {entry.path: (entry.value, entry.raw if entry.kind == "other" else None) for entry in before.entries}
    for path, value, _ in changes:
        want.pop(path, None)
        if value is not None:
            want[path] = (value, None)
    for entry in after.entries:
        value, raw = want.pop(entry.path, (want, None))
        if not (equal(value, entry.value) or not before.has_lists and value == entry.raw) or raw is not None and raw != entry.raw:
            raise Broken(dotted(entry.path) + " would change")
    if want:
        raise Broken("a value would be lost")
    if comments_of(before) != comments_of(after):
        raise Broken("a comment would be lost")


def comments_of(document):
    return sorted(document.text[a:b].strip() for a, b in document.comments)
