"""Random scripts that are well typed, and the limits that they run under, by seed.

They are small, so that many can be run, and use every operation of the IR in every variant
(`coverage.py` counts). Loops are bounded or run into MAXACTION; arrays are not modified inside
a foreach over them, because that is refused.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field

LEAST = "(-9223372036854775807 - 1)"
MOST = "9223372036854775807"
LONGS = (LEAST, MOST, "0", "1", "-1", "2", "3", "7", "10", "31", "63", "64", "65", "255", "-7")
LONGS += ("1000", "2147483648", "-2147483648", "4294967297", "4611686018427387904", LEAST, MOST)
INITIALS = ("0", "1", "-1", "5", "-9", MOST, "-9223372036854775807", "4294967296")
WORDS = ("", "a", "b", "ab", "abc", "x y", "10", "0x1f", "-7", "0777", "%d", "q\\n", "\\200z")
WORDS += ("a,b;c", "long text that goes on", "abbbaba")
LONG_WORDS = tuple("x" * (length - 1) + "y" for length in (510, 511, 512, 513))
PATTERNS = (
    "^a",
    "b+$",
    "[0-9]+",
    "(a|b)c?",
    "x.y",
    "[^a-z]",
    "a*b",
    "(a|ab)(b|c)*",
    "()",
    "z|$",
)
PATTERNS += ("(x*)(y)$", "a(b?)(b*)", "^(.)(.)?", "[[:alpha:]]+", "(?:ab)+(a)?", "b{2,3}")
ARITHMETIC = ("+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", ">>>")
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
ASSIGNMENTS = ("=", "+=", "-=", "*=", "/=", "%=", "<<=", ">>=", "&=", "^=", "|=")
FLAGS = ("", "0", "+", "-", " ", "#")
SIZES = ("0", "1", "2", "5", "8", "21", "70")
STARS = ("0", "3", "-4", "8", "300", "600", "9000", "-2147483649", LEAST, MOST)
LONG_LETTERS = "diuoxXpcbmM"
TAILS = (
    "",
    "limit 0",
    "limit 1",
    "limit 2",
    "limit 30",
    "limit 31",
    "limit l1",
    "limit l1 - l1",
)
LINEAR = ("-10, 90, 10", "0, 100, 1", "-100, -50, 7", "0, 1250, 10", "5, 6, 1")
LINEAR += ("-9000000000000000000, 9000000000000000000, 300000000000000000", "3, 3, 2")
LIMITS: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("MAXSTRINGLEN", (2, 16, 64, 256, 513, 1024)),
    ("MAXACTION", (1, 20, 200)),
    ("MAXACTION_INTERRUPTIBLE", (20, 200)),
    ("MAXNESTING", (1, 3, 40)),
    ("MAXMAPENTRIES", (1, 2, 5)),
    ("MAXERRORS", (0, 1)),
    ("HIST_ELISION", (-1, 0, 1, 200)),
)
GLOBALS = {
    "g0": "global g0 = {initial}",
    "g1": "global g1",
    "s0": 'global s0 = "{text}"',
    "s1": "private global s1",
    "al": "global al",
    "as": "global as[40]",
    "at": "global at[4]",
    "aw": "global aw%[3]",
    "ax": "global ax%[2]",
    "st": "global st",
    "sl": "global sl",
    "sv": "global sv",
    "sa": "global sa[3]",
    "sh": "global sh%[2]",
}
"""How each global is declared; those that a script does not use are left out."""
LONG_CONTEXTS = ("pid", "tid", "ppid", "uid", "euid", "gid", "egid", "cpu", "pgrp", "sid")
LONG_CONTEXTS += ("task_current", "get_cycles", "ktime_get_ns")
LONG_CONTEXTS += tuple(f"gettimeofday_{unit}" for unit in ("s", "ms", "us", "ns"))
LONG_CONTEXTS += tuple(f"local_clock_{unit}" for unit in ("s", "ms", "us", "ns"))
KERNEL_READS = tuple((f"kernel_{kind}", 0) for kind in ("char", "short", "int", "long"))
KERNEL_READS += tuple((f"kernel_{s}int{n}", 0) for s in ("", "u") for n in (8, 16, 32, 64))
KERNEL_READS += (("kernel_pointer", 0), ("kernel_string", 0), ("kernel_string_n", 1))
KERNEL_READS += (("kernel_string_utf16", 0), ("kernel_string_utf32", 0))
KERNEL_READS += (("kernel_buffer_quoted_error", 2),)
TEXT_CONTEXTS = ("execname", "execname", "pexecname", "cmdline_str")
ASKED = (*(f"{name}()" for name in (*LONG_CONTEXTS, *TEXT_CONTEXTS)), "probefunc()", "ppfunc()")


def _text_of(call: str) -> str:
    return f'sprintf("%d", {call})' if call[:-2] in LONG_CONTEXTS else call


FUNCTIONS = {
    "told": " ".join(
        ("function told:string() {{ return", " . ".join(map(_text_of, ASKED)), "}}")
    ),
    "add": """function add:long(a:long, b:long) {{
  if (a > b) return a - b; g1 += a; return a + b }}""",
    "pick": """function pick:string(a:long) {{ if (a & 1) next; return sprintf("even %d", a) }}
function pick:string(a:long):2 {{ if (a > 1000) next; return "odd" }}""",
    "many": """function many:long(a:long) {{ if (a < 0) next; return a * 2 }}
function many:long(a:long):3 {{ if (a < -5) next; g0 = a; return a - 1 }}
function many:long(a:long):9 {{ if (a < -500) next; return 7 }}
function many:long(a:long, b:long) {{ return a ^ b }}""",
    "fact": "function fact:long(n:long) {{ return n < 2 ? 1 : n * fact(n - 1) }}",
    "even": """function even:long(n:long) {{ return n == 0 ? 1 : odd(n - 1) }}
function odd:long(n:long) {{ return n == 0 ? 0 : even(n - 1) }}""",
    "twice": "function twice:string(s:string) {{ s .= s; return s }}",
    "grow": 'function grow:string(n:long) {{ return n > 0 ? "ab" . grow(n - 1) : "" }}',
    "risky": "function risky:long(n:long) {{ return 100 / n }}",
    "nothing": "function nothing:long(n:long) {{ if (n) return n; g1++ }}",
    "silent": "function silent:string(n:long) {{ if (n) return s1; g1++; return s0 }}",
    "text": """function text:string(p:long) {{
  try {{ return user_string(p) }} catch (m) {{ return m }} }}""",
    "who": 'function who:string() {{ return execname() . "!" }}',
    "where": "function where:string() {{ return pp() . pn() }}",
    "sums": "function sums:long() {{ t = 0; foreach (v = [k] in al) t += v + k; return t }}",
    "first": """function first:long() {{
  foreach (k+ in al) {{ if (al[k]) return k }} return -1 }}""",
    "put": "function put:long(k:long) {{ al[k] = k * 3; return al[k] }}",
    "deep": """function deep:long(n:long) {{
  return n > 0 ? deep(n - 1) : pid() + gettimeofday_ms() }}""",
    "name": "function name:string(n:long) {{ return n > 0 ? name(n - 1) : execname() }}",
    "peek": """function peek:string(n:long, p:long) {{
  try {{ return n > 0 ? peek(n - 1, p) : user_string(p) }} catch (m) {{ return m }} }}""",
    "act": 'function act(n:long) {{ g1 = n; if (n & 1) error(sprintf("act %d", n)) }}',
    "rethrow": """function rethrow:long(n:long) {{ try {{ return risky(n) }}
catch (m) {{ error("again: " . m) }} return 3 }}""",
}
"""The functions that scripts may call; those that one does not use are left out."""
ALL_SHOWN = {
    "g0": 'printf("g0 %d\\n", g0)',
    "g1": 'printf("g1 %d\\n", g1)',
    "s0": 'printf("s0 %s\\n", s0)',
    "s1": 'printf("s1 %s\\n", s1)',
    "al": 'foreach (k in al) printf("al %d %d\\n", k, al[k])',
    "as": 'foreach ([t, n] in as-) printf("as %s %d %d\\n", t, n, as[t, n])',
    "at": 'foreach (k+ in at) printf("at %d %s\\n", k, at[k])',
    "aw": 'foreach (w in aw) printf("aw %s %d\\n", w, aw[w])',
    "ax": 'foreach (w in ax) printf("ax %s %s\\n", w, ax[w])',
    "st": "try {{ print(@hist_log(st)) }} catch (m) {{ println(m) }}",
    "sl": "try {{ print(@hist_linear(sl, {linear})) }} catch (m) {{ println(m) }}",
    "sv": 'printf("sv %d %d\\n", @count(sv), @sum(sv))',
    "sa": 'foreach (w in sa @max-) printf("sa %s %d %d\\n", w, @avg(sa[w]), @min(sa[w]))',
    "sh": 'foreach (k in sh) {{ printf("sh %d ", k) print(@hist_log(sh[k])) }}',
}
"""How the last handler shows each global."""
LOCALS = 'l0 = 1 l1 = 2 l2 = 0 t0 = "t" t1 = ""'
HIT = 'process("demo").mark("hit")'
POINTS = ("begin", "begin(1)", "begin(-3)", "end(-1)", "end", "error", "timer.s(7)")
POINTS += ("timer.ms(20000)", "begin", HIT, HIT, HIT, HIT)
CONDITIONS = (" if (g0 % 2 == 0)", " if (!g1)", ' if (s0 =~ "a" || g0)', " if (g1 <= 3)")


@dataclass
class Generator:
    """One script in the making."""

    seed: int
    random: random.Random = field(init=False)
    locked: set[str] = field(default_factory=set)
    loops: int = 0
    names: int = 0
    budget: int = 20
    on_hit: bool = False
    linear: str = ""
    bits: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.linear = self._pick(*LINEAR)
        self.bits = self.random.choice((0, 1, 3, 10, 40, 62))

    # --- whole scripts ------------------------------------------------------------------------

    def script(self) -> str:
        """The text."""
        count = self.random.choice((1, 2, 2, 3))
        body = "\n".join(self._probe(self._pick(*POINTS)) for _ in range(count))
        values = {
            "initial": self._pick(*INITIALS),
            "text": self._pick(*WORDS, *LONG_WORDS),
            "linear": self.linear,
        }
        functions = [FUNCTIONS[name].format(**values) for name in _used(FUNCTIONS, body)]
        globals_ = list(_used(GLOBALS, "\n".join([body, *functions])))
        shown = "\n  ".join(ALL_SHOWN[name].format(**values) for name in globals_)
        declared = [GLOBALS[name].format(**values) for name in globals_]
        end = f'probe end {{\n  println("end")\n  {shown}\n}}'
        return "\n".join([*declared, *functions, body, end, ""])

    def defines(self) -> dict[str, str]:
        """The limits that the script runs under."""
        chance = random.Random(~self.seed)
        chosen = {"MAXERRORS": "1000", "MAXACTION_INTERRUPTIBLE": "1000"}
        for name, values in LIMITS:
            if chance.random() < 0.1:
                chosen[name] = str(chance.choice(values))
        return chosen

    def _probe(self, point: str) -> str:
        self.budget = self.random.choice((6, 12, 25))
        self.on_hit = point == HIT
        self.locked.clear()
        condition = self._pick(*CONDITIONS) if self.random.random() < 0.25 else ""
        body = self._block(self.random.choice((2, 2, 3)))
        return f"probe {point}{condition} {{ {LOCALS}\n{body}\n}}"

    def _pick(self, *choices: str) -> str:
        return self.random.choice(choices)

    def _free(self, *names: str) -> list[str]:
        return [name for name in names if name not in self.locked]

    # --- numbers ------------------------------------------------------------------------------

    def long(self, depth: int) -> str:
        """An expression with a number."""
        self.budget -= 1
        if depth <= 0 or self.budget <= 0:
            return self._long_leaf()
        return str(getattr(self, self._pick(*_LONG))(depth - 1))

    def _long_leaf(self, _: int = 0) -> str:
        leaves = ["l0", "l1", "l2", "g0", "g1", *self.random.sample(LONGS, 3)]
        if self.on_hit:
            leaves += ["$arg1", "$arg2", "$arg1", "$arg2", f"{self._pick(*LONG_CONTEXTS)}()"]
        return self.random.choice(leaves)

    def _arithmetic(self, depth: int) -> str:
        operator, left = self._pick(*ARITHMETIC), self.long(depth)
        if operator == ">>>":
            left = f"(g0 + {left})"  # two constants are refused
        return f"({left} {operator} {self.long(depth)})"

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
        return f"({self._long_place(depth)} {self._pick(*ASSIGNMENTS)} {self.long(depth)})"

    def _step(self, depth: int) -> str:
        place = self._long_place(depth)
        return self._pick(f"({place}++)", f"(--{place})", f"({place}--)", f"(++{place})")

    def _long_place(self, depth: int) -> str:
        places = ["l0", "l1", "l2", "g0", "g1", *self._free("al", "as", "aw")]
        return self._index(self.random.choice(places), depth)

    def _index(self, name: str, depth: int = 0) -> str:
        """An element if the name is an array's, else the name."""
        keys = {
            "al": self._key, "at": self._key, "sh": self._key,
            "as": lambda d: f"{self._word()}, {self._key(d)}",
            "aw": lambda _: self._word(), "ax": lambda _: self._word(),
            "sa": lambda _: self._word(),
        }  # fmt: skip
        return f"{name}[{keys[name](depth)}]" if name in keys else name

    def _key(self, depth: int) -> str:
        if self.random.random() < 0.1:
            return self._pick(LEAST, MOST)
        return f"(({self.long(min(depth, 1))}) & 7)"

    def _word(self) -> str:
        """A key, often one that `_fill` makes."""
        return self._pick('"0"', '"1"', '"3"') if self.random.random() < 0.4 else self.string(0)

    def _element(self, depth: int) -> str:
        return self._index(self._pick("al", "as", "aw"), depth)

    def _member(self, depth: int) -> str:
        return self._pick(
            f"({self._key(depth)} in al)", f"({self._word()} in aw)", f"({self._word()} in sa)",
            f"([{self._word()}, *] in as)", f"([*, {self._key(0)}] in as)", "([*, *] in as)",
            f"([{self._word()}, {self._key(0)}] in as)", f"({self._key(0)} in at)",
        )  # fmt: skip

    def _long_call(self, depth: int) -> str:
        calls = [
            f"add({self.long(depth)}, {self.long(depth)})", f"fact({self.long(depth)} & 15)",
            f"many({self.long(depth)})", f"many({self.long(0)}, {self.long(0)})",
            f"even({self.long(0)} & 31)", f"risky({self.long(depth)})",
            f"nothing({self.long(depth)})", f"rethrow({self.long(0)})", "sums()", "first()",
        ]  # fmt: skip
        return self._pick(*calls, *([f"put({self._key(0)})"] if self._free("al") else []))

    def _long_builtin(self, depth: int) -> str:
        text = self.string(depth)
        number = self._pick(
            *(f"{sign}int{size}" for sign in ("", "u") for size in (8, 16, 32, 64))
        )
        return self._pick(
            f"strlen({text})", f"strtol({text}, {self._pick('0', '8', '10', '16', '36', '1')})",
            f"isinstr({text}, {self._word()})", f"stringat({text}, {self.long(0)})",
            f"stringat({text}, 0)", f"isdigit({text})", f"strpos({text}, {self._word()})",
            "ngroups()", "target()", "user_mode()", "is_return()", "speculation()",
            f"long_to_fp({self.long(depth)})",
            f"fp_to_long(long_to_fp({self.long(0)}), {self._pick('0', '1', '2', '3', '4')}, 0)",
            f"fp_{self._pick('add', 'sub', 'mul', 'div', 'eq', 'le', 'lt')}({self._real()}, "
            f"{self._real()})",
            f"user_{number}({self._address()})", f"user_{number}({self._address()})",
            f"fp_sqrt({self._real()})", f"fp32_to_fp64({self.long(0)})",
            f"errno_p({self.long(0)})", "stp_pid()",
        )  # fmt: skip

    def _address(self) -> str:
        """At a hit often one that can be read, so that the handler alone knows it."""
        return self._pick("$arg1 + l0", "$arg2 + l0", self.long(0)) if self.on_hit else "g1"

    def _real(self) -> str:
        return self._pick(
            f"long_to_fp({self.long(0)})", 'string_to_fp("-2.5")', 'string_to_fp("10")'
        )

    def _matching(self, depth: int) -> str:
        return f'({self.string(depth)} {self._pick("=~", "!~")} "{self._pick(*PATTERNS)}")'

    def _extractor(self, depth: int) -> str:
        place = self._statistic(depth)
        part = self._pick("count", "sum", "min", "max", "avg", "variance")
        extra = f", {self.bits}" if part == "variance" else ""
        return f"@{part}({place}{extra})"

    def _statistic(self, depth: int) -> str:
        return self._index(self._pick("st", "sl", "sv", "sv", "sa", "sh"), depth)

    def _histogram(self, depth: int) -> str:
        place = self._index(self._pick("st", "sl", "sh"), depth)
        if place == "sl":
            return f"@hist_linear(sl, {self.linear})"
        return f"@hist_log({place})"

    def _bucket(self, depth: int) -> str:
        number = self._pick(f"({self._key(0)} + 60)", "0", "64", "127", "128", "-1", "2")
        return f"{self._histogram(depth)}[{number}]"

    # --- strings ------------------------------------------------------------------------------

    def string(self, depth: int) -> str:
        """An expression with a string."""
        self.budget -= 1
        if depth <= 0 or self.budget <= 0:
            return self._string_leaf()
        return str(getattr(self, self._pick(*_STRING))(depth - 1))

    def _string_leaf(self, _: int = 0) -> str:
        chosen = self.random.choice(LONG_WORDS if self.random.random() < 0.05 else WORDS)
        leaves = ["t0", "t1", "s0", "s1", f'"{chosen}"', f'"{chosen}"']
        if self.on_hit:
            leaves += [f"{self._pick(*TEXT_CONTEXTS)}()", "user_string($arg2)"]
            leaves += ["$$name", "$$vars"]
        return self.random.choice(leaves)

    def _concat(self, depth: int) -> str:
        parts = [self.string(depth) for _ in range(self.random.choice((2, 2, 3, 5)))]
        return f"({' . '.join(parts)})"

    def _sprintf(self, depth: int) -> str:
        return f"s{self._printf(depth)}"

    def _string_ternary(self, depth: int) -> str:
        return f"({self.long(depth)} ? {self.string(depth)} : {self.string(depth)})"

    def _string_assign(self, depth: int) -> str:
        place = self._index(self._pick("t0", "t1", "s0", "s1", *self._free("at", "ax")), depth)
        return f"({place} {self._pick('=', '.=')} {self.string(depth)})"

    def _string_element(self, depth: int) -> str:
        return self._index(self._pick("at", "ax"), depth)

    def _string_call(self, depth: int) -> str:
        if self.on_hit and self.random.random() < 0.4:
            return self._pick(
                "text($arg2 + 8)", "who()", "name(2)", "name(1)", 'sprintf("%d", deep(2))',
                f"peek(1, {self.long(0)})",
                f"text({self.long(depth)})", 'sprintf("%d", deep(1))',
            )  # fmt: skip
        return self._pick(
            f"pick({self.long(depth)})", f"twice({self.string(depth)})", "where()",
            f"silent({self.long(depth)})", f"grow({self.long(0)} & 15)",
        )  # fmt: skip

    def _string_builtin(self, depth: int) -> str:
        text = self.string(depth)
        return self._pick(
            f"substr({text}, {self._key(0)}, {self._key(0)})",
            f"substr({text}, {self.long(0)}, {self.long(0)})",
            f'str_replace({text}, {self._pick("", "a", "ab", "x")!r}, "bc")'.replace("'", '"'),
            f"sprint({self._histogram(depth)})", f"text_str({text})",
            f"text_strn({text}, {self.long(0)}, {self._pick('0', '1')})",
            f"string_quoted({text})", f'tokenize({text}, ",b ")', 'tokenize(",;")',
            f"matched({self._pick('0', '1', '2', '-1')})",
            f"errno_str({self._pick('2', '-13')})", f"errno_str({self.long(0)})",
            f"ctime({self.long(0)})", "pp()", "pn()", "ppfunc()",
            f"fp_to_string({self._real()}, {self._pick('0', '2', '6')})",
            f"user_string_n({self._address()}, {self._pick('5', '600', self.long(0))})",
            f"user_string_utf{self._pick('16', '32')}({self._address()})",
            f"user_buffer_quoted{self._pick('', '_error')}({self._address()}, {self._key(0)}, "
            f"{self._pick('7', '40', self.long(0))})",
            "probefunc()", "module_name()", self._bytes(),
        )  # fmt: skip

    def _bytes(self) -> str:
        """A buffer: bytes that UTF-8 and C escapes treat in every way, then any."""
        words = ("0x41a9c3ac82e20a00", "0x30313200982080f0", "0x5c22ffc30961e29f", "0")
        picked = ", ".join(self._pick(*words, self.long(0)) for _ in range(8))
        size, most = self._pick("9", "99", self.long(0)), self._pick("7", "50", "0")
        return f"_bytes_quoted({picked}, {self.long(0)}, {size}, {most})"

    def _conversion(self, depth: int) -> tuple[str, list[str]]:
        """One conversion and its arguments."""
        letter = self._pick(*LONG_LETTERS, "s", "s", "s")
        width = self._pick("", "", "*", *self.random.sample(SIZES, 2))
        precision = self._pick("", "", ".*", f".{self._pick(*SIZES)}")
        stars = [size for size in (width, precision) if size.endswith("*")]
        arguments = [self._pick(*STARS, "l2") for _ in stars]
        arguments.append(self.string(depth) if letter == "s" else self.long(depth))
        flag = self._pick(*FLAGS)
        if self.on_hit and letter in "mM":
            flag = "#"  # the kernel's memory cannot be read there
        if not flag and width == "0":
            width = ""
        return f"%{flag}{width}{precision}{letter}", arguments

    def _printf(self, depth: int) -> str:
        pieces, arguments = [], []
        for _ in range(self.random.choice((1, 1, 2, 3))):
            piece, values = self._conversion(depth)
            pieces.append(piece)
            arguments += values
        return f'printf("{"|".join(pieces)}\\n", {", ".join(arguments)})'

    # --- statements ---------------------------------------------------------------------------

    def _block(self, depth: int) -> str:
        return "\n".join(self._statement(depth) for _ in range(self.random.randint(1, 4)))

    def _statement(self, depth: int) -> str:
        if depth <= 0 or self.budget <= 0:
            return f"{self._printf(0)};"
        return str(getattr(self, self._pick(*_STATEMENTS))(depth - 1))

    def _expression(self, depth: int) -> str:
        choice = self._pick("_long_assign", "_step", "_string_assign", "_long_call")
        return f"{getattr(self, choice)(depth)};"

    def _extremes(self, _: int) -> str:
        """Every operator on two values where it is delicate, which no pass can fold."""
        values = (LEAST, MOST, "-1", "0", "1", "5", "-7")
        words = (*WORDS, "same", "same")
        shown = ", ".join(f"g0 {op} g1" for op in (*ARITHMETIC, *COMPARISONS) if op not in "/%")
        texts = ", ".join(f"s0 {op} s1" for op in COMPARISONS)
        pairs = "\n".join(
            f"g0 = {self._pick(*values)} g1 = {self._pick(*values)} println({shown})\n"
            f'try {{ println(g0 / g1, " ", g0 % g1) }} catch (m) {{ println(m) }}'
            for _ in range(2)
        )
        return (
            f"{pairs}\n"
            f's0 = "{self._pick(*words)}" s1 = "{self._pick(*words)}" println({texts});'
        )

    def _conversions(self, _: int) -> str:
        """A format with much in it, printed or stored."""
        pieces = [self._conversion(0) for _ in range(8)]
        arguments = ", ".join(argument for _, values in pieces for argument in values)
        format_ = "|".join(text for text, _ in pieces)
        print_ = f'printf("{format_}\\n", {arguments})'
        return (
            f"try {{ {self._pick(print_, f'println(s{print_})')} }} catch (m) {{ println(m) }}"
        )

    def _builtins(self, _: int) -> str:
        """Many functions at once; the first that fails ends it."""
        values = [self._long_builtin(1) for _ in range(3)]
        values += [self._string_builtin(1) for _ in range(3)]
        if self.on_hit:
            values += ["name(2)", "deep(2)", "ppfunc()"]
        else:
            many, picked = self._pick("3", "-1", "-7", "-900"), self._pick("1", "2", "1001")
            values += [f"many({many})", f"pick({picked})", "fact(60)"]
        self.random.shuffle(values)
        return (
            f"try {{ {' '.join(f'println({v});' for v in values)} }} catch (m) {{ println(m) }}"
        )

    def _sorted(self, depth: int) -> str:
        """Some entries, a loop over them in some order, and what the order is afterwards."""
        names = self._free("al", "as", "at", "aw", "ax", "sa", "sh")
        if not names:
            return ";"
        name = self._pick(*names)
        self.names += 1
        key, keys = (
            f"k{self.names}",
            f"[k{self.names}, n]" if name == "as" else f"k{self.names}",
        )
        loop = f"foreach ({self._header(name, key)}) {{ {self._visit(name, key)} }}"
        self.names += 1
        text = f"foreach ({keys} in {name}) print({key});"
        return f"{self._filled(name)} {loop} {text}"

    def _statistics(self, _: int) -> str:
        """All that can be asked of a statistic."""
        name = self._pick("st", "sl", "sv", *self._free("sa", "sh"))
        place = self._index(name)
        feeds = " ".join(
            f"{place} <<< {self.long(0)};" for _ in range(self.random.randint(0, 4))
        )
        reads = [f"@{part}({place})" for part in ("count", "sum", "min", "max", "avg")]
        reads.append(f"@variance({place}, {self.bits})")
        texts = {"st": f"@hist_log({place})", "sh": f"@hist_log({place})"}
        texts["sl"] = f"@hist_linear(sl, {self.linear})"
        if name in texts:
            reads += [
                f"sprint({texts[name]})",
                f"{texts[name]}[{self._pick('64', '3', '200')}]",
            ]
        self.random.shuffle(reads)
        shown = " ".join(f"println({read});" for read in reads)
        return f"{feeds} try {{ {shown} }} catch (m) {{ println(m) }}"

    def _membership(self, _: int) -> str:
        """What is in an array, and what is left when some was deleted."""
        if not self._free("as"):
            return ";"
        key = f'"{self.random.randint(0, 4)}"', str(self.random.randint(0, 5))
        shapes = [f"[{a}, {b}]" for a in (key[0], "*") for b in (key[1], "*")]
        asked = ", ".join(f"{shape} in as" for shape in shapes)
        return f"{self._filled('as')} println({asked}); delete as{self._pick(*shapes)};"

    def _machine(self, _: int) -> str:
        """All that a hit says, asked by a function; elsewhere all that cannot be read."""
        if self.on_hit:
            return "println(told());"
        return "\n".join(
            f"try {{ println({name}(g1{', 5' * more})) }} catch (m) {{ println(m) }}"
            for name, more in KERNEL_READS
        )

    def _floats(self, _: int) -> str:
        one, two = self._real(), self._real()
        names = ("add", "sub", "mul", "div", "rem", "eq", "le", "lt")
        calls = ", ".join(f"fp_{name}({one}, {two})" for name in names)
        return f"println({calls});"

    def _add(self, depth: int) -> str:
        place = self._long_place(depth)
        return self._pick(f"{place}++;", f"{place} -= {self.long(depth)};", f"{place} += 3;")

    def _feed(self, depth: int) -> str:
        """Some values for a statistic: the extractors need more than one."""
        name = self._pick("st", "sl", "sv", *self._free("sa", "sh"))
        values = [self.long(depth)] + [
            self._pick(*LONGS) for _ in range(self.random.randint(0, 3))
        ]
        place = self._index(name, depth)
        return " ".join(f"{place} <<< {value};" for value in values)

    def _fill(self, _: int) -> str:
        """Enough entries for the sizes and the ways to sort to matter."""
        names = self._free("al", "as", "at", "aw", "ax", "sa", "sh")
        return self._filled(self._pick(*names)) if names else ";"

    def _filled(self, name: str) -> str:
        self.names += 1
        i = f"i{self.names}"
        text = f'sprintf("%d", ({i} * 7) % 5)'
        mixed = f"({i} * 7919) % 13"
        step = self._pick(f"= {i} % 4", "+= 2", "++")
        body = {
            "al": f"al[{mixed}] {step}", "as": f"as[{text}, {i}] += {mixed}",
            "at": f"at[{i}] = {text}", "aw": f"aw[{text}] {step}",
            "ax": f"ax[{text}] .= {text}", "sa": f"sa[{text}] <<< {mixed}",
            "sh": f"sh[{i}] <<< {mixed}",
        }[name]  # fmt: skip
        return f"for ({i} = 0; {i} < {self.random.choice((2, 3, 6, 40))}; {i}++) {body}"

    def _store(self, depth: int) -> str:
        free = self._free("at", "ax")
        if not free:
            return ";"
        place = self._index(self._pick(*free), depth)
        return f"{place} {self._pick('=', '.=')} {self.string(depth)};"

    def _print(self, depth: int) -> str:
        return self._pick(
            f"{self._printf(depth)};", f"println({self.long(depth)}, {self.string(depth)});",
            f'printd("-", {self.long(depth)}, {self.string(depth)});',
            f"println({self._matching(depth)});",
            f"print_char(65 + ({self._key(depth)}));", f"print({self._histogram(depth)});",
            f"log({self.string(depth)});", f"warn({self.string(0)});",
        )  # fmt: skip

    def _if(self, depth: int) -> str:
        orelse = f" else {{ {self._block(depth)} }}" if self.random.random() < 0.5 else ""
        return f"if ({self.long(depth)}) {{ {self._block(depth)} }}{orelse}"

    def _loop(self, depth: int) -> str:
        self.names += 1
        name, count = f"i{self.names}", self.random.choice((0, 1, 2, 4, 60))
        self.loops += 1
        body = self._block(depth)
        self.loops -= 1
        if self.random.random() < 0.5:
            return f"for ({name} = 0; {name} < {count}; {name}++) {{ {body} }}"
        return f"{name} = {count}\nwhile ({name}-- > 0) {{ {body} }}"

    def _foreach(self, depth: int) -> str:
        array = self._pick("al", "as", "at", "aw", "ax", "sa", "sh")
        added = {array} - self.locked
        self.locked |= added
        self.names += 1
        self.loops += 1
        key = f"k{self.names}"
        header = self._header(array, key)
        body = self._block(depth) if self.random.random() < 0.5 else self._leave(depth)
        body = f"{self._visit(array, key)} {body}"
        self.loops -= 1
        self.locked -= added
        return f"foreach ({header}) {{ {body} }}"

    def _header(self, array: str, key: str) -> str:
        """The variables, the order, the slice and the limit of a foreach."""
        sign, place = self._pick("+", "-"), self._pick("key", "value", "array", "none")
        tail = self._pick(*TAILS)
        if array in ("sa", "sh"):
            part = self._pick("", "@count", "@sum", "@min", "@max", "@avg", "@variance")
            mark = f" {part}{sign}" if place != "none" or part else ""
            mark = mark if part else mark.strip()
            return f"{key} in {array}{mark} {tail}"
        marks = {name: sign if name == place else "" for name in ("key", "value", "array")}
        value = f"{key}v{marks['value']} = " if place == "value" or sign == "+" else ""
        keys, slice_ = f"{key}{marks['key']}", ""
        if array == "as":
            second = self._pick("", sign) if place == "none" else ""
            keys = f"[{keys}, {key}n{second}]"
            slice_ = self._pick("", '["1", *]', f"[*, {self.random.randint(0, 7)}]", '["2", 3]')
        return f"{value}{keys} in {array}{slice_}{marks['array']} {tail}"

    def _visit(self, array: str, key: str) -> str:
        shown = {
            "al": f'printf("%d %d\\n", {key}, al[{key}])',
            "as": f'printf("%s %d %d\\n", {key}, {key}n, as[{key}, {key}n])',
            "at": f'printf("%d %s\\n", {key}, at[{key}])',
            "aw": f'printf("%s %d\\n", {key}, aw[{key}])',
            "ax": f'printf("%s %s\\n", {key}, ax[{key}])',
            "sa": f'printf("%s %d\\n", {key}, @count(sa[{key}]))',
            "sh": f'printf("%d %d\\n", {key}, @sum(sh[{key}]))',
        }
        return f"{shown[array]};"

    def _buckets(self, depth: int) -> str:
        self.names += 1
        histogram, b = self._histogram(min(depth, 0)), f"b{self.names}"
        return f"foreach ({b} in {histogram}) {{ if ({histogram}[{b}]) println({b}) }}"

    def _try(self, depth: int) -> str:
        if self.random.random() < 0.2:
            return f"try {{ {self._block(depth)} }} catch {{ {self._block(depth)} }}"
        return (
            f"try {{ {self._block(depth)} }} catch (m) {{ println(m); {self._block(depth)} }}"
        )

    def _raise(self, depth: int) -> str:
        return self._pick(
            f"if ({self.long(depth)}) error({self.string(depth)})",
            f"act({self.long(depth)});",
            f"try {{ error({self.string(0)}) }} catch (m) {{ error(m . m) }}",
        )

    def _leave(self, depth: int) -> str:
        if self.loops:
            return f"if ({self.long(depth)}) {self._pick('break', 'continue')};"
        return f"if ({self._key(depth)} == 6) next;"

    def _stop(self, depth: int) -> str:
        return f"if ({self.long(depth)}) {self._pick('exit()', 'abort()', 'next', 'exit()')};"

    def _spin(self, _: int) -> str:
        """Into MAXACTION, which nothing catches."""
        return (
            "try { while (1) g1++ } catch (m) { println(m) }"
            if self.random.random() < 0.3
            else ";"
        )

    def _speculation(self, depth: int) -> str:
        self.names += 1
        name = f"c{self.names}"
        what = self._pick("commit", "discard", "commit")
        return (
            f"{name} = speculation() speculate({name}, {self.string(depth)}) "
            f"speculate({name}, {self.string(0)}) {what}({name}) commit({name});"
        )

    def _delete(self, depth: int) -> str:
        arrays = self._free("al", "as", "at", "aw", "ax", "sa", "sh")
        targets = ["g1", "s1", "st", "sl", "g0", "l0", *arrays]
        targets += [self._index(name, depth) for name in arrays]
        if "as" in arrays:
            targets += [f"as[{self._word()}, *]", f"as[*, {self._key(0)}]", "as[*, *]"]
        targets.remove("l0")
        return f"delete {self.random.choice(targets)};"


def _used(table: dict[str, str], text: str) -> list[str]:
    """The names of a table that a text uses, and those that their own texts use."""
    found: set[str] = set()
    waiting = [text]
    while waiting:
        words = set(re.findall(r"[a-z]\w*", waiting.pop()))
        new = {name for name in table if name in words} - found
        found |= new
        waiting += [table[name] for name in new]
    return [name for name in table if name in found]


_LONG = (
    "_long_leaf", "_arithmetic", "_arithmetic", "_comparison", "_logic", "_unary",
    "_long_ternary", "_long_assign", "_step", "_element", "_member", "_long_call",
    "_long_builtin", "_matching", "_extractor", "_bucket",
)  # fmt: skip
_STRING = (
    "_string_leaf", "_concat", "_concat", "_sprintf", "_string_ternary", "_string_assign",
    "_string_element", "_string_call", "_string_builtin", "_string_builtin",
)  # fmt: skip
_STATEMENTS = (
    "_expression", "_expression", "_add", "_feed", "_feed", "_fill", "_fill", "_store",
    "_print", "_print", "_if", "_loop", "_foreach", "_foreach", "_buckets", "_try", "_try",
    "_raise", "_leave", "_stop", "_delete", "_delete", "_speculation", "_spin", "_extremes",
    "_extremes", "_conversions", "_conversions", "_conversions", "_floats", "_builtins",
    "_builtins", "_sorted", "_sorted", "_sorted", "_sorted", "_sorted", "_statistics",
    "_statistics", "_membership", "_machine",
)  # fmt: skip


def script(seed: int) -> str:
    """The script of a seed."""
    return Generator(seed).script()


def defines(seed: int) -> dict[str, str]:
    """The limits of a seed's script."""
    return Generator(seed).defines()
