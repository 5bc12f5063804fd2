class ConfdbError(Exception):
    """A request that failed. message has the words of snapd, reason the cause alone."""

    def __init__(self, message: str, reason: str = "", path: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or message
        self.path = path  # Invalid: the storage path; Mismatch: the request path


class NoData(ConfdbError):
    """Nothing is stored at the request."""


class NoMatch(ConfdbError):
    """No rule of the view allows the request."""


class NoView(ConfdbError):
    """The confdb-schema has no such view, or the snap has no such plug."""


class NoSchema(ConfdbError):
    """snapd does not know the confdb-schema."""


class Unauthorized(ConfdbError):
    """The caller is not root, is outside of a snap, or asks for a secret."""


class Invalid(ConfdbError):
    """The storage schema refuses a value."""


class BadRequest(ConfdbError):
    """A request path, a value or a constraint is malformed."""


class Mismatch(ConfdbError):
    """What is stored does not fit the types of this file: another revision of the confdb-schema may be in force."""


class NoCustodian(ConfdbError):
    """No connected snap is custodian of the view."""


class NotConnected(ConfdbError):
    """The plug of this snap is not connected."""


class Refused(ConfdbError):
    """A custodian refused the write. reason has the words of its hook, if snapd passes them on."""


class Busy(ConfdbError):
    """Others used the confdb until the timeout. Nothing was written."""


class Disabled(ConfdbError):
    """The feature is off: snap set system experimental.confdb=true."""


class Unreachable(ConfdbError):
    """snapd does not answer, or there is no program snapctl. Nothing was written."""


class OutcomeUnknown(ConfdbError):
    """The write may be stored or not. Read before you write again."""


class Unsupported(ConfdbError):
    """This snapd, or this kind of hook, cannot do it."""


@@WORDS@@
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_VIEW_HOOK = re.compile(r"^(change|save|load|query|observe)-view-")


def _explain(message: str, kind: str = "", status: int = 0) -> ConfdbError:
    """The error for a refusal of snapd."""
    for prefix in ("error: ", "error running snapctl: ", "snapctl: "):
        if message.startswith(prefix):
            message = message[len(prefix):]
    message = re.sub(r"^internal error: cannot read confdb [^\s/]+/[^\s/]+: (?=cannot )", "", message)
    error: Optional[Type[ConfdbError]] = None
    for known, part, of in _KINDS:
        if error is None and kind and known == kind and part in message:
            error = of
    bare = _QUOTED.sub('""', message)  # a quoted value must not decide
    for pattern, of in _WORDS:
        if error is None and re.search(pattern, bare):
            error = of
    if error is None and status in (401, 403):
        error = Unauthorized
    reason = message.rsplit(": ", 1)[-1]
    if error is Invalid:
        found = re.search(r'cannot accept (?:element in "([^"]*)"|top level element): (.*)', message, re.DOTALL)
        if found:
            return Invalid(message, found.group(2), found.group(1) or "")
    if error is Refused:
        found = re.search(r"[a-z0-9_-]+ rejected changes: (.*)$", message, re.DOTALL)
        if found:
            return Refused(message, found.group(1))
        found = re.search(r"^-----\n(.*?)\n-----", message, re.DOTALL | re.MULTILINE)
        if found:
            return Refused(message, found.group(1).strip())
        found = re.match(r'run hook "[^"]*": (.*)$', message, re.DOTALL)
        if found:
            return Refused(message, found.group(1).strip())
    return (error or ConfdbError)(message, reason)


def _number(value: Any) -> Any:
    """Numbers as snapd keeps them: 64-bit floats, whole ones without a fraction."""
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise BadRequest("%r is no number that JSON has" % value)
        return int(value) if value.is_integer() and abs(value) < 1e21 else value
    try:
        exact = int(float(value)) == value
    except OverflowError:
        exact = False
    if not exact:
        raise BadRequest("%d would lose digits, as confdb keeps numbers as 64-bit floats: write it as a string" % value)
    return value


def _encode(value: Any) -> Any:
    """The JSON shapes of data. Fields that are None are left out."""
    if dataclasses.is_dataclass(value):
        shaped: Dict[str, Any] = {}
        for field in dataclasses.fields(value):
            part = getattr(value, field.name)
            if part is None:
                continue
            if field.metadata.get("entries"):
                shaped.update(_encode(part))
            else:
                shaped[_key(field.name)] = _encode(part)
        return shaped
    if isinstance(value, dict):
        return {key: _encode(part) for key, part in value.items() if part is not None}
    if isinstance(value, (list, tuple)):
        return [_encode(part) for part in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _number(value)
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise BadRequest("%r is not UTF-8: confdb keeps JSON, in which it would be another text" % value) from None
    return value


def _key(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


_HINTS: Dict[Any, Dict[str, Any]] = {}


def _decode(kind: Any, value: Any, at: str) -> Any:
    """The data of a type from JSON shapes. Members that the type does not have are left out."""
    origin, choices = get_origin(kind), get_args(kind)
    if kind is Any or value is None:
        return _exact(value)
    if origin is Union:
        error: Optional[Mismatch] = None
        for choice in choices:
            if choice is type(None):
                continue
            try:
                return _decode(choice, value, at)
            except Mismatch as err:
                error = error or err
        raise error or _mismatch(at, value, "nothing")
    if origin is Literal:  # a later revision may allow more
        return _decode(type(choices[0]), value, at)
    if origin is list:
        if not isinstance(value, list):
            raise _mismatch(at, value, "a list")
        return [_decode(choices[0], part, "%s[%d]" % (at, i)) for i, part in enumerate(value)]
    if origin is dict or dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise _mismatch(at, value, "a map")
        dot = at + "." if at else ""
        if origin is dict:
            return {key: _decode(choices[1], part, dot + key) for key, part in value.items()}
        if kind not in _HINTS:
            _HINTS[kind] = get_type_hints(kind)
        left, made = dict(value), {}
        for field in dataclasses.fields(kind):
            if field.metadata.get("entries"):
                made[field.name] = _decode(_HINTS[kind][field.name], left, at)
            elif _key(field.name) in left:
                key = _key(field.name)
                made[field.name] = _decode(_HINTS[kind][field.name], left.pop(key), dot + key)
        maker: Any = kind
        return maker(**made)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is float and number:
        return float(value)
    if kind is int and number and (isinstance(value, int) or value.is_integer()):
        return _exact(int(value))
    if kind in (str, bool) and isinstance(value, kind):
        return value
    raise _mismatch(at, value, {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}.get(kind, str(kind)))


def _exact(value: Any) -> Any:
    """Whole numbers as confdb has them: of one beyond 2**53 snapd prints the shortest digits of a 64-bit float."""
    if isinstance(value, dict):
        return {key: _exact(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_exact(part) for part in value]
    if isinstance(value, int) and abs(value) >= 2**53:  # true is none of these
        return int(float(value))
    return value


def _mismatch(at: str, value: Any, want: str) -> Mismatch:
    reason = "%s is %s, and the program wants %s" % (at or "the view", json.dumps(value)[:80], want)
    return Mismatch("what is stored cannot be read: " + reason, reason, at)


def _requests(shaped: Any, paths: Dict[str, Any], at: str = "") -> Dict[str, Any]:
    """Values by the deepest request paths that the rules of a view have for them."""
    inner = paths["inner"]
    whole = paths["own"] and any(key not in inner and "{}" not in inner for key in shaped) if isinstance(shaped, dict) else True
    if not inner or whole or not shaped and paths["own"]:
        return {at: shaped if shaped not in ({}, []) else None}
    found: Dict[str, Any] = {}
    for key, part in shaped.items():
        below = at + "." + key if at else key
        found.update(_requests(part, inner.get(key) or inner.get("{}") or {"own": True, "inner": {}}, below))
    return found


def _same(one: Any, other: Any) -> bool:
    """Whether two values are one for confdb, which keeps numbers as 64-bit floats: true is not 1, and 1.0 is 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return float(one) == float(other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _shows(read: Any, written: Any) -> bool:
    if isinstance(written, dict) and isinstance(read, dict):
        return all(_shows(read.get(key), part) for key, part in written.items())
    return _same(read, written)


class _Patience:
    """Growing pauses until a deadline."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds
        self.pause = 0.05

    def left(self) -> float:
        return self.end - time.monotonic()

    def wait(self) -> bool:
        left = self.left()
        if left <= 0:
            return False
        time.sleep(min(self.pause, left))
        self.pause = min(self.pause * 1.5, 2.0)
        return True


class Connection:
    """How a view is reached: Snapd or Snapctl."""

    def read(self, view: str, plug: str, requests: Sequence[str], constraints: Dict[str, Any], previous: bool) -> Dict[str, Any]:
        raise NotImplementedError

    def write(self, view: str, plug: str, values: Dict[str, Any]) -> None:
        raise NotImplementedError

    def settle(self, seconds: float) -> None:
        """Waits until something may have changed, at most so long."""
        time.sleep(seconds)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Snapd(Connection):
    """snapd's socket, for root outside of snaps. timeout, in seconds, is for a whole call with its hooks."""

    def __init__(self, path: str = "/run/snapd.socket", timeout: float = 120.0) -> None:
        self.path = path
        self.timeout = timeout
        self._version = 0
        self._after = ""

    def _ask(self, method: str, path: str, query: Dict[str, str], body: Any, timeout: float) -> Dict[str, Any]:
        connection = _UnixConnection(self.path, max(timeout, 0.1))
        sent = False
        try:
            connection.connect()
            sent = True
            text = None if body is None else json.dumps(body)
            connection.request(method, path + ("?" + urlencode(query) if query else ""), text, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            envelope = json.loads(answer.read().decode("utf-8"))
        except (OSError, http.client.HTTPException, ValueError) as err:
            if sent and method == "PUT":
                raise OutcomeUnknown("lost snapd's answer on %s: %s" % (self.path, err)) from err
            raise Unreachable("cannot reach snapd on %s: %s" % (self.path, err)) from err
        finally:
            connection.close()
        if not isinstance(envelope, dict):
            raise Unreachable("what answers on %s is not snapd" % self.path)
        if envelope.get("type") == "error":
            result = envelope.get("result") or {}
            error = _explain(str(result.get("message", "")), str(result.get("kind", "")), answer.status)
            if type(error) is ConfdbError and answer.status == 400:
                error = BadRequest(error.message, error.reason)
            raise error
        return envelope

    def _queues(self) -> bool:
        """Whether snapd lets an access wait for its turn, which it does from 2.76 on."""
        if not self._version:
            info = self._ask("GET", "/v2/system-info", {}, None, 10)["result"]
            found = re.match(r"(\d+)\.(\d+)", str(info.get("version", "")))
            version = int(found.group(1)) * 1000 + int(found.group(2)) if found else 2077
            if version < 2073:
                raise Unsupported("snapd %s is too old for this program: it needs 2.73 or later" % info.get("version"))
            self._version = version
        return self._version >= 2076

    def _change(self, number: str, patience: _Patience, write: bool) -> Dict[str, Any]:
        """Waits until a change is over. It outlives a restart of snapd."""
        pause = 0.02
        while True:
            try:
                change: Dict[str, Any] = self._ask("GET", "/v2/changes/" + number, {}, None, 30)["result"]
                if change.get("ready"):
                    return change
            except Unreachable:
                pass
            if patience.left() <= 0:
                text = "cannot see how change %s ends: timeout; see snap change %s" % (number, number)
                raise OutcomeUnknown(text) if write else Busy(text)
            time.sleep(min(pause, max(patience.left(), 0.001)))
            pause = min(pause * 1.5, 0.5)

    def _failed(self, change: Dict[str, Any]) -> Optional[ConfdbError]:
        if change.get("status") == "Done":
            return None
        for task in change.get("tasks") or []:
            for line in reversed(task.get("log") or [] if task.get("status") == "Error" else []):
                found = re.match(r"\S+ ERROR (.*)", line, re.DOTALL)
                if found:
                    return _explain(found.group(1).strip())
        return _explain(str(change.get("err") or "change %s ended as %s" % (change.get("id"), change.get("status"))))

    def _retry(self, once: Callable[[_Patience], _T], again: bool) -> _T:
        patience = _Patience(self.timeout)
        while True:
            try:
                return once(patience)
            except Unreachable:
                if not again or not patience.wait():
                    raise
                again = False  # snapd restarts now and then
            except Busy:
                if not patience.wait():
                    raise

    def read(self, view: str, plug: str, requests: Sequence[str], constraints: Dict[str, Any], previous: bool) -> Dict[str, Any]:
        if previous:
            raise Unsupported("only a hook can read what was before")

        def once(patience: _Patience) -> Dict[str, Any]:
            query = {"keys": ",".join(requests)} if requests else {}
            if constraints:
                query["constraints"] = json.dumps(constraints)
            if self._queues():
                query["access-timeout"] = "%dms" % max(patience.left() * 900, 1)
            envelope = self._ask("GET", "/v2/confdb/" + view, query, None, patience.left() + 1)
            change = self._change(str(envelope["change"]), patience, False)
            error = self._failed(change)
            if error:
                raise error
            data = change.get("data") or {}
            if "error" in data:
                raise _explain(data["error"].get("message", ""), data["error"].get("kind", ""))
            values: Dict[str, Any] = data.get("values") or {}
            if not values:
                raise NoData("cannot get %s: no data" % view, "no data")
            return values

        return self._retry(once, True)

    def write(self, view: str, plug: str, values: Dict[str, Any]) -> None:
        def once(patience: _Patience) -> None:
            body: Dict[str, Any] = {"values": values}
            if self._queues():
                body["options"] = {"access-timeout": "%dms" % max(patience.left() * 900, 1)}
            envelope = self._ask("PUT", "/v2/confdb/" + view, {}, body, patience.left() + 1)
            error = self._failed(self._change(str(envelope["change"]), patience, True))
            if error:
                raise error

        self._retry(once, False)

    def settle(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while end > time.monotonic():
            left = min(max(end - time.monotonic(), 0.01), 50.0)
            query = {"types": "change-update", "timeout": "%dms" % (left * 1000)}
            if self._after:
                query["after"] = self._after
            try:
                notices = self._ask("GET", "/v2/notices", query, None, left + 30)["result"] or []
            except ConfdbError:
                time.sleep(min(left, 1.0))
                return
            first, written = not self._after, False
            for notice in notices:
                self._after = max(self._after, str(notice.get("last-repeated", "")))
                written = written or (notice.get("last-data") or {}).get("kind") != "get-confdb"  # reads are changes, too
            if written or first and notices:
                return


class Snapctl(Connection):
    """The program snapctl, inside of a snap. hook is the name of the running hook; "" means that of the program, if it is one."""

    def __init__(self, hook: str = "", timeout: float = 120.0, program: str = "snapctl") -> None:
        self.timeout = timeout
        self.program = program
        name = hook or os.path.basename(sys.argv[0] if sys.argv else "")
        self.hook = name if hook or _VIEW_HOOK.match(name) else ""
        self._flags: Optional[str] = None

    def run(self, arguments: Sequence[str], timeout: float, write: bool = False) -> str:
        """Runs a command of snapctl and returns what it prints."""
        try:
            done = subprocess.run([self.program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                  timeout=max(timeout, 0.1), check=False)
        except OSError as err:
            raise Unreachable("cannot run %s: %s" % (self.program, err)) from err
        except subprocess.TimeoutExpired as err:
            text = "snapctl %s did not end within %d seconds" % (arguments[0], timeout)
            raise (OutcomeUnknown(text) if write else Busy(text)) from err
        if done.returncode == 0:
            return done.stdout.decode("utf-8")
        message = done.stderr.decode("utf-8", "replace").strip()
        if "cannot communicate with server" in message:
            raise (OutcomeUnknown(message) if write else Unreachable(message))
        raise _explain(message)

    def _access(self, command: List[str], plug: str, rest: Sequence[str], write: bool) -> str:
        patience = _Patience(self.timeout)
        if self._flags is None:
            self._flags = self.run(["get", "--help"], patience.left())
        while True:
            flags = command + ["--view"]
            if "--wait-for" in self._flags and not self.hook:
                flags.append("--wait-for=%dms" % max(patience.left() * 900, 1))
            try:
                return self.run([*flags, ":" + plug, *rest], patience.left() + 1, write)
            except Busy:
                if not patience.wait():
                    raise

    def read(self, view: str, plug: str, requests: Sequence[str], constraints: Dict[str, Any], previous: bool) -> Dict[str, Any]:
        command = ["get", "-d"] + (["--previous"] if previous else [])
        command += ["--with=%s=%s" % (name, json.dumps(value)) for name, value in constraints.items()]
        values = json.loads(self._access(command, plug, requests, False))
        if not isinstance(values, dict) or not values:
            raise NoData("cannot get %s: no data" % view, "no data")
        return values

    def _seen(self, view: str, plug: str, requests: Sequence[str]) -> Dict[str, Any]:
        """The values of requests that can be read; None for those without data."""
        seen: Dict[str, Any] = {}
        for request in requests:
            try:
                seen[request] = self.read(view, plug, [request], {}, False).get(request)
            except NoData:
                seen[request] = None
            except NoMatch:
                pass
        return seen

    def write(self, view: str, plug: str, values: Dict[str, Any]) -> None:
        for request in values:
            if not request or "=" in request or "!" in request:
                raise BadRequest("invalid request path %r" % request)
        pairs = [name + "!" if value is None else name + "=" + json.dumps(value) for name, value in sorted(values.items())]
        if self.hook:  # the transaction is that of the hook
            self._access(["set", "-t"], plug, pairs, True)
            return
        before = self._seen(view, plug, list(values))
        self._access(["set", "-t"], plug, pairs, True)
        # snapctl tells apps and services nothing of a refusal by a custodian.
        try:
            after = self._seen(view, plug, list(before))
        except ConfdbError as err:
            raise OutcomeUnknown("snapd took the write, but whether it was stored could not be read: %s" % err) from err
        wanted = [name for name in before if not _shows(before[name], values[name])]
        if wanted and all(_same(before[name], after.get(name)) for name in wanted):
            raise Refused("snapd took the write but the values were not stored: a custodian refused it or the commit failed "
                          "(see snap changes)")


def refuse(reason: str) -> None:
    """Refuses the write, in a change-view hook. The writer gets the reason. After it the hook ends with success."""
    Snapctl("change-view-").run(["fail", "--", reason.strip() or "refused"], 30)


def connect() -> Connection:
    """snapctl inside of a snap, else snapd's socket."""
    return Snapctl() if os.environ.get("SNAP_COOKIE") or os.environ.get("SNAP_CONTEXT") else Snapd()


class _View:
    """A view through a connection. Inside of a snap, plug is the name of the plug."""

    _view = ""
    _name = ""
    _data: Any = None
    _paths: Dict[str, Any] = {}

    def __init__(self, connection: Optional[Connection] = None, plug: str = "") -> None:
        self._connection = connection or connect()
        self._plug = plug or self._name

    def _values(self, requests: Sequence[str], constraints: Dict[str, Any], previous: bool) -> Dict[str, Any]:
        some = {name: value for name, value in constraints.items() if value is not None}
        return self._connection.read(self._view, self._plug, requests, some, previous)

    def _get(self, constraints: Dict[str, Any], previous: bool) -> Any:
        return _decode(self._data, self._values([], constraints, previous), "")

    def _set(self, values: Dict[str, Any]) -> None:
        if values:
            self._connection.write(self._view, self._plug, {name: _encode(value) for name, value in values.items()})

    def _shaped(self, data: Any) -> Dict[str, Any]:
        return _requests(_encode(data), self._paths) if _encode(data) else {}

    def _update(self, change: Callable[[Any], None]) -> None:
        try:
            data = self._get({}, False)
        except NoData:
            data = _decode(self._data, {}, "")
        before = self._shaped(data)
        change(data)
        after = self._shaped(data)
        values = {name: value for name, value in after.items() if name not in before or not _same(before[name], value)}
        inside = [name for name in before if name not in after]
        values.update({name: None for name in inside if not any(_within(name, other) for other in values)})
        self._set(values)

    def _watch(self, every: float, timeout: Optional[float]) -> Iterator[Any]:
        end = None if timeout is None else time.monotonic() + timeout
        last: Any = None
        while True:
            try:
                values = self._values([], {}, False)
            except NoData:
                values = {}
            if last is None or not _same(last, values):
                last = values
                yield _decode(self._data, values, "")
            left = every if end is None else min(every, end - time.monotonic())
            if left <= 0:
                return
            self._connection.settle(left)


def _within(request: str, other: str) -> bool:
    return request == other or request.startswith(other + ".") or other.startswith(request + ".")


def _at(pattern: str, *names: Union[str, int]) -> str:
    """A request path with names in the places of its placeholders."""
    for name in names:
        if isinstance(name, str) and not re.match(r"[a-z](?:-?[a-z0-9])*\Z", name):
            raise BadRequest("invalid subkey %r in %s" % (name, pattern))
        pattern = pattern.replace("{}", str(name), 1)
    return pattern


class _Item(Generic[_T]):
    def __init__(self, view: _View, request: str, data: Any) -> None:
        self._of = view
        self.request = request
        self._data = data


class ReadItem(_Item[_T]):
    """One request path of a view, to read."""

    def get(self, previous: bool = False) -> _T:
        """The value. NoData is raised if there is none."""
        value = self._of._values([self.request], {}, previous).get(self.request)
        if value is None:
            raise NoData("cannot get %s: no data" % self.request, "no data")
        return cast(_T, _decode(self._data, value, self.request))


class WriteItem(_Item[_T]):
    """One request path of a view, to write."""

    def set(self, value: _T) -> None:
        """Writes the value in the place of what is there."""
        self._of._set({self.request: value})

    def unset(self) -> None:
        """Removes the value. It is no error if there is none."""
        self._of._set({self.request: None})


class Item(ReadItem[_T], WriteItem[_T]):
    """One request path of a view, to read and to write."""
