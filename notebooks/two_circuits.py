"""From a question to a circuit in ten minutes: a marimo notebook.

marimo edit notebooks/two_circuits.py      (needs `pip install grokscope[notebook]`)
python notebooks/two_circuits.py           the same as a script: prints what it finds
"""

import marimo

app = marimo.App(width="medium", app_title="Two circuits")


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    # Two circuits

    A small network learns the *parity* of three bits that are hidden among twenty: is the number of minus
    ones among them even or odd? It sees 400 examples, and soon knows them all by heart; on new inputs it
    guesses. Much later, with nothing changed, it gets new inputs right as well. That is **grokking**.

    *What happens inside the network when it groks?* Ten minutes from here you will have trained it, found the
    moment, seen which neurons take over, and read what they compute.
    """)
    return


@app.cell
def _():
    from pathlib import Path

    import marimo as mo
    import numpy as np

    import grokscope as gs

    return Path, gs, mo, np


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## 1. Say what to train

    An experiment is a value. What is not said has a default: one hidden layer of rectified units, hinge loss,
    plain gradient descent. Weight decay matters: without it the network has no reason to leave what it knows
    by heart.
    """)
    return


@app.cell
def _(gs):
    experiment = gs.Experiment(
        name="parity",
        task={"kind": "sparse_parity", "n": 20, "k": 3, "n_train": 400, "n_test": 400, "n_probe": 2000},
        model={"kind": "fully_connected", "width": 400},
        optimizer={"kind": "sgd", "learning_rate": 0.1, "weight_decay": 0.01},
        epochs=300,
    )
    return (experiment,)


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## 2. Train three seeds

    All three train in one compiled program. The run is a folder: this cell again, or after an interruption,
    goes on where it was.
    """)
    return


@app.cell
def _(Path, experiment, gs):
    run = gs.train(experiment, seeds=3, out=Path("runs") / "two-circuits-notebook")
    run
    return (run,)


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## 3. See it grok

    Train accuracy is at 1 early; test accuracy stays at chance, one half, and then rises. *Effective
    sparsity* is the number of neurons it takes to predict what the whole network predicts: nearly all of
    them at first, a handful in the end.
    """)
    return


@app.cell
def _(run):
    run.plot("train_accuracy", "test_accuracy", "train_loss", "test_loss", "effective_sparsity")
    return


@app.cell
def _(mo, run):
    _per_epoch = run.experiment.steps_per_epoch
    _rows = []
    for _i, _seed in enumerate(run.measures.seed.to_numpy()):
        _row = {"seed": int(_seed)}
        for _event in ("memorization", "grokking"):
            _row[_event] = f"epoch {run.times(_event).upper[_i] / _per_epoch:.0f}"
        _rows.append(_row)
        print(", ".join(f"{_name}: {_value}" for _name, _value in _row.items()))
    mo.ui.table(_rows, selection=None)
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## 4. Watch the competition

    Every point is a neuron: the norm of its weights against its share of the output. Blue are those that
    predict like the whole network in the end. Move the slider through the transition: a few neurons walk away
    from the crowd, and the crowd fades.
    """)
    return


@app.cell
def _(mo, np, run):
    _taken = ~np.isnan(run.measures.neuron_norm).all(["seed", "neuron"]).to_numpy()
    snapshots = run.measures.step.to_numpy()[_taken]
    snapshot = mo.ui.slider(
        steps=snapshots.tolist(), value=int(snapshots[-12]), label="step", full_width=True
    )
    snapshot
    return (snapshot,)


@app.cell
def _(run, snapshot):
    from matplotlib.figure import Figure

    _now = run.measures.sel(seed=0, step=snapshot.value)
    _chosen = run.subnetworks.sel(seed=0, subnetwork="generalizing").to_numpy()
    _figure = Figure(figsize=(6, 3.6), layout="constrained")
    _axis = _figure.add_subplot()
    for _which, _color, _label in ((~_chosen, "#b0b7bf", "all others"), (_chosen, "#0072b2", "generalizing")):
        _axis.loglog(
            _now.neuron_norm[_which], _now.output_share[_which], "o", color=_color, ms=4, label=_label
        )
    _share = float(_now.output_share.to_numpy()[_chosen].sum())
    _axis.set(xlabel="norm", ylabel="share of the output", xlim=(1e-4, 5), ylim=(1e-7, 1))
    _axis.set_title(
        f"step {snapshot.value}: {_chosen.sum()} neurons have {_share:.0%} of the output", fontsize=10
    )
    _axis.legend(frameon=False)
    print(f"step {snapshot.value}: {_chosen.sum()} neurons of {len(_chosen)} have {_share:.0%} of the output")
    _figure
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## 5. Read the circuit

    These few neurons see three bits: the hidden ones, which nobody told them. Each neuron is a gate on them,
    and their sum has the sign of the parity.
    """)
    return


@app.cell
def _(gs, mo, run):
    from grokscope.circuits import draw

    _circuit = gs.read_circuit(run, seed=0).circuit
    _settings = 2 ** len(_circuit.support.bits)
    print(f"bits {_circuit.support.bits}: the parity at {_circuit.n_parity} of {_settings} settings")
    print(_circuit.formula)
    mo.Html(draw(_circuit, "seed 0, at the end") if _circuit.gates else _circuit.support.why)
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## 6. Go on

    The report has all of this for every seed and step, on one page that needs nothing else. Then ask your
    own question: what if the weight decay is smaller (change it in step 1), what if these neurons are cut
    out half way (`run.branch`), does it hold on a hundred seeds (`grokscope reproduce two-circuits --seeds
    100`)?
    """)
    return


@app.cell
def _(run):
    print(f"report: {run.report()}")
    return


if __name__ == "__main__":
    app.run()
