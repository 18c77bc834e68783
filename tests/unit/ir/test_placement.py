"""Where handlers run, and why."""

import pytest

from bridge.artifact import Placed, Where
from bridge.placement import place
from tests.support.scripts import compile_text

HIT = 'process("demo").mark("hit")'
SWITCH = 'kernel.trace("switch")'


def _placed(text: str, **options: object) -> Placed:
    return compile_text(text.replace("HIT", HIT).replace("SWITCH", SWITCH), **options).placed


def _where(placed: Placed, number: int = 0) -> tuple[str, str]:
    placement = placed.placements[number]
    return placement.where.value, placement.reason


@pytest.mark.parametrize(
    "body",
    [
        "n++",
        "n += $arg1; if ($arg2 > 3) n -= 2",
        "a[execname(), $arg1]++",
        "s <<< $arg1",
        'if (execname() == "bash") a["x", pid()] += 5',
    ],
)
def test_counting_runs_in_the_kernel(body: str) -> None:
    placed = _placed(
        f"global n, a, s probe HIT {{ {body} }} probe end {{ print(@hist_log(s)) }}"
    )
    assert _where(placed)[0] == "kernel"
    assert placed.accumulators
    assert placed.hooks[0].user == ()
    assert placed.hooks[0].layout.captures == ()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("println($arg1)", "prints"),
        ("n = $arg1", "sets a global"),
        ("m = n; if (m) n++", "reads a global"),
        ("for (i = 0; i < $arg1; i++) n++", "loops"),
        ("exit()", "calls exit()"),
        ("try { n++; error(1 ? \"x\" : \"y\") } catch { n++ }", "calls error()"),
        ("t[user_string($arg1)]++", "string that may be longer"),
        ("v <<< $arg1", "@variance"),
        ("w[$arg1]++", "wraps around"),
        ("foreach (k in w) n++", "iterates"),
    ],
)  # fmt: skip
def test_what_keeps_a_handler_in_user_space(body: str, reason: str) -> None:
    placed = _placed(
        "global n, t, v, w%\n"
        f"probe HIT {{ {body} }} probe end {{ println(@variance(v)) w[1] = 2 }}"
    )
    assert _where(placed)[0] == "user"
    assert reason in _where(placed)[1]


def test_handlers_that_share_a_global_stay_together() -> None:
    placed = _placed("global n, m probe HIT { n++; m++ } probe SWITCH { println(n) }")
    assert [p.where for p in placed.placements[:2]] == [Where.USER, Where.USER]
    assert placed.placements[0].reason == "n is shared with a handler in user space"


def test_what_ends_the_session_at_a_hit_keeps_all_counting_in_order() -> None:
    placed = _placed("global n probe HIT { n++ } probe SWITCH { if ($pid) exit() }")
    assert _where(placed) == (
        "user",
        "another handler calls exit(), at which all handlers stop",
    )


def test_a_global_that_nothing_writes_is_a_constant() -> None:
    text = "global n, least = 5 probe HIT if (least) { if ($arg1 > least) n++ }"
    assert _where(_placed(text))[0] == "kernel"
    assert "condition" in _where(_placed(text.replace("5", "0")))[1]


def test_timers_may_read_what_the_kernel_adds() -> None:
    placed = _placed("global n probe HIT { n++ } probe timer.s(1) { println(n) n = 0 }")
    assert _where(placed)[0] == "kernel"
    assert placed.accumulators == {0}


def test_arrays_by_thread_live_in_the_kernel() -> None:
    text = """global t, s
    probe HIT { t[tid(), 1] = gettimeofday_ns() }
    probe SWITCH {
      if ([tid(), 1] in t) { s <<< gettimeofday_ns() - t[tid(), 1]; delete t[tid(), 1] }
    }
    probe end { println(@avg(s)) }"""
    placed = _placed(text)
    assert [p.where for p in placed.placements[:2]] == [Where.KERNEL, Where.KERNEL]
    assert (placed.resident, placed.accumulators) == ({0}, {1})


@pytest.mark.parametrize("change", [("t[tid(), 1] =", "t[$arg1, 1] ="), ("end", "timer.s(1)")])
def test_arrays_that_others_touch_do_not(change: tuple[str, str]) -> None:
    text = """global t
    probe HIT { t[tid(), 1] = gettimeofday_ns() }
    probe SWITCH { if ([tid(), 1] in t) delete t[tid(), 1] }
    probe end { foreach ([a, b] in t) println(a) }"""
    placed = _placed(text.replace(*change))
    assert not placed.resident
    assert placed.placements[0].where is Where.USER


def test_a_condition_reads() -> None:
    placed = _placed("global n probe HIT { n++ } probe timer.s(1) if (n > 5) { println(1) }")
    assert _where(placed) == ("user", "n is part of a condition")


def test_short_strings_of_a_tracepoint_are_keys() -> None:
    placed = _placed("global a probe SWITCH { a[$comm]++ }")
    assert _where(placed)[0] == "kernel"
    placed = _placed("global a probe SWITCH { a[$path]++ }")
    assert _where(placed)[0] == "user"


def test_a_recording_captures_everything() -> None:
    placed = _placed("global n probe HIT { n++ }", record=True)
    assert placed.recorded
    slots = list(placed.hooks[0].layout.slots)
    wanted = ["pid()", "tid()", "ppid()", "uid()", "cpu()", "execname()", "realtime_ns()"]
    assert slots == ["$arg1", "$arg2", *wanted]


def test_one_hook_for_one_place() -> None:
    placed = _placed(
        "global n probe HIT { n++ } probe HIT { println($arg1) } probe SWITCH { n++ }"
    )
    assert [(hook.handlers, hook.user) for hook in placed.hooks] == [((1, 0), (1,)), ((2,), ())]


def test_everything_can_be_asked_to_run_in_user_space() -> None:
    placed = place(_placed("global n probe HIT { n++ }").program, kernel=False)
    assert {placement.where for placement in placed.placements} == {Where.USER}
    assert not placed.accumulators
