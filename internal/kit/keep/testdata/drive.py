"""Edits files with the generated hooks' library: one task a line on standard input, one answer a line on standard output.

An INI file is also read with configparser, before and after.
"""
import configparser
import importlib
import json
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
keep = importlib.import_module("keep")


def ini(text):
    parser = configparser.RawConfigParser(strict=False, inline_comment_prefixes=("#", ";"), default_section="no such section")
    parser.optionxform = str
    parser.read_string("[first line]\n" + text)
    return {section: dict(parser.items(section)) for section in parser.sections()}


for line in sys.stdin:
    task = json.loads(line)
    kind = importlib.import_module("keep_" + task["format"]).FORMAT
    answer = {}
    try:
        document = kind(task["text"])
        answer["entries"] = [[list(e.path), e.kind, e.element, e.value, e.line] for e in document.entries]
        answer["text"] = keep.edit(kind, task["text"], [(tuple(c["Path"]), c["Value"], c["Like"]) for c in task["changes"] or []])
    except (keep.Broken, keep.Refused) as reason:
        answer["error"] = str(reason)
    if task["format"] == "ini" and "entries" in answer:
        answer["ini"] = [ini(task["text"]), ini(answer.get("text", task["text"]))]
    print(json.dumps(answer))
