"""Provider files for tests: our own, which hold every form, and those of public projects.

The files of projects are not kept here. Who wants them tested puts each under its project's
name (`postgres+postgres/src/backend/utils/probes.d`) into the folder MARKBRIDGE_PROVIDERS.
QEMU's are made by its `scripts/tracetool.py --backend=dtrace --format=d` of `trace-events`.
"""

from __future__ import annotations

import os
from pathlib import Path

PROJECTS = (
    "GNOME+glib/gio/gio_probes.d",
    "GNOME+glib/glib/glib_probes.d",
    "GNOME+glib/gobject/gobject_probes.d",
    "Perl+perl5/perldtrace.d",
    "circonus-labs+fq/fq_dtrace.d",
    "couchbase+libcouchbase/src/probes.d",
    "h2o+h2o/deps/picotls/picotls-probes.d",
    "h2o+h2o/h2o-probes.d",
    "h2o+quicly/quicly-probes.d",
    "libvirt+libvirt/src/libvirt_probes.d",
    "libvirt+libvirt/src/libvirt_qemu_probes.d",
    "mysql+mysql-server/include/probes_mysql.d.base",
    "openresty+lua-nginx-module/dtrace/ngx_lua_provider.d",
    "osmocom+libosmocore/src/core/probes.d",
    "parca-dev+parcagpu/src/probes.d",
    "php+php-src/Zend/zend_dtrace.d",
    "postgres+postgres/src/backend/utils/probes.d",
    "python+cpython/Include/pydtrace.d",
    "qemu+qemu/trace-block.d",
    "qemu+qemu/trace-hw_scsi.d",
    "qemu+qemu/trace-migration.d",
    "ruby+ruby/probes.d",
    "sailfishos-mirror+systemtap/scripts/probe_perf/bench_.d",
    "sailfishos-mirror+systemtap/testsuite/systemtap.base/dtrace-itest.d",
    "sailfishos-mirror+systemtap/testsuite/systemtap.base/dtrace-pypath.d",
    "sailfishos-mirror+systemtap/testsuite/systemtap.base/dtrace-test.d",
    "sailfishos-mirror+systemtap/testsuite/systemtap.base/dtrace.d",
    "sailfishos-mirror+systemtap/testsuite/systemtap.base/sdt_buildid_.d",
    "sailfishos-mirror+systemtap/testsuite/systemtap.base/sdt_misc_.d",
    "sailfishos-mirror+systemtap/testsuite/systemtap.clone/dtrace_child_probes.d",
    "sailfishos-mirror+systemtap/testsuite/systemtap.clone/dtrace_clone_probes.d",
    "sailfishos-mirror+systemtap/testsuite/systemtap.clone/dtrace_fork_parent_probes.d",
    "sailfishos-mirror+systemtap/testsuite/systemtap.clone/dtrace_vfork_parent_probes.d",
    "wooparadog+python-systemtap/probes.d",
)

SERVER = """/* A database's probes, in the manner of such files. */
#pragma D option quiet
#define Number unsigned int
typedef unsigned long long row_t;
struct buffer { int length; char provider; };

provider server {
\tprobe query__start(const char *sql, int id);
\tprobe query__done(const char *sql, row_t rows, char failed);
\tprobe lock__wait__start(unsigned int, unsigned int, Number, Number mode);
\t# file: src/idle.c
\tprobe idle();
\tprobe io(struct buffer *b, unsigned long long at, const void * const data);
\tprobe one__two__three__four(signed char);
\tprobe many(int a, int b, int c, int d, int e, int f, int g, int h, int i, int j);
};

// attributes have no influence
#pragma D attributes Evolving/Evolving/Common provider server provider
#pragma D attributes Private/Private/Unknown provider server module

provider other {
\tprobe Mixed__Case(uint64_t size)
\tprobe _start(char **argv);
};
"""
"""What SystemTap's dtrace takes as well."""

BEYOND = """#!/usr/sbin/dtrace -s
typedef struct { int number; } bar_t;
translator bar_t < struct foo *f > { number = f->n; };
inline int LIMIT = 3;
enum colour { RED, GREEN };

provider beyond {
\tprobe b(struct foo *p : (bar_t *)p, int x);
\tprobe io(struct foo *p, int fd) : (bar_t *p, int fd);
\tprobe none(void);
\tprobe call(void (*done)(int, char *), int count);
\tprobe line(char buffer[80], int provider);
\tprobe bare;
};
"""
"""What it fails on, and dtrace(1) takes."""


def project_file(name: str) -> Path | None:
    """The file of a project, where a developer has put it."""
    folder = os.environ.get("MARKBRIDGE_PROVIDERS", "")
    path = Path(folder) / name
    return path if folder and path.is_file() else None
