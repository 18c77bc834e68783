"""Providers -> a C header with a macro for each probe, as `dtrace -h` makes one.

The names are dtrace(1)'s: `PROVIDER_PROBE(arg1, …)` and `PROVIDER_PROBE_ENABLED()`, `__` of the
probe becoming `_`. The rule: <sys/sdt.h> is used where there is one, <markbridge/marker.h>
where there is none, and the notes in the program are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bridge.facility.provider.model import Provider, ProviderProbe

_START = """/* Made by markbridge dtrace; changes will be lost. */

#ifdef __has_include
#if !__has_include(<sys/sdt.h>)
#if !__has_include(<markbridge/marker.h>)
#error "no <sys/sdt.h>, no <markbridge/marker.h>: give the compiler $(markbridge --cflags)"
#endif
#define MARKBRIDGE_IS_SDT 1
#endif
#endif

#ifndef MARKBRIDGE_IS_SDT
#define _SDT_HAS_SEMAPHORES 1
#define STAP_HAS_SEMAPHORES 1
#include <sys/sdt.h>
#elif !defined DTRACE_PROBE
#include <markbridge/marker.h>
#define DTRACE_PROBE MARKBRIDGE_MARK_SEMAPHORE
{fallback}
#endif
"""
_MOST = 12


def semaphore(provider: Provider, probe: ProviderProbe) -> str:
    """The symbol that tracers count up while they listen to a probe."""
    return f"{provider.name}_{probe.name}_semaphore"


def macro(provider: Provider, probe: ProviderProbe) -> str:
    """The name of a probe's macro."""
    return f"{provider.name.upper()}_{probe.name.replace('__', '_').upper()}"


def _probe(provider: Provider, probe: ProviderProbe) -> Iterator[str]:
    name, counter, count = (
        macro(provider, probe),
        semaphore(provider, probe),
        len(probe.arguments),
    )
    shown = ", ".join(" ".join(filter(None, (a.type, a.name))) for a in probe.arguments)
    names = ", ".join(f"arg{n + 1}" for n in range(count))
    number = str(count) if count else ""
    given = f", {names}" if names else ""
    yield ""
    yield f"/* {name}({shown}) */"
    yield f"#define {name}_ENABLED() __builtin_expect({counter}, 0)"
    yield (
        f"__extension__ extern unsigned short {counter}"
        ' __attribute__((unused)) __attribute__((section(".probes")));'
    )
    yield f"#define {name}({names}) \\"
    yield f"\tDTRACE_PROBE{number}({provider.name}, {probe.name}{given})"


def write(providers: Iterable[Provider]) -> str:
    """The header's text."""
    fallback = "\n".join(
        f"#define DTRACE_PROBE{n} MARKBRIDGE_MARK_SEMAPHORE" for n in range(1, _MOST + 1)
    )
    lines = [_START.replace("{fallback}", fallback).rstrip("\n")]
    for provider in providers:
        for probe in provider.probes:
            lines += _probe(provider, probe)
    return "\n".join([*lines, ""])


__all__ = ["macro", "semaphore", "write"]
