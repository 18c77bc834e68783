"""Random scripts that are well typed: the same seed gives the same script.

They exercise every operation of the IR. Loops are bounded; arrays are not modified inside a
foreach over them, because that is refused; functions leave arrays alone for the same reason.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

LONGS = (0, 1, -1, 2, 3, 7, 10, 31, 63, 64, 65, 255, 1000, 2**31, -(2**31), 2**62, 2**63 - 1)
STRINGS = (
    "",
    "a",
    "b",
    "ab",
    "abc",
    "x y",
    "10",
    "0x1f",
    "-7",
    "%d",
    "q\\n",
    "\\200z",
    "long text that goes on",
)
PATTERNS = ("^a", "b+$", "[0-9]+", "(a|b)c?", "x.y", "[^a-z]", "a*b")
ARITHMETIC = ("+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", ">>>")
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
LONG_FORMATS = (
    "%d",
    "%5d",
    "%-5d",
    "%05d",
    "%+d",
    "%x",
    "%#x",
    "%#o",
    "%u",
    "%.4d",
    "%8.3d",
    "%c",
    "%#c",
    "%2b",
    "%X",
)
STRING_FORMATS = ("%s", "%10s", "%-6s", "%.2s", "%6.1s")
GLOBALS = """global g0 = 5, g1, s0 = "start", s1
global al, as, at[4], aw%[3]
global st, sa, sl
"""
FUNCTIONS = """
function add:long(a:long, b:long) { if (a > b) return a - b; g1 += a; return a + b }
function pick:string(a:long) { if (a & 1) next; return sprintf("even %d", a) }
function pick:string(a:long):2 { if (a > 1000) next; return "odd" }
function fact:long(n:long) { return n < 2 ? 1 : n * fact(n - 1) }
function twice:string(s:string) { s .= s; return s }
function risky:long(n:long) { return 100 / n }
function text:string(p:long) { try { return user_string(p) } catch (m) { return m } }
function who:string() { return execname() . "!" }
function sums:long() { t = 0; foreach (v = [k] in al) t += v + k; return t }
"""
DISPLAY = """probe end {
  printf("g %d %d %s|%s\\n", g0, g1, s0, s1)
  foreach (k in al) printf("al %d %d\\n", k, al[k])
  foreach ([t, n] in as-) printf("as %s %d %d\\n", t, n, as[t, n])
  foreach (k+ in at) printf("at %d %s\\n", k, at[k])
  foreach (w in aw) printf("aw %s %d\\n", w, aw[w])
  try {
    printf("st %d %d %d\\n", @count(st), @sum(st), @variance(st, 3))
    print(@hist_log(st))
  } catch (m) { println(m) }
  foreach (w in sa @max-) printf("sa %s %d %d\\n", w, @avg(sa[w]), @min(sa[w]))
  try { print(@hist_linear(sl, -10, 90, 10)) } catch (m) { println(m) }
}
"""


@dataclass
class Generator:
    """One script in the making."""

    seed: int
    random: random.Random = field(init=False)
    locked: set[str] = field(default_factory=set)
    loops: int = 0
    names: int = 0
    budget: int = 60
    on_hit: bool = False

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def script(self) -> str:
        """The text."""
        parts = [GLOBALS, FUNCTIONS, *map(self._probe, ("begin", "begin(1)", "end(-1)"))]
        self.on_hit = True
        parts.append(self._probe('process("demo").mark("hit")'))
        parts.append(self._probe('process("demo").mark("hit") if (g0 % 2 == 0)'))
        return "\n".join([*parts, DISPLAY])

    def _probe(self, point: str) -> str:
        self.budget = 60
        self.locked.clear()
        body = self._block(3)
        return f'probe {point} {{ l0 = 1 l1 = 2 l2 = 0 t0 = "t" t1 = ""\n{body}\n}}'

    def _pick(self, *choices: str) -> str:
        return self.random.choice(choices)

    # --- numbers ------------------------------------------------------------------------------

    def long(self, depth: int) -> str:
        """An expression with a number."""
        self.budget -= 1
        if depth <= 0 or self.budget <= 0:
            return self._long_leaf()
        return getattr(self, self._pick(*_LONG))(depth - 1)

    def _long_leaf(self, _: int = 0) -> str:
        leaves = ["l0", "l1", "l2", "g0", "g1", str(self.random.choice(LONGS))]
        if self.on_hit:
            leaves += ["$arg1", "$arg2", "pid()", "gettimeofday_ms()"]
        return self.random.choice(leaves)

    def _arithmetic(self, depth: int) -> str:
        return f"({self.long(depth)} {self._pick(*ARITHMETIC)} ({self.long(depth)}))".replace(
            ">>> (", ">>> (l0 + "
        )

    def _comparison(self, depth: int) -> str:
        side = self.string if self.random.random() < 0.3 else self.long
        return f"({side(depth)} {self._pick(*COMPARISONS)} {side(depth)})"

    def _logic(self, depth: int) -> str:
        return f"({self.long(depth)} {self._pick('&&', '||')} {self.long(depth)})"

    def _unary(self, depth: int) -> str:
        return f"({self._pick('-', '~', '!', '+')}({self.long(depth)}))"

    def _long_ternary(self, depth: int) -> str:
        return f"({self.long(depth)} ? {self.long(depth)} : {self.long(depth)})"

    def _long_assign(self, depth: int) -> str:
        operators = ("=", "+=", "-=", "*=", "/=", "%=", "<<=", ">>=", "&=", "^=", "|=")
        return f"({self._long_place(depth)} {self._pick(*operators)} {self.long(depth)})"

    def _step(self, depth: int) -> str:
        place = self._long_place(depth)
        return self._pick(f"({place}++)", f"(--{place})", f"({place}--)", f"(++{place})")

    def _long_place(self, depth: int) -> str:
        places = ["l0", "l1", "l2", "g0", "g1"]
        if "al" not in self.locked:
            places.append(f"al[{self._key(depth)}]")
        if "as" not in self.locked:
            places.append(f"as[{self.string(0)}, {self._key(depth)}]")
        if "aw" not in self.locked:
            places.append(f"aw[{self.string(0)}]")
        return self.random.choice(places)

    def _key(self, depth: int) -> str:
        return f"(({self.long(min(depth, 1))}) & 7)"

    def _element(self, depth: int) -> str:
        return self._pick(
            f"al[{self._key(depth)}]",
            f"as[{self.string(0)}, {self._key(0)}]",
            f"aw[{self.string(0)}]",
        )

    def _member(self, depth: int) -> str:
        return self._pick(
            f"({self._key(depth)} in al)",
            f"([{self.string(0)}, *] in as)",
            f"([*, {self._key(0)}] in as)",
            f"({self.string(0)} in aw)",
        )

    def _long_call(self, depth: int) -> str:
        return self._pick(
            f"add({self.long(depth)}, {self.long(depth)})",
            f"fact({self._key(depth)})",
            f"risky({self.long(depth)})",
            f"strlen({self.string(depth)})",
            f"strtol({self.string(depth)}, 0)",
            f"isinstr({self.string(depth)}, {self.string(0)})",
            "sums()",
        )

    def _matching(self, depth: int) -> str:
        return f'({self.string(depth)} {self._pick("=~", "!~")} "{self._pick(*PATTERNS)}")'

    def _extractor(self, depth: int) -> str:
        index = f"sa[{self.string(0)}]"
        return self._pick(
            "@count(st)", "@sum(st)", "@min(st)", "@max(st)", "@avg(st)", "@variance(st, 3)",
            f"@count({index})", f"@max({index})", f"@avg({index})",
            f"@hist_log(st)[{self._key(depth)} + 60]",
            f"@hist_linear(sl, -10, 90, 10)[{self._key(0)}]",
        )  # fmt: skip

    # --- strings ------------------------------------------------------------------------------

    def string(self, depth: int) -> str:
        """An expression with a string."""
        self.budget -= 1
        if depth <= 0 or self.budget <= 0:
            return self._string_leaf()
        return getattr(self, self._pick(*_STRING))(depth - 1)

    def _string_leaf(self, _: int = 0) -> str:
        leaves = ["t0", "t1", "s0", "s1", f'"{self.random.choice(STRINGS)}"']
        if self.on_hit:
            leaves += ["execname()", "user_string($arg2)", "$$name", "$$vars"]
        return self.random.choice(leaves)

    def _concat(self, depth: int) -> str:
        return f"({self.string(depth)} . {self.string(depth)})"

    def _sprintf(self, depth: int) -> str:
        return f"s{self._printf(depth)}"

    def _string_ternary(self, depth: int) -> str:
        return f"({self.long(depth)} ? {self.string(depth)} : {self.string(depth)})"

    def _string_assign(self, depth: int) -> str:
        place = self._pick("t0", "t1", "s0", "s1")
        return f"({place} {self._pick('=', '.=')} {self.string(depth)})"

    def _string_element(self, depth: int) -> str:
        return f"at[{self._key(depth)}]"

    def _string_call(self, depth: int) -> str:
        if self.on_hit and self.random.random() < 0.4:
            return self._pick("text($arg2 + 8)", "who()", f"text({self.long(depth)})")
        return self._pick(
            f"pick({self.long(depth)})",
            f"twice({self.string(depth)})",
            f"substr({self.string(depth)}, {self._key(0)}, {self._key(0)})",
            f'str_replace({self.string(depth)}, "a", "bc")',
            "sprint(@hist_log(st))",
        )

    def _printf(self, depth: int) -> str:
        pieces, arguments = [], []
        for _ in range(self.random.randint(1, 3)):
            if self.random.random() < 0.5:
                pieces.append(self._pick(*LONG_FORMATS))
                arguments.append(self.long(depth))
            else:
                pieces.append(self._pick(*STRING_FORMATS))
                arguments.append(self.string(depth))
        return f'printf("{"|".join(pieces)}\\n", {", ".join(arguments)})'

    # --- statements ---------------------------------------------------------------------------

    def _block(self, depth: int) -> str:
        return "\n".join(self._statement(depth) for _ in range(self.random.randint(2, 5)))

    def _statement(self, depth: int) -> str:
        if depth <= 0 or self.budget <= 0:
            return f"{self._printf(0)};"
        return str(getattr(self, self._pick(*_STATEMENTS))(depth - 1))

    def _expression(self, depth: int) -> str:
        choice = self._pick("_long_assign", "_step", "_string_assign", "_long_call", "_add")
        return f"{getattr(self, choice)(depth)};"

    def _add(self, depth: int) -> str:
        name = self._pick("g0", "g1", self._long_place(depth))
        return self._pick(f"{name}++", f"{name} -= {self.long(depth)}", f"{name} += 3")

    def _feed(self, depth: int) -> str:
        targets = ["st", "sl"] + ([] if "sa" in self.locked else [f"sa[{self.string(0)}]"])
        return f"{self.random.choice(targets)} <<< {self.long(depth)};"

    def _store(self, depth: int) -> str:
        if "at" in self.locked:
            return ";"
        operator = self._pick("=", ".=")
        return f"at[{self._key(depth)}] {operator} {self.string(depth)};"

    def _print(self, depth: int) -> str:
        return self._pick(
            f"{self._printf(depth)};",
            f"println({self.long(depth)}, {self.string(depth)});",
            f'printd("-", {self.long(depth)}, {self.string(depth)});',
            f"print_char(65 + ({self._key(depth)}));",
            "print(@hist_log(st));",
            f"log({self.string(depth)});",
        )

    def _if(self, depth: int) -> str:
        orelse = f" else {{ {self._block(depth)} }}" if self.random.random() < 0.5 else ""
        return f"if ({self.long(depth)}) {{ {self._block(depth)} }}{orelse}"

    def _loop(self, depth: int) -> str:
        self.names += 1
        name, count = f"i{self.names}", self.random.randint(1, 4)
        self.loops += 1
        body = self._block(depth)
        self.loops -= 1
        if self.random.random() < 0.5:
            return f"for ({name} = 0; {name} < {count}; {name}++) {{ {body} }}"
        return f"{name} = {count}\nwhile ({name}-- > 0) {{ {body} }}"

    def _foreach(self, depth: int) -> str:
        array = self._pick("al", "as", "at", "aw", "sa")
        added = {array} - self.locked
        self.locked |= added
        self.names += 1
        self.loops += 1
        header = self._header(array, f"k{self.names}")
        body = f"{self._visit(array, f'k{self.names}')} {self._block(depth)}"
        self.loops -= 1
        self.locked -= added
        return f"foreach ({header}) {{ {body} }}"

    def _header(self, array: str, key: str) -> str:
        limit = f" limit {self.random.randint(-1, 4)}" if self.random.random() < 0.5 else ""
        sign = self._pick("+", "-")
        if array == "sa":
            return (
                f"{key} in sa{self._pick('', ' @max', ' @sum', '') or sign}".replace(
                    "@max", f"@max{sign}"
                ).replace("@sum", f"@sum{sign}")
                + limit
            )
        keys = f"[{key}, {key}n]" if array == "as" else key
        slice_ = (
            self._pick("", '["a", *]', f"[*, {self.random.randint(0, 7)}]")
            if array == "as"
            else ""
        )
        if self.random.random() < 0.3 and array != "as":
            return f"{key}{sign} in {array}{limit}"
        mark = sign if self.random.random() < 0.6 else ""
        value = f"{key}v = " if self.random.random() < 0.4 else ""
        return f"{value}{keys} in {array}{slice_}{mark}{limit}"

    def _visit(self, array: str, key: str) -> str:
        shown = {
            "al": f'printf("%d %d\\n", {key}, al[{key}])',
            "as": f'printf("%s %d %d\\n", {key}, {key}n, as[{key}, {key}n])',
            "at": f'printf("%d %s\\n", {key}, at[{key}])',
            "aw": f'printf("%s %d\\n", {key}, aw[{key}])',
            "sa": f'printf("%s %d\\n", {key}, @count(sa[{key}]))',
        }
        return f"{shown[array]};"

    def _buckets(self, depth: int) -> str:
        return (
            "foreach (b in @hist_linear(sl, -10, 90, 10)) "
            "{ if (@hist_linear(sl, -10, 90, 10)[b]) println(b) }"
        )

    def _try(self, depth: int) -> str:
        return (
            f"try {{ {self._block(depth)} }} catch (m) {{ println(m); {self._block(depth)} }}"
        )

    def _raise(self, depth: int) -> str:
        return f"if ({self.long(depth)}) error({self.string(depth)})"

    def _leave(self, depth: int) -> str:
        if self.loops:
            return f"if ({self.long(depth)}) {self._pick('break', 'continue')};"
        return f"if ({self._key(depth)} == 6) next;"

    def _delete(self, depth: int) -> str:
        targets = ["g1", "s1", "st"]
        targets += [] if "al" in self.locked else ["al", f"al[{self._key(depth)}]"]
        targets += [] if "as" in self.locked else ['as["a", *]', f"as[*, {self._key(0)}]"]
        return f"delete {self.random.choice(targets)};"


_LONG = (
    "_long_leaf", "_arithmetic", "_arithmetic", "_arithmetic", "_comparison", "_logic",
    "_unary", "_long_ternary", "_long_assign", "_step", "_element", "_member", "_long_call",
    "_matching", "_extractor",
)  # fmt: skip
_STRING = (
    "_string_leaf", "_concat", "_concat", "_sprintf", "_string_ternary", "_string_assign",
    "_string_element", "_string_call",
)  # fmt: skip
_STATEMENTS = (
    "_expression", "_expression", "_feed", "_feed", "_store", "_print", "_if", "_loop",
    "_foreach", "_buckets", "_try", "_try", "_raise", "_leave", "_delete",
)  # fmt: skip


def script(seed: int) -> str:
    """The script of a seed."""
    return Generator(seed).script()
