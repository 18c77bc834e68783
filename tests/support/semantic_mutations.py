"""Scripts without a mistake -> the same with one or two in what they mean."""

from __future__ import annotations

import re
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BASES = (
    """
global hits, names, times, most = 5, title = "t"
function note(who:string, count) { hits[who] += count; return hits[who] }
function label(n) { return sprintf("%s-%d", title, n) }
probe begin { n = note("a", 1); names[n, "x"] = label(n); println(names[n, "x"]) }
probe timer.s(1) {
  foreach ([i, k] in names) { if (i > most) { delete hits[k]; break } printf("%d %s\\n", i, k) }
  times <<< most; most--
}
probe end { println(@count(times), @avg(times)); foreach (w in hits-) println(w, hits[w]) }
""",
    """
global q[10], seen%[4], total
function twice(x) { return x * 2 }
function join:string (a:string, b:string) { return a . b }
function last(n:long) { if (n <= 0) return 0; return last(n - 1) + 1 }
probe begin, end { v = twice(3); w = join("a", sprint(v));
  if (w == "a6" && v > 1) total++ else next }
probe timer.ms(100) if (total > 1) {
  for (i = 0; i < 10; i++) { if (i == 3) continue; q[i] = last(i) }
  seen[total] = "s"; x = (total > 2 ? seen[total] : "none"); println(x, [total] in seen)
}
probe error { while (total > 0) { total -= 1 } println(q[1]) }
""",
    """
global st, arr, flag
probe start = begin { who = "begin" } probe start.it = start, timer.s(2) { what = 1 }
probe start { println(who) flag = who }
probe start.it { arr[what] <<< what + 1; st <<< 2; println(what) }
probe end {
  println(@sum(arr[1]), @min(st)); print(@hist_log(st)) print(@hist_linear(arr[1], 0, 10, 1))
  foreach (k in arr @count- limit 3) printf("%d %d\\n", k, @max(arr[k]))
  try { if (flag =~ "b.*n") println(flag) } catch (msg) { println(msg) }
}
""",
    """
global a, b
private function pick(x:string) { if (x == "") next; return 1 }
private function pick(x:string) { return strlen_(x) }
function strlen_(s) { s = s . "x"; return 4 }
function show(v) %{ /* pure */ STAP_PRINTF("%lld", STAP_ARG_v); %}
probe begin { a = pick("z"); b[a, a + 1, "k"] = a << 2; show(a); show(~a) }
probe timer.s(5) { foreach (z = [x, y, s] in b[*, *, "k"]) printd(":", x, y, s, z)
  if (!([1, 2, "k"] in b)) { a = -1 } else if (a) { delete b } print_char(a + strlen_("q")) }
probe end { if (1 in c_) println(c_[1]) c_[1] = "s" } global c_
""",
)

_TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*"|%\{.*?%\}|[A-Za-z_@$]\w*|\d+|<<<|[-+*/%&|^<>=!.]?=|[&|+<>-]{2}|\S'
)
_WORDS = frozenset(
    [
        *("probe", "global", "private", "function", "foreach", "in", "if", "else", "while"),
        *("for", "return", "next", "break", "continue", "delete", "try", "catch", "limit"),
        *("begin", "end", "timer", "error", "string", "long"),
    ]
)
_OPERATORS = ("+", "-", "*", "/", "%", "&", "|", "<", ">", ".", "==", "!=", "&&", "||", "<<")
_ASSIGNING = ("=", "+=", ".=", "<<<", "-=", "|=")
_EXTRACTORS = ("@count", "@sum", "@min", "@max", "@avg", "@hist_log", "@variance")
_STATEMENTS = (
    "next;",
    "return 1;",
    'return "s";',
    "break;",
    "continue;",
    "x = 1;",
    'title = "z";',
    "foreach (e in most) println(e);",
    "println(@count(total));",
    "total <<< 1;",
    "delete a;",
    "nosuch(1);",
    "a[1] = 2;",
    'println("a" + 1);',
    "println(q);",
    "v = q;",
    "println(u . 1);",
    "st = 1;",
    'printf("%s", 1);',
    "println(hits[1, 2]);",
    "i = i;",
    "if (0) nosuch(2);",
    'if (1 - 1) title = "z";',
    "if (x & 0) x++; else v = 1 << -1;",
    'while (0) println("a" + 0);',
    "for (y = 0; 0; y++) println(y);",
    'try { if (0) next } catch { y = "s"; println(y) }',
    "if (0 && most) w = 5;",
    "if (most || 1) println(nowhere[1]);",
    'u = "" . 5;',
    'v = 0 * "s";',
    "w = 1 ? 4 : title;",
    "most = v / 0 + 0;",
)
_DEFINITIONS = (
    "function note(a, b) { return a }",
    "function twice(x) { return 1 }",
    "global total",
    "global extra[0]",
    "global v",
    "probe nosuch { println(1) }",
    "probe begin.x { println(1) }",
    "probe timer.s(0) { println(1) }",
    "function pick(y) { return 2 }",
    "probe start = end { println(3) }",
    "probe end if (nowhere) { println(1) }",
    "probe end if (twice(1)) { println(1) }",
)


def mistaken(random: Random, text: str) -> str:
    """The text after one or two edits."""
    for _ in range(random.choice((1, 1, 1, 2))):
        text = random.choice(_EDITS)(random, text)
    return text


def _spans(text: str, kind: Callable[[str], bool]) -> list[tuple[int, int]]:
    return [m.span() for m in _TOKEN.finditer(text) if kind(m[0])]


def _put(random: Random, text: str, kind: Callable[[str], bool], new: str) -> str:
    """One token of a kind is another one."""
    spans = _spans(text, kind)
    if not spans:
        return text
    start, end = random.choice(spans)
    return text[:start] + new + text[end:]


def _is_name(token: str) -> bool:
    return token.isidentifier() and token not in _WORDS


def _is_value(token: str) -> bool:
    return token.isdigit() or token.startswith('"')


def _rename(random: Random, text: str) -> str:
    names = sorted({m[0] for m in _TOKEN.finditer(text) if _is_name(m[0])})
    return _put(random, text, _is_name, random.choice([*names, "other", "pritn"]))


def _literal(random: Random, text: str) -> str:
    return _put(random, text, _is_value, random.choice(('"s"', "7", '"%d"', "0")))


def _operator(random: Random, text: str) -> str:
    return _put(random, text, _OPERATORS.__contains__, random.choice(_OPERATORS))


def _assignment(random: Random, text: str) -> str:
    return _put(random, text, _ASSIGNING.__contains__, random.choice(_ASSIGNING))


def _extractor(random: Random, text: str) -> str:
    return _put(random, text, _EXTRACTORS.__contains__, random.choice(_EXTRACTORS))


def _value_or_name(random: Random, text: str) -> str:
    def either(token: str) -> bool:
        return _is_name(token) or _is_value(token)

    spans = _spans(text, either)
    start, end = random.choice(spans)
    return _put(random, text, either, text[start:end])


def _drop_argument(random: Random, text: str) -> str:
    commas = [m.span() for m in re.finditer(r",\s*[\w\"]+(?=[\])])", text)]
    if not commas:
        return text
    start, end = random.choice(commas)
    return text[:start] + text[end:]


def _add_argument(random: Random, text: str) -> str:
    ends = [m.start() for m in re.finditer(r"(?<=\w)[\])]", text)]
    at = random.choice(ends)
    return f"{text[:at]}, {random.choice(('1', 'x', chr(34) * 2))}{text[at:]}"


def _statement(random: Random, text: str) -> str:
    places = [m.end() for m in re.finditer(r"\{ (?!/\*)", text)]
    at = random.choice(places)
    return f"{text[:at]}{random.choice(_STATEMENTS)} {text[at:]}"


def _definition(random: Random, text: str) -> str:
    line = random.choice(_DEFINITIONS)
    return f"{text}{line}\n" if random.random() < 0.5 else f"{line}\n{text}"


def _no_global(random: Random, text: str) -> str:
    names = list(re.finditer(r"(?<=global )(\w+), |, (\w+)(?=[,\n])", text))
    if not names:
        return text
    start, end = random.choice(names).span()
    return text[:start] + text[end:]


def _no_index(random: Random, text: str) -> str:
    found = list(re.finditer(r"\[[^\]\n]*\]", text))
    if not found:
        return text
    start, end = random.choice(found).span()
    return text[:start] + text[end:]


_EDITS = (
    _rename,
    _rename,
    _literal,
    _literal,
    _operator,
    _assignment,
    _extractor,
    _value_or_name,
    _value_or_name,
    _drop_argument,
    _add_argument,
    _statement,
    _statement,
    _definition,
    _no_global,
    _no_index,
)
