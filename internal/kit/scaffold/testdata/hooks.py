"""Runs the hooks of custodians in one process: a task a line on standard input, an answer a line on standard output.

snapctl is a table here: what a hook reads is in the task, and what it hands in is in the answer.
"""
import importlib
import json
import os
import subprocess
import sys

sys.dont_write_bytecode = True


def nested(values):
    tree = {}
    for request, value in values.items():
        at = tree
        *above, last = request.split(".")
        for name in above:
            at = at.setdefault(name, {})
        at[last] = value
    return tree


def run(task):
    os.environ.update(SNAP=task["snap"], SNAP_COMMON=task["common"])
    for name in [name for name in sys.modules if name in ("custodian", "table") or name.startswith("keep")]:
        del sys.modules[name]
    sys.path[0] = task["snap"] + "/lib"
    custodian = importlib.import_module("custodian")
    given, answer, views = {}, {}, {}

    def snapctl(*arguments):
        if arguments[0] == "get":
            values = views["previous" if "--previous" in arguments else "staged"]
            secret = arguments[-1] == custodian.table.SECRETS
            shown = {request: values[request] for request, _, _, _, is_secret in custodian.table.KEYS
                     if is_secret == secret and values.get(request) is not None}
            if not shown:
                return subprocess.CompletedProcess(arguments, 1, "", "no data")
            return subprocess.CompletedProcess(arguments, 0, json.dumps(nested(shown)), "")
        if arguments[0] == "set":
            for argument in arguments[4:]:
                request, sign, value = argument.partition("=")
                given[request.rstrip("!")] = json.loads(value) if sign else None
        if arguments[0] == "fail":
            answer["refused"] = arguments[1]
        return subprocess.CompletedProcess(arguments, 0, "", "")

    custodian.snapctl = snapctl
    custodian.main(custodian.install)
    custodian.main(custodian.load, False)
    custodian.main(custodian.load, True)
    answer["loaded"] = dict(given)
    views["previous"] = {request: value for request, value in given.items() if value is not None}
    views["staged"] = dict(views["previous"], **task["changes"])
    custodian.main(custodian.change)
    custodian.main(custodian.save) if "refused" not in answer else None
    with open(custodian.FILE, newline="", encoding="utf-8") as file:
        answer["text"] = file.read()
    views["staged"] = views["previous"]
    custodian.main(custodian.save) if "refused" not in answer else None
    with open(custodian.FILE, newline="", encoding="utf-8") as file:
        answer["back"] = file.read()
    return answer


for line in sys.stdin:
    print(json.dumps(run(json.loads(line))))
