"""The command about the machine: doctor."""

from __future__ import annotations

from grokscope.cli import _options as options
from grokscope.cli import _print as out


def doctor(json: options.Json = False) -> None:
    """Show what this machine has and how fast it is.

    Devices, versions, the measured matrix rate, and how long the papers' experiments would take.
    """
    with out.json_only(json):
        from grokscope.cli.doctor import examine, expected_times, measure_rates
        from grokscope.progress import duration

        found = examine()
        rates = measure_rates()
        expected = expected_times(rates)
        if json:
            out.document({**found, "rates": rates, "expected": expected})
            return
        machine, memory, cache = found["machine"], found["memory"], found["cache"]
        devices = ", ".join(f"{item['kind']} ({item['platform']})" for item in found["devices"])
        facts = [
            ("machine", f"{machine['cpu']}, {found['cores']} cores, {machine['system']}"),
            ("memory", f"{memory['total'] / 2**30:.1f} GiB, {memory['available'] / 2**30:.1f} GiB free"),
            ("devices", devices),
            ("matrix rate, large", f"{rates.large:.0f} GFLOP/s (float32, {rates.device}, all cores)"),
            ("matrix rate, 32x40x1000", f"{rates.at_shape:.0f} GFLOP/s (the default network's shape)"),
            ("free of it now", f"{100 * rates.free:.0f} %"),
            ("compile cache", cache["path"] + (f": {cache['why']}" if cache["why"] else ", usable")),
            ("python", machine["python"]),
            *((name, version or "not installed") for name, version in found["versions"].items()),
        ]
        out.table(("what", "found"), facts)
        out.line()
        rows = [
            (
                item.paper,
                item.experiment,
                item.members,
                "needs a GPU" if item.seconds is None else f"about {duration(item.seconds)}",
            )
            for item in expected
        ]
        out.table(("paper", "experiment", "seeds", "time on this machine"), rows)
