"""INI files, for keep.py: sections, and keys with "=" or ":".

A comment begins with # or ; at the beginning of a line or behind a space, outside of quotes. A value in quotes is what is
between them.
"""
import re

import keep


class Ini(keep.Document):
    has_lists = False

    def read(self):
        place = self.places[()] = keep.Place(())
        last = None
        seen = {}
        for number, line in enumerate(keep.lines_of(self.text), 1):
            text = self.text[line.start:line.end]
            stripped = text.strip()
            if not stripped:
                last = None
                continue
            start = line.start + text.index(stripped[0])
            if stripped[0] in "#;":
                self.comments.append((start, line.end))
                continue
            if stripped[0] == "[":
                place, last = self.section(stripped, line), None
                place.after = line.next
                continue
            if last is not None and start - line.start > self.indentation(last):
                last.other("a text over several lines")
                last.end, last.next, place.after = line.end, line.next, line.next
                last.raw = self.text[last.start:last.end]
                continue
            entry = keep.Entry((), number, line.end, place, line.start, line.next)
            sign = re.search("[=:]", stripped)
            key = stripped
            if sign is None:
                entry.other("a key without a value")
            elif sign.start() == 0:
                self.broken(line.start, "a key is missing")
            else:
                key = stripped[:sign.start()].strip()
                self.value(entry, start + sign.end(), line.end)
                if not self.sep and start + len(key) < entry.start < entry.end:
                    self.sep = self.text[start + len(key):entry.start]
            place.indent, place.after = text[:start - line.start], line.next
            entry.path = place.path + (key,)
            entry.raw = self.text[entry.start:entry.end]
            last = entry
            if entry.path in seen:
                seen[entry.path].other("the key stands several times")
                seen[entry.path].raw += "\n" + entry.raw
                continue
            seen[entry.path] = entry
            self.entries.append(entry)

    def section(self, stripped, line):
        end = stripped.find("]")
        if end < 2:
            self.broken(line.start, "a bracket or the name of a section is missing")
        tail = stripped[end + 1:].strip()
        if tail and tail[0] not in "#;":
            self.broken(line.start, "something stands behind the name of a section")
        if tail:
            start = self.text.rindex(tail, line.start, line.end)
            self.comments.append((start, line.end))
        path = (stripped[1:end],)
        return self.places.setdefault(path, keep.Place(path))

    def indentation(self, entry):
        text = self.text[entry.first:entry.next]
        return len(text) - len(text.lstrip(" \t"))

    def value(self, entry, at, end):
        while at < end and self.text[at] in " \t":
            at += 1
        why, outside = "", at  # where comments may begin
        if at < end and self.text[at] in "\"'":
            why, closing = "quotes that do not enclose the whole value", self.text.find(self.text[at], at + 1, end)
            if closing >= 0:
                outside = closing + 1
                if re.match(r"[ \t]*\Z|[ \t]+[#;]", self.text[outside:end]):
                    why = ""
        elif at + 1 < end and self.text[at] in "#;" and self.text[at + 1] not in " \t":
            why, outside = "# or ; at its beginning, which is a text for some programs and a comment for others", end
        for i in range(outside, end):
            if self.text[i] in "#;" and self.text[i - 1] in " \t":
                self.comments.append((i, end))
                end = i
                break
        start, stop = at, at + len(self.text[at:max(at, end)].rstrip(" \t"))
        if start == stop:  # before the spaces in front of a comment
            while self.text[start - 1] in " \t":
                start -= 1
            stop = start
        entry.start, entry.end = start, stop
        word = self.text[start:stop]
        if why:
            entry.other(why)
            return
        if len(word) > 1 and word[0] in "\"'" and word[-1] == word[0]:
            entry.kind, entry.value = "string", word[1:-1]
            return
        entry.value, entry.kind, entry.why = self.scalar(word)

    def scalar(self, word):
        value, other = keep.bool_of(word)
        if other:
            return value, "bool", ""
        if keep.INT.match(word) and word != "-0":
            return keep.number_of(word)
        if keep.NUMBER.match(word) and repr(float(word)) == word:
            return float(word), "number", ""
        return word, "string", ""

    def bool_literal(self, value, like):
        was, other = keep.bool_of(like)
        if not other:
            return "true" if value else "false"
        return like if was == value else other

    def number_literal(self, value, like):
        if isinstance(value, float) and value == int(value) and abs(value) <= 1 << 53:
            value = int(value)
        return repr(value)

    def text_literal(self, text, like):
        quote = like[:1] if like[:1] in ("'", '"') else ""
        if (keep.CONTROL.search(text) or text.strip() != text or " #" in text or " ;" in text or text[:1] in ("#", ";") or
                quote and quote in text or not quote and text[:1] in ("'", '"')):
            raise keep.Refused("the value cannot be in an INI file: no line breaks, spaces at the ends, quotes at the beginning, # or ;")
        return quote + text + quote

    def key_literal(self, key):
        return key


FORMAT = Ini
