"""What a billion documents take: bytes, hours and cost of each stage. Every figure is an option, see --help."""

import argparse
from dataclasses import dataclass, fields

GB, TB, HOUR = 1e9, 1e12, 3600


@dataclass
class Plan:
    documents: float = 1e9
    document_bytes: float = 620  # a record of Debian's package lists
    dim: float = 1024
    fit_us: float = 22  # of one core, to read and count a document: docs/speed.md
    encode_us: float = 22  # to read and encode it
    build_us: float = 670  # to put it into an ivf-rabitq index of 1,024 numbers: docs/kinds.md, two busy cores
    query_us: float = 13_800  # for a query that looks at a tenth of a million vectors of 1,024 numbers
    effort: float = 0.01  # the share of the vectors that a query looks at
    cores: float = 64  # that fit, encode and build
    disks: float = 4  # GB a second that all of them read or write together
    core_hour: float = 0.05  # dollars
    machine_gb: float = 256  # memory of a machine that answers queries
    machine_cores: float = 32
    gb_month: float = 2.5  # dollars for memory, with the cores that belong to it
    disk_month: float = 0.1  # dollars for a GB of local solid state disk


def stages(p: Plan) -> str:
    lines = ["| stage | read | written | cores busy | hours | dollars |", "|---|---:|---:|---:|---:|---:|"]
    for name, us, read, written in [
        ("fit", p.fit_us, p.document_bytes, 0),
        ("encode to Parquet", p.encode_us, p.document_bytes, p.document_bytes + 4 * p.dim),
        ("build the index", p.build_us * p.dim / 1024, 4 * p.dim, 2 * p.dim + p.dim / 8),
    ]:
        busy = p.documents * us / 1e6 / HOUR / p.cores
        hours = max(busy, p.documents * (read + written) / (p.disks * GB) / HOUR)
        terabytes = [f"{p.documents * one / TB:.2f} TB" for one in (read, written)]
        lines.append(f"| {name} | {' | '.join(terabytes)} | {busy / hours:.0%} | {hours:.1f} "
                     f"| {hours * p.cores * p.core_hour:.0f} |")  # fmt: skip
    return "\n".join(lines)


def kinds(p: Plan) -> str:
    lines = ["| kind | memory | disk | machines | dollars a month |", "|---|---:|---:|---:|---:|"]
    d, code = p.dim, p.dim / 8 + 32
    for name, memory, disk in [("`flat`", 4 * d, 4 * d), ("`hnsw`", 2 * d + 280, 2 * d + 280),
                               ("`ivf-rabitq`", code, 2 * d + code), ("DiskANN", d / 8, 4 * d + 260)]:  # fmt: skip
        held, kept = p.documents * memory, p.documents * (disk + p.document_bytes)
        machines = -(-held // (p.machine_gb * GB))
        dollars = held / GB * p.gb_month + kept / GB * p.disk_month
        lines.append(f"| {name} | {held / TB:.2f} TB | {kept / TB:.2f} TB | {machines:.0f} | {dollars:,.0f} |")
    query = p.query_us * p.documents / 1e6 * p.effort / 0.1 * p.dim / 1024 / p.machine_cores / 1000
    return "\n".join(lines) + f"\n\nA query of `ivf-rabitq` keeps the cores of one machine busy for {query:,.0f} ms."


parser = argparse.ArgumentParser(description=__doc__)
for one in fields(Plan):
    parser.add_argument(f"--{one.name.replace('_', '-')}", type=float, default=one.default)
plan = Plan(**vars(parser.parse_args()))
print(stages(plan), kinds(plan), sep="\n\n")
