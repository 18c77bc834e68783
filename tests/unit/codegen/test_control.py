"""Functions, loops, errors and limits, natively."""

from __future__ import annotations

from typing import Any

DEEP = "function f(n) { return n <= 0 ? 0 : 1 + f(n - 1) }"
DEEP_TEXT = 'function g(n) { if (n <= 0) return "" return g(n - 1) . "x" }'


def test_recursion_a_thousand_deep(native: Any) -> None:
    script = f"{DEEP} {DEEP_TEXT} probe oneshot {{ println(f(1000), strlen(g(1000))) }}"
    ran = native(script, {"MAXNESTING": "1001", "MAXACTION_INTERRUPTIBLE": "100000"})
    assert (ran.output, ran.messages) == ("1000511\n", "")


def test_too_deep_is_an_error_that_can_be_caught(native: Any) -> None:
    script = (
        f"{DEEP} probe oneshot {{ try {{ f(5) println(f(50)) }} catch (m) {{ println(m) }} }}"
    )
    assert native(script, {"MAXNESTING": "20"}).output == "MAXNESTING exceeded\n"


def test_no_limit_of_ours_can_break_the_stack(native: Any) -> None:
    script = f"{DEEP} probe oneshot {{ println(f(100000000)) }}"
    limits = {"MAXNESTING": "2000000000", "MAXACTION_INTERRUPTIBLE": "1000000000"}
    ran = native(script, limits)
    assert ran.messages.startswith(
        "ERROR: MAXNESTING exceeded near identifier 'f' at t.stp:1:41"
    )
    assert ran.result.exit_code == 1


def test_overloads_fall_through_by_next(native: Any) -> None:
    script = """
    function f:string(x) { if (x > 1) next return "small" }
    function f:string(x) { if (x > 9) next return sprintf("middle %d", x) }
    function f:string(x):2 { if (x > 99) next return "large" }
    probe oneshot { println(f(1), " ", f(5), " ", f(50)) println(f(100)) }"""
    ran = native(script)
    assert ran.output == "small middle 5 large\n"
    assert "all functions exhausted near identifier 'f' at t.stp:5:" in ran.messages


def test_errors_carry_the_chain_of_calls(native: Any) -> None:
    script = """
function inner(x) { return 5 / x }
function outer(x) { return inner(x) + 1 }
probe begin { println(outer(0)) }
probe end { println("not reached") }
probe error { println("error") }"""
    ran = native(script)
    assert ran.output == "error\n"
    assert ran.messages.splitlines() == [
        "ERROR: division by 0 near operator '/' at t.stp:2:30"
        " (called from identifier 'inner' at t.stp:3:28)"
        " (called from identifier 'outer' at t.stp:4:23) in probe begin",
        "WARNING: Number of errors: 1, skipped probes: 0",
    ]
    assert ran.result.exit_code == 1


def test_catch_in_a_function_restores_everything(native: Any) -> None:
    script = """
    global a[2]
    function bad:long(s) { a[1] = 1 a[2] = 2 a[s] = 3 return 1 }
    function careful(s) { try { return bad(s) } catch (m) { return strlen(m . "!") } }
    probe oneshot { for (i = 5; i < 8; i++) print(careful(i), " ") println(a[2]) }"""
    assert native(script).output == "37 37 37 2\n"


def test_actions_are_not_caught(native: Any) -> None:
    script = """probe begin { try { while (1) n++ } catch { println("no") } }
    probe end { println("end") }"""
    ran = native(script)
    assert ran.output == ""
    assert ran.messages.startswith("ERROR: MAXACTION exceeded near ")


def test_abort_stops_at_once(native: Any) -> None:
    script = """
    function f() { abort() return 1 }
    probe begin { try { println("a", f()) } catch { println("caught") } println("b") }
    probe begin(1) { println("c") }
    probe end { println("end") }"""
    ran = native(script)
    assert (ran.output, ran.messages, ran.result.exit_code) == ("end\n", "", 0)


def test_foreach_left_early_and_nested(native: Any) -> None:
    script = """
    global a, b
    function first(limit_) { foreach (k in b-) { if (b[k] < limit_) return k } return -1 }
    probe oneshot {
        for (i = 0; i < 5; i++) { a[i, "x"] = i * i; b[i] = i }
        foreach ([i, s] in a- limit 3) {
            foreach (k in b+) { if (k == 2) continue if (k > 3) break print(k) }
            printf(":%d%s ", i, s)
        }
        foreach ([i, s] in a[2, *]) print(a[i, s], " ")
        println(first(3), first(-5))
    }"""
    assert native(script).output == "013:4x 013:3x 013:2x 4 2-1\n"


def test_end_handlers_after_an_error_in_one(native: Any) -> None:
    script = """
    probe begin { exit() }
    probe end { println("e1") error("in end") }
    probe end(1) { println("e2") }
    probe error { println("error") }"""
    assert native(script).output == "e1\nerror\n"


def test_errors_below_the_limit_let_the_session_go_on(native: Any) -> None:
    script = """
    global n
    probe timer.ms(1) { if (++n > 3) exit() error(sprint(n)) }
    probe end { println("end ", n) }"""
    ran = native(script, {"MAXERRORS": "10"})
    assert (ran.output, ran.result.exit_code, ran.result.errors) == ("end 4\n", 1, 4)


def test_errors_can_be_counted_only(native: Any) -> None:
    script = 'probe begin { error("x") } probe end { println("end") } probe begin { exit() }'
    ran = native(script, suppress_errors=True)
    assert (ran.output, ran.result.exit_code) == ("end\n", 0)
    assert ran.messages == "WARNING: Number of errors: 1, skipped probes: 0\n"


def test_warnings_once_and_log(native: Any) -> None:
    script = 'probe begin { warn("w") warn("w") log("line") warn("v") exit() }'
    ran = native(script)
    assert (ran.output, ran.messages) == ("line\n", "WARNING: w\nWARNING: v\n")
    assert native(script, quiet=True).messages == ""
    assert native(script, repeat_warnings=True).messages.count("w\n") == 2


def test_conditions_are_asked_each_time(native: Any) -> None:
    script = """
    global on, n
    probe timer.ms(1) if (on) { println("on ", n) exit() }
    probe timer.ms(3) { if (++n == 2) on = 1 }"""
    assert native(script).output == "on 2\n"


def test_speculation_is_kept_back(native: Any) -> None:
    script = """probe oneshot { a = speculation() b = speculation()
        speculate(a, "A\\n") speculate(b, "B\\n") println("now")
        commit(b) discard(a) commit(a) }"""
    assert native(script).output == "now\nB\n"
