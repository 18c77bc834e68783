"""A program written for genevent's functions, and its events by field name in a script."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.command import Runner

pytestmark = pytest.mark.bpf

ROOT = Path(__file__).parents[2]
FACILITY = """<?xml version="1.0"?>
<facility name="user_shop">
  <event name="order"><description>An order</description>
    <field name="number"><uint/></field><field name="article"><string/></field>
    <field name="kind"><enum><label name="NEW"/><label name="AGAIN" value="0x10"/></enum>
    </field>
    <field name="weights"><sequence><uchar/><short/></sequence></field></event>
  <event name="idle"></event>
</facility>
"""
PROGRAM = """#define LTT_TRACE
#define LTT_BLOCKING 1
#include <ltt/ltt-facility-user_shop.h>

int main(void)
{
	static const short weights[3] = { 4, -5, 6 };
	lttng_sequence_user_shop_order_weights list = { 3, weights };

	trace_user_shop_order(7, "apple", LTTNG_AGAIN, &list);
	trace_user_shop_idle();
	return 0;
}
"""
SCRIPT = """
probe user_shop.order {
    printf("%s %d %s %s %d %d\\n", name, number, article, kind_name, weights_len,
        user_int16(weights + 2))
}
probe user_shop.idle { println(name) }
"""


@pytest.mark.guest
def test_generated_header_and_tapset(run: Runner, tmp_path: Path) -> None:
    source, script = tmp_path / "user_shop.xml", tmp_path / "shop.stp"
    source.write_text(FACILITY)
    script.write_text(SCRIPT)
    (tmp_path / "main.c").write_text(PROGRAM)
    for folder in ("ltt", "tapset"):
        (tmp_path / folder).mkdir()
    header = tmp_path / "ltt" / "ltt-facility-user_shop.h"
    tapset = tmp_path / "tapset" / "user_shop.stp"
    for form, out in (("c-header", header), ("tapset", tapset)):
        assert run("facility", source, "--to", form, "-o", out).code == 0
    command = ["gcc", "-O2", "-I.", f"-I{ROOT}/csrc/include", "main.c", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True)
    done = run("run", "-I", tmp_path / "tapset", script, "-c", tmp_path / "main")
    assert (done.code, done.err) == (0, "")
    assert done.out == "order 7 apple AGAIN 3 -5\nidle\n"
