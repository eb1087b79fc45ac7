"""A process that has read a run ends with its own exit code, also if the store's threads are still busy."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

# Without the wait at exit some 4 in 10 of these processes abort or crash: thousands of reads are under way
# when the interpreter shuts down, where a usual script has one thread that releases its last objects.
BUSY = """
    import asyncio, sys
    from grokscope.store import icechunk as ours
    import icechunk
    from zarr.core.buffer import default_buffer_prototype
    from zarr.core.sync import sync
    repository = icechunk.Repository.create(icechunk.local_filesystem_storage(sys.argv[1]))
    session = repository.writable_session("main")
    prototype = default_buffer_prototype()
    async def reads():
        group = prototype.buffer.from_bytes(b'{"zarr_format":3,"node_type":"group"}')
        await session.store.set("zarr.json", group)
        session.commit("one group")
        tasks = [asyncio.ensure_future(session.store.get("zarr.json", prototype)) for _ in range(2000)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        print("read")
    sync(reads())
    sys.exit(int(sys.argv[2]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("code", [0, 3])
@pytest.mark.parametrize("attempt", range(3))
def test_process_with_busy_threads_keeps_its_exit_code_and_its_output(
    code: int, attempt: int, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(BUSY), str(tmp_path / "store"), str(code)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (code, "read\n"), done.stderr[-500:]
