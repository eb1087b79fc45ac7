"""Parts, their faults in words, the registry, entry points and plug-ins."""

import importlib
import importlib.metadata
import subprocess
import sys
from typing import ClassVar, Literal

import numpy as np
import pytest
from pydantic import Field

from grokscope.errors import InputError
from grokscope.models import Model
from grokscope.models.fully_connected import FullyConnected
from grokscope.optimizers import SGD, Constant
from grokscope.spec import parts
from grokscope.spec.parts import Part, find_file, kinds, load_plugin, looking_in, lookup, part_of
from grokscope.tasks import Task
from grokscope.tasks.sparse_parity import SparseParity

PLUGIN = """
from typing import Literal
from grokscope.tasks import Task

class Mine(Task):
    kind: Literal["{kind}"] = "{kind}"
    n_train: int = {n_train}
"""


@pytest.fixture(autouse=True)
def discovered(registry, monkeypatch):
    """Whatever a test registers or discovers is forgotten after it."""
    monkeypatch.setattr(parts, "_discovered", set(parts._discovered))


class Everything(Part):
    group: ClassVar[str] = "thing"
    traced: ClassVar[tuple[str, ...]] = ("share",)
    not_identifying: ClassVar[tuple[str, ...]] = ("path",)

    count: int = Field(default=1, ge=1)
    share: float = Field(default=0.5, gt=0.0, lt=1.0)
    flag: bool = False
    text: str = ""
    choice: Literal["first", "drawn"] = "first"
    either: int | Literal["full"] = 1
    numbers: tuple[int, ...] = ()
    listed: list[int] = Field(default_factory=list)
    path: str = ""
    inner: SGD = SGD()


FAULTS = [
    ({"count": True}, "thing.count: must be a whole number (got true)."),
    ({"count": "3"}, "thing.count: must be a whole number (got '3')."),
    ({"count": 2.5}, "thing.count: must be a whole number (got 2.5)."),
    ({"count": 0}, "thing.count: must be at least 1 (got 0)."),
    ({"count": None}, "thing.count: must be a whole number."),
    ({"share": float("nan")}, "thing.share: must be a finite number (got nan)."),
    ({"share": float("inf")}, "thing.share: must be a finite number (got inf)."),
    ({"share": 0.0}, "thing.share: must be greater than 0 (got 0.0)."),
    ({"share": 1.0}, "thing.share: must be less than 1 (got 1.0)."),
    ({"share": "0.5"}, "thing.share: must be a number (got '0.5')."),
    ({"flag": 1}, "thing.flag: must be true or false (got 1)."),
    ({"text": 3}, "thing.text: must be a text (got 3)."),
    ({"choice": "frst"}, "thing.choice: must be 'first' or 'drawn' (got 'frst'). Did you mean 'first'?"),
    (
        {"either": "ful"},
        "thing.either: must be a whole number or 'full' (got 'ful'). Did you mean 'full'?",
    ),
    ({"numbers": 3}, "thing.numbers: must be a list (got 3)."),
    ({"numbers": [1, "x"]}, "thing.numbers[1]: must be a whole number (got 'x')."),
    ({"inner": 3}, "thing.inner: must be a table (got 3)."),
    (
        {"cuont": 3},
        "thing.cuont: no such key. Did you mean 'count'? Allowed: count, share, flag, text, choice, either, "
        "numbers, listed, path, inner.",
    ),
]


@pytest.mark.parametrize(("values", "message"), FAULTS)
def test_fault_in_words(values, message):
    with pytest.raises(InputError) as error:
        Everything(**values)
    assert str(error.value) == message


def test_fault_of_unknown_key_comes_before_what_it_left_missing():
    class Needy(Part):
        group: ClassVar[str] = "needy"
        count: int

    with pytest.raises(InputError, match=r"^needy\.cout: no such key\. Did you mean 'count'\?"):
        Needy(cout=3)
    with pytest.raises(InputError, match=r"^needy\.count: this key must be given\.$"):
        Needy()


def test_fault_shortens_a_long_text():
    with pytest.raises(InputError) as error:
        Everything(count="x" * 1000)
    assert len(str(error.value)) < 150


def test_fault_of_a_rate_schedule_is_named_as_in_a_spec():
    with pytest.raises(InputError, match=r"^optimizer\.schedule\.warmup: must be at least 0 \(got -1\)\.$"):
        Constant(warmup=-1)


def test_values_become_plain_and_frozen():
    thing = Everything(count=np.int64(3), share=np.float32(0.25), numbers=[np.int32(1), 2], listed=[1, 2])
    assert type(thing.count) is int
    assert type(thing.share) is float
    assert thing.numbers == (1, 2)
    assert thing.listed == [1, 2]
    with pytest.raises(Exception, match="frozen"):
        thing.count = 4


def test_identifying_leaves_out_what_determines_nothing():
    assert Everything(path="a").identifying() == Everything(path="b").identifying()
    assert Everything(count=1).identifying() != Everything(count=2).identifying()
    assert "path" not in Everything().identifying()
    assert Everything().identifying()["inner"]["kind"] == "sgd"


def test_with_traced_takes_only_traced_fields_and_anything_for_them():
    marker = object()
    changed = Everything().with_traced({"share": marker, "count": 7})
    assert changed.share is marker
    assert changed.count == 1
    assert Everything().with_traced({"count": 7}) == Everything()


def own_kinds(group):
    return {kind for kind, cls in kinds(group).items() if cls.__module__.startswith("grokscope.")}


def test_kinds_finds_what_lies_in_the_folders():
    assert {"sparse_parity", "boolean_function", "arrays"} <= kinds("task").keys()
    assert kinds("model")["fully_connected"] is FullyConnected
    assert {"sgd", "adam", "adamw", "muon", "grokfast"} == own_kinds("optimizer")
    assert {"exponential", "hinge", "logistic", "squared", "cross_entropy", "stablemax"} == own_kinds("loss")
    assert {"none", "neuron_norm", "parameter_norm"} == own_kinds("penalty")
    assert {"constant", "linear", "cosine", "steps"} == own_kinds("rate_schedule")


def test_lookup_of_an_unknown_kind():
    with pytest.raises(InputError) as error:
        lookup("optimizer", "adamm")
    known = ", ".join(sorted(kinds("optimizer")))  # and those of other tests
    assert own_kinds("optimizer") == {"adam", "adamw", "grokfast", "muon", "sgd"}
    assert str(error.value) == f"optimizer 'adamm' is not known. Did you mean 'adam'? Known: {known}."


def test_a_part_is_given_by_name_by_table_or_as_it_is():
    assert part_of("task", "sparse_parity") == part_of("task", {"kind": "sparse_parity", "k": 3})
    assert part_of("task", {"kind": "sparse_parity", "k": 4}) == SparseParity(k=4)
    for value in (SparseParity(), None, 5):  # other values are pydantic's to refuse
        assert part_of("task", value) is value
    with pytest.raises(
        InputError, match=r"^optimizer\.schedule\.kind is required; allowed: constant, cosine,"
    ):
        part_of("rate_schedule", {"warmup": 3})


def test_subclass_without_a_kind_of_its_own_is_not_another_kind():
    class Variant(SparseParity):
        """A helper."""

    assert lookup("task", "sparse_parity") is SparseParity
    assert Variant().kind == "sparse_parity"


def test_a_kind_cannot_be_taken_twice():
    with pytest.raises(InputError) as error:

        class Thief(Model):
            kind: Literal["fully_connected"] = "fully_connected"

    assert str(error.value) == (
        "model 'fully_connected' is already defined, in grokscope.models.fully_connected; "
        "choose another kind."
    )
    assert lookup("model", "fully_connected") is FullyConnected


def test_plugin_registers_its_kind_and_can_be_loaded_again_after_a_change(tmp_path):
    file = tmp_path / "my-plug.py"
    for n_train in (5, 6):
        file.write_text(PLUGIN.format(kind="mine", n_train=n_train))
        load_plugin(file)
        assert lookup("task", "mine")().n_train == n_train
        # python decides by the second of the file's time whether its cached code is stale
        for cached in tmp_path.glob("__pycache__/*"):
            cached.unlink()


def test_plugins_of_one_name_in_two_folders(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "plug.py").write_text(PLUGIN.format(kind=f"mine_{folder}", n_train=1))
        load_plugin(tmp_path / folder / "plug.py")
    assert {"mine_a", "mine_b"} <= kinds("task").keys()
    assert lookup("task", "mine_a").__module__ != lookup("task", "mine_b").__module__


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1/0", ", line 1: ZeroDivisionError: division by zero"),
        ("x = 1\nimport no_such_module_anywhere", ", line 2: ModuleNotFoundError: No module named"),
        ("raise SystemExit(3)", ", line 1: SystemExit: 3"),
        ("def f(:", ": SyntaxError: invalid syntax"),
        (PLUGIN.format(kind="sparse_parity", n_train=1), ": task 'sparse_parity' is already defined"),
        (PLUGIN.format(kind="half", n_train=1) + "\n1/0", ", line 9: ZeroDivisionError"),
    ],
)
def test_broken_plugin_is_named_and_leaves_nothing_behind(tmp_path, text, said):
    file = tmp_path / "broken.py"
    file.write_text(text)
    before = dict(kinds("task"))
    with pytest.raises(InputError) as error:
        load_plugin(file)
    assert str(error.value).startswith(f"plugin '{file}'{said}")
    assert kinds("task") == before


def test_plugin_that_takes_a_name_not_yet_discovered(tmp_path, monkeypatch):
    # the plug-in comes first: the built-in kinds are found while it is loaded, and it is the one refused
    monkeypatch.setattr(parts, "_discovered", set())
    file = tmp_path / "thief.py"
    file.write_text(PLUGIN.format(kind="sparse_parity", n_train=1))
    with pytest.raises(InputError, match=r"thief\.py': task 'sparse_parity' is already defined"):
        load_plugin(file)
    assert lookup("task", "sparse_parity") is SparseParity


NO_KIND = "from grokscope.measures import Measure\nclass Mine(Measure):\n    def __call__(self, point): ...\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n", "defines no part: no subclass of Task, Model, Measure, Paper, ... with a kind."),
        (
            "from grokscope.tasks.sparse_parity import SparseParity\n",
            "defines no part: no subclass of Task, Model, Measure, Paper, ... with a kind.",
        ),
        (
            NO_KIND,
            'Mine has no kind; add the line kind: Literal["my_measure"] = "my_measure" to the class.',
        ),
        ("raise ValueError('one\\ntwo')", ", line 1: ValueError: one"),
    ],
)
def test_plugin_without_a_part(tmp_path, text, said):
    file = tmp_path / "empty.py"
    file.write_text(text)
    with pytest.raises(InputError) as error:
        load_plugin(file)
    assert str(error.value) == f"plugin '{file}'" + (said if said.startswith(",") else f": {said}")


def test_two_files_with_one_kind_are_both_named(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.py").write_text(PLUGIN.format(kind="of_both", n_train=1))
    load_plugin(tmp_path / "a.py")
    with pytest.raises(InputError) as error:
        load_plugin(tmp_path / "b.py")
    assert str(error.value) == (
        f"plugin '{tmp_path / 'b.py'}': task 'of_both' is already defined, in {tmp_path / 'a.py'}; choose "
        f"another kind in {tmp_path / 'b.py'}."
    )


@pytest.mark.parametrize(
    "order", ["load import", "import load", "import load import", "load load import load"]
)
def test_a_file_may_be_loaded_and_imported_in_any_order(tmp_path, monkeypatch, order):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "both_ways.py").write_text(PLUGIN.format(kind="both_ways", n_train=1))
    for word in order.split():
        if word == "load":
            load_plugin(tmp_path / "both_ways.py")
        else:
            sys.modules.pop("both_ways", None)
            importlib.invalidate_caches()
            assert importlib.import_module("both_ways").Mine is lookup("task", "both_ways")
    assert lookup("task", "both_ways")().n_train == 1
    sys.modules.pop("both_ways", None)


def test_a_kind_that_a_file_defines_no_longer_is_gone(tmp_path):
    file = tmp_path / "renamed.py"
    for kind in ("first_name", "second_name"):
        file.write_text(PLUGIN.format(kind=kind, n_train=1))
        load_plugin(file)
    assert "second_name" in kinds("task")
    assert "first_name" not in kinds("task")
    file.write_text("1/0")
    with pytest.raises(InputError):
        load_plugin(file)
    assert "second_name" in kinds("task")  # a failure changes nothing


def test_a_script_may_define_parts_and_load_itself(tmp_path):
    file = tmp_path / "script.py"
    file.write_text(
        PLUGIN.format(kind="of_script", n_train=7)
        + "from grokscope.spec.parts import load_plugin, lookup\n"
        + "load_plugin(__file__)\n"
        + "print(lookup('task', 'of_script') is Mine, Mine().n_train)\n"
    )
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True 7\n", "")


def test_a_cell_that_defines_a_part_may_be_run_again():
    for n_train in (3, 4):
        space = {"__name__": "__main__"}
        exec(PLUGIN.format(kind="of_cell", n_train=n_train), space)
        assert lookup("task", "of_cell")().n_train == n_train


@pytest.mark.parametrize("name", ["nothing.py", "folder.py", "text.txt"])
def test_plugin_that_is_no_python_file(tmp_path, name):
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "text.txt").write_text("x = 1")
    with pytest.raises(InputError) as error:
        load_plugin(tmp_path / name)
    assert str(error.value) == f"plugin '{tmp_path / name}': not a Python file that exists."


class FakeEntry:
    def __init__(self, name, action):
        self.name, self.value, self.load = name, f"package:{name}", action


def test_entry_points_are_loaded(monkeypatch):
    asked = []

    def define():
        class FromAPackage(Task):
            kind: Literal["from_a_package"] = "from_a_package"

        return FromAPackage

    def entry_points(*, group):
        asked.append(group)
        return [FakeEntry("theirs", define)]

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    monkeypatch.setattr(parts, "_discovered", set())
    assert "from_a_package" in kinds("task")
    assert asked == ["grokscope.task"]
    kinds("task")
    assert asked == ["grokscope.task"]


def test_broken_entry_point_is_named(monkeypatch):
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda *, group: [FakeEntry("theirs", lambda: 1 / 0)]
    )
    monkeypatch.setattr(parts, "_discovered", set())
    for _ in range(2):  # it is not forgotten after the first time
        with pytest.raises(InputError) as error:
            kinds("task")
        assert str(error.value) == (
            "entry point 'theirs' = 'package:theirs' of an installed package cannot be loaded: "
            "ZeroDivisionError: division by zero"
        )


def test_find_file_looks_in_the_working_folder_first(tmp_path, monkeypatch):
    spec, work = tmp_path / "spec", tmp_path / "work"
    spec.mkdir()
    work.mkdir()
    monkeypatch.chdir(work)
    (spec / "data.npz").write_text("beside the spec")
    with looking_in(spec):
        assert find_file("data.npz").read_text() == "beside the spec"
        (work / "data.npz").write_text("here")
        assert find_file("data.npz").read_text() == "here"
    assert str(find_file("nowhere.npz")) == "nowhere.npz"
