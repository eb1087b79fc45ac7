"""Experiments: faults in words, TOML in and out, overrides, identity."""

import subprocess
import sys
import tomllib

import hypothesis.strategies as st
import pytest
from hypothesis import given

from grokscope import Experiment, InputError
from grokscope.errors import speaking_commands
from grokscope.losses import CrossEntropy, Hinge, Logistic, Squared
from grokscope.models.fully_connected import FullyConnected
from grokscope.optimizers import SGD, Adam, AdamW, Constant, Cosine, Linear
from grokscope.tasks.boolean_function import BooleanFunction
from grokscope.tasks.sparse_parity import SparseParity

SPEC = """epochs = 300
batch_size = 32
[task]
kind = "sparse_parity"
n = 40
k = 3
n_train = 1000
n_test = 100
[model]
kind = "fully_connected"
width = 1000
[loss]
kind = "hinge"
[optimizer]
kind = "sgd"
learning_rate = 0.1
weight_decay = 0.01
"""
KEYS = (
    "name, epochs, steps, batch_size, online, precision, task, model, loss, penalty, optimizer, learner, "
    "init, interventions, measures, schedule, stop, events"
)
SCHEDULES = (
    "'epochs', 'every 10 epochs', 'every 5 steps', 'log' (32 points a decade of epochs), 'log 12', 'ends', "
    "or a list of steps"
)


def read(tmp_path, text, *overrides):
    file = tmp_path / "spec.toml"
    file.write_text(text)
    return Experiment.from_toml(file, overrides)


def test_the_design_page_spec_is_the_default_but_for_nothing(tmp_path):
    assert read(tmp_path, SPEC) == Experiment(task="sparse_parity", epochs=300)
    assert read(tmp_path, SPEC).n_steps == 9600


BAD = [
    ("epochs = 3\n[tsk]\nkind = 'arrays'", f"tsk: no such key. Did you mean 'task'? Allowed: {KEYS}."),
    ("epochs = 3", "task: this key must be given."),
    ("[task]\nkind = 'sparse_parity'", "experiment: give exactly one of epochs and steps."),
    (
        "epochs = 3\nsteps = 5\n[task]\nkind = 'sparse_parity'",
        "experiment: give exactly one of epochs and steps.",
    ),
    ("epochs = 0\n[task]\nkind = 'sparse_parity'", "epochs: must be at least 1 (got 0)."),
    ("epochs = 1.5\n[task]\nkind = 'sparse_parity'", "epochs: must be a whole number (got 1.5)."),
    (
        "epochs = 10000000000\n[task]\nkind = 'sparse_parity'",
        "epochs: must be at most 1000000000 (got 10000000000).",
    ),
    (
        "epochs = 3\nbatch_size = 0\n[task]\nkind = 'sparse_parity'",
        "batch_size: must be at least 1, or 'full' (got 0).",
    ),
    (
        "epochs = 3\nbatch_size = 'all'\n[task]\nkind = 'sparse_parity'",
        "batch_size: must be a whole number or 'full' (got 'all').",
    ),
    (
        "epochs = 3\n[task]\nn = 40",
        "task.kind is required; allowed: arrays, boolean_function, constant_label, digits, gaussian_teacher, "
        "modular_operator, multitask_parity, parity_table, permutation_operator, samples, sparse_parity.",
    ),
    ("epochs = 3\ntask = 5", "task: must be a table (got 5)."),
    (
        "epochs = 3\n[task]\nkind = 'sparse_partiy'",
        "task 'sparse_partiy' is not known. Did you mean 'sparse_parity'? "
        "Known: arrays, boolean_function, constant_label, digits, gaussian_teacher, modular_operator, "
        "multitask_parity, parity_table, permutation_operator, samples, sparse_parity.",
    ),
    (
        "epochs = 3\n[task]\nkind = 'sparse_parity'\nn = 3\nk = 5",
        "task: k must be at most n = 3, but k = 5.",
    ),
    ("epochs = 3\n[task]\nkind = 'sparse_parity'\nk = 0", "task.k: must be at least 1 (got 0)."),
    ("epochs = 3\n[task]\nkind = 'sparse_parity'\nn_train = 0", "task.n_train: must be at least 1 (got 0)."),
    ("epochs = 3\n[task]\nkind = 'sparse_parity'\nn_test = -1", "task.n_test: must be at least 1 (got -1)."),
    (
        "epochs = 3\n[task]\nkind = 'sparse_parity'\nntrain = 5",
        "task.ntrain: no such key. Did you mean 'n_train'? "
        "Allowed: n_train, n, n_test, n_probe, labels, noise, k, support, output.",
    ),
    ("epochs = 3\n[task]\nkind = 'sparse_parity'\nnoise = 0.1", "task: noise needs labels = 'noisy'."),
    (
        "epochs = 3\n[task]\nkind = 'sparse_parity'\n[model]\nkind = 'fully_connected'\nwidth = 0",
        "model.width: must be at least 1 (got 0).",
    ),
    *(
        (
            f"epochs = 3\n[task]\nkind = 'sparse_parity'\n[optimizer]\nkind = 'sgd'\n{name} = {value}",
            f"optimizer.{name}: must be {wanted}{'' if wanted.endswith('?') else '.'}",
        )
        for name, value, wanted in [
            ("learning_rate", "nan", "a finite number (got nan)"),
            ("learning_rate", "inf", "a finite number (got inf)"),
            ("learning_rate", "-0.1", "greater than 0 (got -0.1)"),
            ("learning_rate", "0", "greater than 0 (got 0)"),
            ("learning_rate", "2e6", "at most 1e+06 (got 2000000.0)"),
            ("weight_decay", "-0.01", "at least 0 (got -0.01)"),
            ("weight_decay", "nan", "a finite number (got nan)"),
            ("momentum", "1.0", "less than 1 (got 1.0)"),
            ("decay", "'cuopled'", "'coupled' or 'decoupled' (got 'cuopled'). Did you mean 'coupled'?"),
        ]
    ),
    (
        "epochs = 3\n[task]\nkind = 'sparse_parity'\n[loss]\nkind = 'cross_entropy'",
        "experiment: loss 'cross_entropy' is for classes; task 'sparse_parity' has labels +-1.",
    ),
    (
        "epochs = 3\n[task]\nkind = 'boolean_function'\npreset = 'staircase'\nk = 3\noutput = 'real'",
        "experiment: loss 'hinge' is for labels +-1; task 'boolean_function' has real labels.",
    ),
    (
        "epochs = 3\nonline = true\n[task]\nkind = 'sparse_parity'",
        "experiment: an online experiment has no epochs; give steps.",
    ),
    (
        "steps = 3\nonline = true\nbatch_size = 'full'\n[task]\nkind = 'sparse_parity'",
        "experiment: an online experiment has no full batch; give batch_size as a number.",
    ),
    (
        "steps = 3\nonline = true\n[task]\nkind = 'sparse_parity'\nsupport = 'drawn'",
        "experiment: task 'sparse_parity' with these settings cannot be sampled online.",
    ),
    (
        "epochs = 3\n[task]\nkind = 'sparse_parity'\n[model]\nkind = 'none'",
        "model.kind: 'none' is for learners without a network; learner 'gradient' needs another model.",
    ),
    (
        "epochs = 3\n[task]\nkind = 'sparse_parity'\n[schedule]\nmeasures = 'evry 3 epochs'",
        f"schedule.measures: 'evry 3 epochs' is not known. Allowed: {SCHEDULES}.",
    ),
    (
        "epochs = 3\n[task]\nkind = 'sparse_parity'\n[schedule]\nsnapshots = [0, 0.5]",
        "schedule.snapshots[1]: must be a text or a whole number (got 0.5).",
    ),
    (
        "epochs = 3\n[task]\nkind = 'sparse_parity'\n[schedule]\nmeasure = 'log'",
        "schedule.measure: no such key. Did you mean 'measures'? "
        "Allowed: measures, slow_measures, follow, snapshots.",
    ),
    (
        "epochs = 3\nmeasures = [5]\n[task]\nkind = 'sparse_parity'",
        "measures[0]: must be a table (got 5).",
    ),
    (
        "epochs = 3\nmeasures = 'log'\n[task]\nkind = 'sparse_parity'",
        "measures: must be a list (got 'log').",
    ),
]


@pytest.mark.usefixtures("registry")  # the messages list the built-in kinds
@pytest.mark.parametrize(("text", "message"), BAD)
def test_bad_spec_says_what_is_wrong(tmp_path, text, message):
    with pytest.raises(InputError) as error:
        read(tmp_path, text)
    assert str(error.value) == message
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"epochs = 3\n[task\n", "(at line 2, column 6)"),
        (b"epochs = 3\nepochs = 4\n", "Cannot overwrite a value (at line 2, column 11)"),
        (b"[task]\n[task]\n", "(at line 2, column 6)"),
        (b"epochs = \n", "(at line 1, column 10)"),
    ],
)
def test_bad_toml_says_file_and_line(tmp_path, text, said):
    file = tmp_path / "spec.toml"
    file.write_bytes(text)
    with pytest.raises(InputError) as error:
        Experiment.from_toml(file)
    assert str(error.value).startswith(f"{file}: not valid TOML: ")
    assert said in str(error.value)


def test_spec_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError) as error:
        Experiment.from_toml(tmp_path / "nowhere.toml")
    assert str(error.value) == f"{tmp_path / 'nowhere.toml'}: cannot be read: No such file or directory."
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        Experiment.from_toml(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"name = '\xe4'")
    with pytest.raises(InputError, match=r"latin\.toml: is not UTF-8 text\.$"):
        Experiment.from_toml(tmp_path / "latin.toml")


OVERRIDES = [
    # a table that is left out starts from the experiment's default, not from the kind's
    ("optimizer.learning_rate=0.5", lambda e: e.optimizer == SGD(learning_rate=0.5, weight_decay=0.01)),
    ("optimizer.schedule.warmup=5", lambda e: e.optimizer.schedule == Constant(warmup=5)),
    ("optimizer.schedule=cosine", lambda e: e.optimizer.schedule == Cosine()),
    ("optimizer.schedule.kind=linear", lambda e: e.optimizer.schedule == Linear()),
    # another kind has its own defaults; the same kind changes nothing
    ("optimizer.kind=adam", lambda e: e.optimizer == Adam()),
    ("optimizer.kind=sgd", lambda e: e.optimizer == SGD(weight_decay=0.01)),
    ("optimizer=adamw", lambda e: e.optimizer == AdamW()),
    ("task.k=4", lambda e: e.task == SparseParity(k=4)),
    (" task . k = 4 ", lambda e: e.task == SparseParity(k=4)),
    ("task={kind='sparse_parity', n=50}", lambda e: e.task == SparseParity(n=50)),
    ("task.support=drawn", lambda e: e.task.support == "drawn"),
    ("task.support='drawn'", lambda e: e.task.support == "drawn"),
    ("steps=7", lambda e: (e.epochs, e.steps) == (None, 7)),
    ("epochs=7", lambda e: (e.epochs, e.steps) == (7, None)),
    ("batch_size=full", lambda e: e.batch_size == "full"),
    ("name=", lambda e: e.name == ""),
    ("name=a=b", lambda e: e.name == "a=b"),
    ("schedule.measures=log 12", lambda e: e.schedule.measures == "log 12"),
    ("schedule.measures=[0, 64]", lambda e: e.schedule.measures == (0, 64)),
]


@pytest.mark.parametrize(("override", "check"), OVERRIDES)
def test_override(override, check):
    table = {"epochs": 3, "task": "sparse_parity"}
    assert check(Experiment.from_table(table, (override,)))
    assert check(Experiment(**table).with_(override))
    assert table == {"epochs": 3, "task": "sparse_parity"}


def test_a_new_kind_resets_its_table_and_loses_no_override():
    start = Experiment(task="sparse_parity", epochs=3, optimizer=SGD(learning_rate=0.5, momentum=0.9))
    changed = start.with_("optimizer.kind=adamw", "optimizer.beta1=0.5")
    assert changed.optimizer == AdamW(beta1=0.5)
    assert start.with_("optimizer.beta1=0.5", "optimizer.kind=adamw").optimizer == AdamW(beta1=0.5)
    assert start.with_("optimizer.beta1=0.5", "optimizer=adamw").optimizer == AdamW(beta1=0.5)
    assert start.with_("task.k=2", "task.k=4").task.k == 4
    changed = start.with_("optimizer.schedule.last=0.5", "optimizer.schedule=linear")
    assert changed.optimizer.schedule == Linear(last=0.5)
    assert changed.optimizer.momentum == 0.9


@pytest.mark.usefixtures("registry")  # the messages list the built-in kinds
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("a", "--set 'a': write a.b=value, for example optimizer.weight_decay=0.001."),
        ("task..k=3", "--set 'task..k=3': write a.b=value, for example optimizer.weight_decay=0.001."),
        ("=3", "--set '=3': write a.b=value, for example optimizer.weight_decay=0.001."),
        ("epoch=3", f"--set epoch: no such key. Did you mean 'epochs'? Allowed: {KEYS}."),
        (
            "task.kk=3",
            "--set task.kk: no such key. Did you mean 'k'? "
            "Allowed: kind, n_train, n, n_test, n_probe, labels, noise, k, support, output.",
        ),
        (
            "optimizer.schedul.warmup=3",
            "--set optimizer.schedul: no such key. Did you mean 'schedule'? "
            "Allowed: kind, learning_rate, weight_decay, schedule, no_decay, clip_norm, perpendicular, "
            "decay_towards, momentum, decay.",
        ),
        ("batch_size.x=3", "--set batch_size.x: 'batch_size' is not a table."),
        ("task.k=x", "task.k: must be a whole number (got 'x')."),
        (
            "task.kind=arays",
            "task 'arays' is not known. Did you mean 'arrays'? "
            "Known: arrays, boolean_function, constant_label, digits, gaussian_teacher, modular_operator, "
            "multitask_parity, parity_table, permutation_operator, samples, sparse_parity.",
        ),
    ],
)
def test_bad_override(override, message):
    with speaking_commands(), pytest.raises(InputError) as error:
        Experiment.from_table({"epochs": 3, "task": "sparse_parity"}, (override,))
    assert str(error.value) == message


positive = st.floats(1e-6, 1e3)
rate_schedules = st.one_of(
    st.builds(Constant, warmup=st.integers(0, 50)),
    st.builds(Linear, warmup=st.integers(0, 50), last=st.floats(0.01, 1.0)),
    st.builds(Cosine, warmup=st.integers(0, 50)),
)
shared = {"learning_rate": positive, "weight_decay": st.floats(0, 10), "schedule": rate_schedules}
optimizers = st.one_of(
    st.builds(
        SGD,
        **shared,
        momentum=st.none() | st.floats(0, 0.99),
        decay=st.sampled_from(["coupled", "decoupled"]),
    ),
    st.builds(Adam, **shared, beta1=st.floats(0, 0.99)),
    st.builds(AdamW, **shared, beta2=st.floats(0, 0.999)),
)
sizes = {"n": st.integers(6, 50), "n_train": st.integers(1, 5000), "n_probe": st.integers(1, 50)}
tasks = st.one_of(
    st.builds(
        SparseParity,
        **sizes,
        k=st.integers(1, 6),
        support=st.sampled_from(["first", "drawn"]),
        labels=st.just("noisy"),
        noise=st.floats(0, 1),
    ),
    st.builds(
        BooleanFunction,
        **sizes,
        preset=st.sampled_from(["parity", "majority", "and", "staircase"]),
        k=st.sampled_from([1, 3, 5]),
    ),
    st.builds(
        BooleanFunction,
        **sizes,
        terms=st.just([{"bits": [0, 3], "coefficient": 0.75}, {"bits": [2], "coefficient": -0.5}]),
    ),
)
pieces = st.one_of(
    st.sampled_from(["epochs", "log", "log 7", "ends", "every 3 epochs", "every 2 steps"]),
    st.integers(-5, 10**6),
)
recordings = st.fixed_dictionaries(
    {}, optional={"measures": pieces | st.lists(pieces), "snapshots": pieces | st.lists(pieces)}
)
lengths = st.one_of(
    st.fixed_dictionaries({"epochs": st.integers(1, 10**6)}),
    st.fixed_dictionaries({"steps": st.integers(1, 10**9)}),
)


@st.composite
def experiments(draw):
    return Experiment(
        name=draw(st.text()),
        task=draw(tasks),
        model=FullyConnected(
            width=draw(st.integers(1, 5000)),
            activation=draw(st.sampled_from(["relu", "quadratic", "gelu", "tanh"])),
            init_scale=draw(positive),
        ),
        loss=draw(st.sampled_from([Hinge(), Logistic(), Squared()])),
        optimizer=draw(optimizers),
        batch_size=draw(st.just("full") | st.integers(1, 5000)),
        precision=draw(st.sampled_from(["float32", "float64"])),
        schedule=draw(recordings),
        **draw(lengths),
    )


@given(experiment=experiments())
def test_toml_round_trip(experiment, tmp_path_factory):
    text = experiment.to_toml()
    assert Experiment.from_table(tomllib.loads(text)) == experiment
    file = tmp_path_factory.mktemp("toml") / "experiment.toml"
    file.write_text(text, encoding="utf-8", newline="")
    again = Experiment.from_toml(file)
    assert again == experiment
    assert again.identity == experiment.identity
    assert again.to_toml() == text
    assert hash(again) == hash(experiment)


@given(experiment=experiments(), length=lengths, recording=recordings, name=st.text())
def test_identity_is_blind_to_what_changes_no_number(experiment, length, recording, name):
    table = {field: getattr(experiment, field) for field in Experiment.model_fields}
    table |= {"epochs": None, "steps": None, **length, "schedule": recording, "name": name, "measures": []}
    other = Experiment(**table)
    if isinstance(experiment.optimizer.schedule, Constant) or other.n_steps == experiment.n_steps:
        assert other.identity == experiment.identity
    else:
        assert other.identity != experiment.identity


START = Experiment(
    task=SparseParity(labels="noisy", noise=0.1), epochs=10, optimizer=SGD(momentum=0.9, weight_decay=0.01)
)
CHANGES = [
    *(f"task.{change}" for change in ("n=41", "k=4", "n_train=999", "n_test=99", "n_probe=99")),
    *("task.support=drawn", "task.noise=0.2", "batch_size=33", "batch_size=full", "precision=float64"),
    *("model.width=999", "model.activation=tanh", "model.init_scale=2.0", "loss=logistic", "loss=squared"),
    *("optimizer.learning_rate=0.11", "optimizer.weight_decay=0.02", "optimizer.momentum=0.8"),
    *("penalty=neuron_norm", "penalty=parameter_norm", "penalty={kind='neuron_norm', power=2.0}"),
    *("optimizer.decay=decoupled", "optimizer=adam", "optimizer=adamw", "optimizer.schedule.warmup=1"),
    *(
        "optimizer.schedule=linear",
        "optimizer.schedule=cosine",
        "optimizer.schedule={kind='linear', last=0.5}",
    ),
    *(f"init={{kind='from_run', run='x', source='{'ab' * 32}', at={at}}}" for at in (3, 4, "'grokking'")),
    f"init={{kind='from_run', run='x', source='{'cd' * 32}', at=3}}",
    *(
        f"interventions=[{{kind='boost', {keys}}}]"
        for keys in ("factor=2.0", "factor=3.0", "factor=2.0, at=1")
    ),
    "interventions=[{kind='boost', factor=2.0, neurons=[1]}]",
    "interventions=[{kind='boost', factor=2.0, neurons={kind='random', count=1}}]",
]


def test_identity_changes_with_everything_else():
    identities = [START.identity, *(START.with_(change).identity for change in CHANGES)]
    assert len(set(identities)) == len(CHANGES) + 1
    online = Experiment(task="sparse_parity", steps=10, online=True)
    assert online.identity != Experiment(task="sparse_parity", steps=10).identity


def test_every_field_of_the_spec_is_in_one_of_the_two_identity_tests():
    changed = {change.split("=")[0].split(".")[0] for change in CHANGES}
    blind = set(Experiment.not_identifying)
    assert changed | blind | {"online", "learner"} == set(Experiment.model_fields)


def test_identity_sees_the_length_only_through_a_schedule_that_depends_on_it():
    for optimizer, same in [
        (SGD(), True),
        (SGD(schedule=Constant(warmup=9)), True),
        (SGD(schedule=Cosine()), False),
    ]:
        short = Experiment(task="sparse_parity", epochs=10, optimizer=optimizer)
        assert (short.with_("epochs=20").identity == short.identity) is same
        assert short.with_("steps=320").identity == short.identity


def test_identity_is_the_same_in_another_process():
    code = (
        "import sys; from grokscope import Experiment; assert 'jax' not in sys.modules; "
        "print(Experiment(task='sparse_parity', epochs=300).identity); assert 'jax' not in sys.modules"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == Experiment(task="sparse_parity", epochs=300).identity


@pytest.mark.parametrize(
    ("n_train", "batch_size", "steps"), [(1000, 32, 32), (64, 32, 2), (65, 32, 3), (5, 32, 1), (5, "full", 1)]
)
def test_steps_per_epoch(n_train, batch_size, steps):
    experiment = Experiment(task=SparseParity(n_train=n_train), batch_size=batch_size, epochs=7)
    assert experiment.steps_per_epoch == steps
    assert experiment.n_steps == 7 * steps


@pytest.mark.usefixtures("registry")
def test_measures_by_name_and_as_tables():
    from typing import Literal

    from grokscope.measures import Measure

    class Tail(Measure):
        kind: Literal["tail"] = "tail"
        count: int = 3

    class Head(Measure):
        kind: Literal["head"] = "head"

    given = ["head", {"kind": "tail", "count": 5}]
    experiment = Experiment(task="sparse_parity", epochs=3, measures=given)
    assert experiment.measures == (Head(), Tail(count=5))
    assert Experiment(task="sparse_parity", epochs=3, measures=experiment.measures) == experiment
    assert Experiment.from_table(tomllib.loads(experiment.to_toml())) == experiment
    with pytest.raises(
        InputError, match=r"^measures: 'tail' is given twice; two options of one measure need two names"
    ):
        Experiment(task="sparse_parity", epochs=3, measures=["tail", {"kind": "tail", "count": 5}])
    with pytest.raises(InputError, match=r"^measure 'tial' is not known\. Did you mean 'tail'\?"):
        Experiment(task="sparse_parity", epochs=3, measures=["tial"])
    with pytest.raises(InputError, match=r"^measure\.cuont: no such key\. Did you mean 'count'\?"):
        Experiment(task="sparse_parity", epochs=3, measures=[{"kind": "tail", "cuont": 5}])


@pytest.mark.usefixtures("registry")
def test_classes_take_the_losses_for_classes():
    from grokscope.losses import Loss
    from grokscope.spec.parts import kinds

    fits = {kind for kind, loss in kinds("loss").items() if loss.labels in ("sign", "any")}
    assert fits == {"exponential", "hinge", "logistic", "squared"}
    assert CrossEntropy.labels == "class"
    assert all(issubclass(loss, Loss) for loss in kinds("loss").values())


def test_two_options_of_one_measure_are_taken_under_two_names():
    path_norm = {"kind": "effective_sparsity", "order": "path_norm"}
    experiment = Experiment(task="sparse_parity", epochs=2, measures=["effective_sparsity", path_norm])
    assert experiment.measures is not None
    assert [measure.name for measure in experiment.measures] == [
        "effective_sparsity",
        "effective_sparsity_by_path_norm",
    ]
    with pytest.raises(InputError, match=r"measures: 'effective_sparsity' is given twice"):
        Experiment(task="sparse_parity", epochs=2, measures=["effective_sparsity", "effective_sparsity"])
