"""Recordings of five scripts as spans: as many, and as long, as the scripts print."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Compiler, Runner

VICTIM = """
#include <markbridge/marker.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
__attribute__((noipa, optimize("O0"))) long depth(long n)
{
	__asm__ volatile("" : "+r"(n));
	return n < 2 ? n : depth(n - 1) + depth(n - 2) + 1;
}
static void *orders(void *first)
{
	for (long i = (long)first; i < (long)first + 9; i++) {
		MARKBRIDGE_MARK(shop, order_begin, i);
		for (long part = 0; part < i % 3; part++) {
			MARKBRIDGE_MARK(shop, pack_start, i, part);
			syscall(SYS_nanosleep, &(struct timespec){ 0, 1000 * (part + 1) }, 0);
			MARKBRIDGE_MARK(shop, pack_done, i, part);
		}
		MARKBRIDGE_MARK(shop, order_end, i);
	}
	return 0;
}
int main(void)
{
	pthread_t one, two;
	pthread_create(&one, 0, orders, (void *)0);
	pthread_create(&two, 0, orders, (void *)100);
	pthread_join(one, 0);
	pthread_join(two, 0);
	return depth(7) != 33;
}
"""
PRELUDE = "global begun, deep function now() { return gettimeofday_ns() }\n"
PAIR = """probe BEGIN {
	if (execname() == "victim") begun[tid(), "NAME", deep[tid(), "NAME"]++] = now()
}
probe END {
	if (execname() == "victim")
		printf("NAME %d\\n", now() - begun[tid(), "NAME", --deep[tid(), "NAME"]])
}
"""
ORDERS = ("shop:order", '@1).mark("order_begin")', '@1).mark("order_end")')
PACKS = ("shop:pack", '@1).mark("pack_start")', '@1).mark("pack_done")')
DEPTH = ("victim:depth", '@1).function("depth").call', '@1).function("depth").return')
SLEEPS = (
    "sys_nanosleep",
    'kernel.trace("syscalls:sys_enter_nanosleep")',
    'kernel.trace("syscalls:sys_exit_nanosleep")',
)
COUNTS = {"shop:order": 18, "shop:pack": 18, "victim:depth": 41, "sys_nanosleep": 18}

pytestmark = [pytest.mark.root, pytest.mark.bpf]


def _script(pairs: tuple[tuple[str, str, str], ...]) -> str:
    text = PRELUDE
    for name, *points in pairs:
        first, second = (p if p.startswith("kernel") else f"process({p}" for p in points)
        text += PAIR.replace("NAME", name).replace("BEGIN", first).replace("END", second)
    return text


@pytest.mark.parametrize(
    "pairs",
    [(ORDERS,), (PACKS,), (DEPTH,), (SLEEPS,), (ORDERS, PACKS, DEPTH, SLEEPS)],
    ids=["orders", "packs", "depth", "sleeps", "all"],
)
def test_spans_are_what_the_script_prints(
    pairs: tuple[tuple[str, str, str], ...], run: Runner, compile_c: Compiler, tmp_path: Path
) -> None:
    victim, script = compile_c("victim", VICTIM, "-pthread"), tmp_path / "pairs.stp"
    trace = tmp_path / "trace"
    script.write_text(_script(pairs))
    done = run("run", "--trace", trace, script, *([victim] * ("@1" in script.read_text())),
               "-c", victim)  # fmt: skip
    assert done.code == 0, done.err

    exported = run("export", "--to", "otel", trace)

    request = Parse(exported.out, ExportTraceServiceRequest())
    (resource,) = request.resource_spans
    (scope,) = resource.scope_spans
    ours = [span for span in scope.spans if _program(span) == "victim"]
    shown = [f"{s.name} {s.end_time_unix_nano - s.start_time_unix_nano}" for s in ours]
    assert sorted(shown) == sorted(done.out.splitlines())
    names = [name for name, *_ in pairs]
    assert Counter(span.name for span in ours) == {name: COUNTS[name] for name in names}
    if len(pairs) > 1:
        _nested(ours)


def _program(span: object) -> str:
    values = {one.key: one.value for one in span.attributes}
    return values["procname"].string_value


def _nested(spans: list[object]) -> None:
    """Packing is part of an order, sleeping of packing, and depths of depths but the first."""
    names = {span.span_id: span.name for span in spans}
    found = Counter((span.name, names.get(span.parent_span_id, "")) for span in spans)
    assert found == {
        ("shop:order", ""): 18,
        ("shop:pack", "shop:order"): 18,
        ("sys_nanosleep", "shop:pack"): 18,
        ("victim:depth", ""): 1,
        ("victim:depth", "victim:depth"): 40,
    }


def test_it_is_json(run: Runner, compile_c: Compiler, tmp_path: Path) -> None:
    """64-bit integers are texts there, and identities hexadecimal."""
    victim, trace = compile_c("victim", VICTIM, "-pthread"), tmp_path / "trace"
    text = _script((ORDERS,)).replace("@1", f'"{victim}"')
    assert run("run", "--trace", trace, "-e", text, "-c", victim).code == 0

    shown = json.loads(run("export", "--to", "otel", trace).out)

    (span, *_) = shown["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert isinstance(span["startTimeUnixNano"], str)
    assert (len(bytes.fromhex(span["traceId"])), len(bytes.fromhex(span["spanId"]))) == (16, 8)
