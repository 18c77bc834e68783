"""The ten longest interrupt handlers of an LTTng trace: `python irq_handlers.py TRACE`."""

import sys

from bridge.trace.ltt import open_ltt

runs, entered = [], {}
with open_ltt(sys.argv[1]) as trace:
    for event in trace:
        if event.event_class.name == "kernel.irq_entry":
            entered.setdefault(event.cpu, []).append(event)  # handlers nest
        elif event.event_class.name == "kernel.irq_exit" and entered.get(event.cpu):
            entry = entered[event.cpu].pop()
            runs.append((event.timestamp_ns - entry.timestamp_ns, entry.fields["irq_id"]))
for duration, irq in sorted(runs, reverse=True)[:10]:
    print(f"irq {irq:3} {duration:9,} ns")
