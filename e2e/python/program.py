# What the stage python does with the module that is generated from lamp.yaml: program.py snap|socket holds|errors|refused.
import sys

from lamp import (
    BadRequest, Invalid, LampAdmin, LampAdminAddress, LampAdminData, LampAdminRooms, LampAdminTimers, LampFiltered, LampState, NoData, NoMatch,
    NoView, Refused, Snapctl, Snapd, Unreachable,
)

inside = sys.argv[1] == "snap"
connection = Snapctl(program="/usr/lib/snapd/snapctl", timeout=600) if inside else Snapd(timeout=600)
admin, state = LampAdmin(connection), LampState(connection)


def fails(kind, call, reason=""):
    try:
        call()
    except kind as err:
        assert type(err) is kind and reason in err.reason, repr(err)
        return
    raise AssertionError("no %s" % kind.__name__)


def holds():
    admin.unset("brightness", "mode", "factor", "serial", "on", "note", "class", "scenes", "rooms", "timers", "either")
    home = LampAdminAddress(street="High Street", town="Ayr")
    try:  # the other way may have run before; its address stays, as snapd unsets street and town one by one, and refuses the first
        left = admin.get()
        assert left == LampAdminData(address=home), left
    except NoData:
        pass
    data = LampAdminData(
        brightness=40, mode="a \"b\" \\ 'c'", factor=1.5, serial=2**62, on=False, note={"deep": [1, "x", True]}, class_="\u00e9 \U0001f600",
        scenes=["b", "a"], rooms={"bath": LampAdminRooms(colour="red", lux=3.0), "hall": LampAdminRooms(lux=0.5)},
        timers=[LampAdminTimers(at="07:30", days=[1, 2])], either=[3], address=home)
    admin.set(data)
    got = admin.get()
    assert got == data, (got, data)
    assert state.get().times == ["07:30"]
    assert admin.rooms_lux("hall").get() == 0.5
    admin.set(LampAdminData(rooms={"hall": LampAdminRooms(colour="green")}))
    assert admin.get().rooms["hall"] == LampAdminRooms(colour="green", lux=0.5)
    assert list(LampFiltered(connection).get(colour="red").rooms) == ["bath"]

    def change(data):
        data.brightness += 2
        data.timers = None

    admin.update(change)
    got = admin.get()
    assert (got.brightness, got.timers) == (42, None), got
    seen = [data.brightness for data in state.watch(every=1, timeout=3)]
    assert seen == [42], seen


def errors():
    fails(Invalid, lambda: admin.set(LampAdminData(brightness=101)), "101 is greater than the allowed maximum 100")
    fails(BadRequest, lambda: admin.set(LampAdminData(serial=2**53 + 1)))
    fails(NoMatch, lambda: admin.unset("nothing"))
    if inside:
        fails(NoView, LampAdmin(connection, plug="other").get)
    else:
        fails(Unreachable, LampAdmin(Snapd("/nowhere")).get)


def refused():
    fails(Refused, lambda: admin.set(LampAdminData(brightness=9)), "" if inside else "too bright")


{"holds": holds, "errors": errors, "refused": refused}[sys.argv[2]]()
print("done")
