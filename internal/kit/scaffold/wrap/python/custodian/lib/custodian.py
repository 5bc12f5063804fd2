"""The hooks' work: what the views show is in the file, and what is written through them goes into the file.

load    load-view: reads the file, and hands its values in
change  change-view: refuses what cannot be put into the file, and adds what the file has
save    save-view: changes the file; if the write fails later on, snapd calls it again, and it changes the file back

Only lines with changed values change. The file is replaced as a whole: who reads it sees the old one or the new one.
"""
import contextlib
import hashlib
import importlib
import json
import os
import subprocess
import sys

import keep
import table

FORMAT = importlib.import_module("keep_" + table.FORMAT).FORMAT
FILE = os.path.expandvars(table.FILE)
STATE = os.path.expandvars("$SNAP_COMMON/.custodian.json")  # what this write has done so far; the next read removes it
LONGEST = 128 * 1024 - 1  # bytes of an argument of a program, for Linux


class Stop(Exception):
    """Why a hook cannot go on, for a person."""


def snapctl(*arguments):
    try:
        return subprocess.run(("snapctl",) + arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
    except OSError as reason:
        raise Stop("cannot run snapctl: {}".format(reason.strerror))


def get(*options):
    """Returns the values that confdb has, by request. Secrets are read through the view that only custodians may read."""
    values = {}
    for plug in (table.ADMIN, table.SECRETS):
        if not plug:
            continue
        done = snapctl("get", "-d", *options, "--view", plug)
        if done.returncode:
            if "no data" in done.stderr:
                continue
            raise Stop(done.stderr.strip())
        shown = json.loads(done.stdout)
        for request, _, _, _, secret in table.KEYS:
            value = shown if secret == (plug == table.SECRETS) else None
            for name in request.split("."):
                value = value.get(name) if isinstance(value, dict) else None
            if value is not None:
                values[request] = value
    return values


def argument(request, value):
    """Returns a value as snapctl takes it."""
    text = request + "!" if value is None else request + "=" + json.dumps(value, ensure_ascii=False)
    if len(text.encode()) > LONGEST:
        raise Stop("{}: {} is too long: a value may have 128 KiB, with its key".format(FILE, request))
    return text


def give(values, secret):
    """Hands values in, by request, in one call: of several only the last one counts."""
    arguments = [argument(request, values[request]) for request, _, _, _, is_secret in table.KEYS
                 if request in values and is_secret == secret]
    if arguments:
        done = snapctl("set", "-t", "--view", table.ADMIN, *arguments)
        if done.returncode:
            reason = "what it is stays unsaid, for it is secret" if secret else done.stderr.strip()
            raise Stop("{} has a value that the confdb-schema refuses: {}: correct the file".format(FILE, reason))


def read():
    try:
        with open(FILE, encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        raise Stop("{} does not exist: put the file there again; {} in the snap is one to begin with".format(FILE, "default/" + table.DEFAULT))
    except UnicodeDecodeError:
        raise Stop("{} is not UTF-8: save it as UTF-8".format(FILE))
    except OSError as reason:
        raise Stop("cannot read {}: {}".format(FILE, reason.strerror))


def values_of(text):
    """Returns the values of the file, by request. None stands for what the file does not have."""
    try:
        found = FORMAT(text).found
    except keep.Broken as reason:
        raise Stop("{}, {}: correct the file".format(FILE, reason))
    values = {}
    for request, path, kind, _, _ in table.KEYS:
        values[request] = None
        entry = found.get(path)
        if entry is None or entry.kind == "null" or entry.value == []:
            continue
        values[request] = fitting(entry, kind, table.FORMAT == "ini")
    return values


def fitting(entry, kind, texts):
    """Returns the value of an entry, if it is of the kind that the confdb-schema has."""
    is_list = kind.startswith("list ")
    found = entry.element if is_list and entry.kind == "list" else "" if is_list else entry.kind
    wanted = kind[len("list "):] if is_list else kind
    if texts and wanted == "string" and found in ("bool", "int", "number"):
        return entry.raw
    if found == wanted or wanted == "number" and found == "int":
        return entry.value
    reason = entry.why or "the file has {}, and the confdb-schema {}".format(entry.kind, kind)
    raise Stop("{}, line {}: {}: {}: correct the file".format(FILE, entry.line, keep.dotted(entry.path), reason))


def replace(path, text, like=None):
    """Replaces a file, as a whole, and keeps its mode and owner."""
    try:
        write(os.path.realpath(path), text, like)
    except OSError as reason:
        raise Stop("cannot write {}: {}".format(path, reason.strerror))


def write(path, text, like):
    new = os.path.join(os.path.dirname(path), "." + os.path.basename(path) + ".new")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)  # of a hook that was killed
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8", newline="") as file:
        file.write(text)
        if like:
            status = os.stat(like)
            with contextlib.suppress(PermissionError):
                os.fchown(file.fileno(), status.st_uid, status.st_gid)
            os.fchmod(file.fileno(), status.st_mode & 0o7777)
        file.flush()
        os.fsync(file.fileno())
    os.rename(new, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def remembered():
    try:
        with open(STATE, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def forget():
    """Removes the memory. It has the file's text from before a write, which may have a secret that is gone since."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(STATE)


def salted(salt, text):
    return hashlib.sha256((salt + text).encode()).hexdigest()


def edited(text, changes):
    """Returns the text of the file with changes, by request. What the file has already stays as it is."""
    now = values_of(text)
    edits = [(path, changes[request], like) for request, path, _, like, _ in table.KEYS
             if request in changes and not keep.equal(now[request], changes[request])]
    try:
        return keep.edit(FORMAT, text, edits)
    except keep.Refused as reason:
        raise Stop("{}: {}".format(FILE, reason))


def differences(now, before):
    return {request: now.get(request) for request, _, _, _, _ in table.KEYS
            if not keep.equal(now.get(request), before.get(request))}


def load(secret):
    forget()  # snapd reads only when no write is under way
    values = values_of(read())
    give(values, secret)


def change():
    staged, before = get(), get("--previous")
    changes = differences(staged, before)
    for request, value in changes.items():
        argument(request, value)  # what is too long could not be read again
    text = read()
    edited(text, changes)
    found = values_of(text)
    # What confdb remembers, and the file has in another way. Secrets are not copied into confdb, so it may not know them.
    other = [(request, secret) for request, _, _, _, secret in table.KEYS
             if request not in changes and not keep.equal(found[request], staged.get(request)) and (request in staged or not secret)]
    if other and not changes:
        # snapd does not tell which keys are written. Here all have the values that confdb remembers.
        if not before:
            raise Stop("confdb remembers no value of {} yet, so that nothing tells which one this write unsets: set it to a value first, "
                       "then unset it".format(FILE))
        raise Stop("{} was changed by hand since the last write: it has another {} than confdb remembers, so that this write cannot "
                   "be told from none: write another value of the same key first, then this one".format(FILE, ", ".join(sorted(request for request, _ in other))))
    stale = {request: found[request] for request, secret in other if not secret}
    replace(STATE, json.dumps({"stale": stale, "salt": os.urandom(16).hex()}))
    give(stale, False)


def save():
    done = remembered()
    staged = get()
    salt = done.setdefault("salt", "")
    mark = salted(salt, json.dumps(staged, sort_keys=True))
    text = read()
    if "after" in done and done["mark"] != mark:  # the write has failed: back to what was there before
        if salted(salt, text) == done["after"]:
            replace(FILE, done["before"], FILE)
        elif text != done["before"]:  # somebody has changed the file meanwhile
            replace(FILE, edited(text, done["undo"]), FILE)
        forget()
        return
    changes = {request: value for request, value in differences(staged, get("--previous")).items()
               if request not in done.get("stale", {}) or not keep.equal(value, done["stale"][request])}
    for _ in range(5):
        after = edited(text, changes)
        if after == text:
            return
        before = values_of(text)
        done.update(mark=mark, before=text, after=salted(salt, after), undo={request: before[request] for request in changes})
        replace(STATE, json.dumps(done))
        if text == read():
            replace(FILE, after, FILE)
            return
        text = read()  # somebody has just changed it
    raise Stop("{} changes all the time: try again".format(FILE))


def install():
    """Puts the file that the snap brings along in its place, if there is none."""
    if os.path.exists(FILE):
        return
    with open(os.path.expandvars("$SNAP/default/" + table.DEFAULT), encoding="utf-8", newline="") as file:
        text = file.read()
    replace(FILE, text)
    os.chmod(FILE, table.MODE)


def main(act, *arguments):
    try:
        act(*arguments)
    except Stop as reason:
        if act is change:
            done = snapctl("fail", str(reason))
            if done.returncode == 0:
                return  # snapd has the reason; an error of the hook would hide it
            reason = done.stderr
        sys.exit(str(reason))
