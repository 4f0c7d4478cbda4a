"""The graph of an experiment: which process makes what, and what it waits for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nemo_kcpt.environments import package_path
from nemo_kcpt.experiment.adapters import check_lora, lora_arguments
from nemo_kcpt.experiment.backends import BRIDGE, DATA, NEMO
from nemo_kcpt.experiment.experiment import BASE, Config, Training
from nemo_kcpt.experiment.nodes import Cell, Launch, Node, kcpt, needed, report_node, stage_node
from nemo_kcpt.experiment.outline import Outline
from nemo_kcpt.experiment.sections import check_compared, words_of
from nemo_kcpt.experiment.small_base import base_documents, base_packs
from nemo_kcpt.experiment.sweeps import add_sweep, add_validation
from nemo_kcpt.experiment.taught import add_replay, add_teacher, check_taught
from nemo_kcpt.experiment.testing import add_tests, own_sets


class Graph(Outline):
    """All nodes of an experiment, and the cells that they make."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        for training in self.trainings:
            check_taught(training, config.pack)
            check_lora(training, config.sets)
        self.cells: list[Cell] = []
        self._documents()
        self._base()
        for training in self.trainings:
            seeds: list[int | None] = [*training.seeds]
            for seed in seeds or [None]:
                self._training(training, seed)
        if config.together:
            self._test_together()
        self.add(report_node(self.run, list(dict.fromkeys(f"scores-{cell.tested}" for cell in self.cells))))
        check_compared(config, [cell.name for cell in self.cells], [cell.group for cell in self.cells])

    def _stage(self, name: str, *given: Any, **more: Any) -> None:
        self.add(stage_node(self.run / name, name, *given, **more))

    def _documents(self) -> None:
        config, run = self.config, self.run
        reads: dict[str, Path] = {}
        corpus_keys = words_of(config.corpus)
        if config.world:
            keys = words_of(config.world)
            self._stage("world", "world", "demo-world", keys, [], "own/documents.jsonl", expected=2)
            # Papers made from templates are alike.
            given = [f"{key}=0" for key in ("near_duplicates", "same_side") if key not in config.corpus]
            corpus_keys = [f"input={run}/world/own/documents.jsonl", *given, *corpus_keys]
        elif Path(config.corpus["input"]).exists():
            reads["documents"] = Path(config.corpus["input"])
        after = ["world"] if config.world else []
        self._stage("corpus", "corpus", "corpus", corpus_keys, after, "papers.jsonl", reads=reads, expected=5)
        facts = [f"facts={self.facts}"] if self.facts else []
        synthesize = [f"corpus={run}/corpus", *facts, *words_of(config.synthesize)]
        self._stage("synthetic", "synthesize", "synthesize", synthesize, ["corpus"], "synthetic.jsonl", expected=5)
        sources = [f"corpus={run}/corpus", f"synthetic={run}/synthetic"]
        asked = [sources[0], *(facts or sources[1:]), *words_of(config.questions)]
        if any(training.mix for training in self.trainings):
            asked.append(f"validation={config.validation}")
            add_validation(self, asked)
        self._stage("questions", "questions", "questions", asked, ["synthetic"], "questions.jsonl", expected=5)
        for key in own_sets(config):
            asked = [f"{key}={getattr(config, key)}"]
            self._stage(key, "questions", "questions", asked, [], "questions.jsonl", expected=5)
        if config.sets:
            before = ["synthetic"]
            given = [*sources, *words_of(config.sft_data)]
            wanted = bool({"ichikara", "all_included"} & set(config.sets))  # both have general instructions
            if config.world and wanted and not {"general", "ichikara"} & set(config.sft_data):
                self.add(base_documents(config, run))
                before, given = [*before, "base-documents"], [*given, f"general={run}/base-world/synthetic"]
            if config.one_shot:
                keys = [f"corpus={run}/corpus", *facts, *words_of({**config.synthesize, **config.one_shot})]
                self._stage("synthetic-one-shot", "synthesize", "synthesize", keys, ["corpus"], "synthetic.jsonl")
                before, given = [*before, "synthetic-one-shot"], [*given, f"one_shot={run}/synthetic-one-shot"]
            self._stage("sft", "sft-data", "sft-data", given, before, "manifest.json", expected=3)

    def _base(self) -> None:
        config, run = self.config, self.run
        if config.model is not None:
            out = run / "base"
            backend = [] if config.backend == NEMO else [f"backend={config.backend}"]
            self.add(
                Node(
                    name="import",
                    kind="import",
                    command=kcpt(["convert", "import", str(config.model), "--to", str(out), *backend]),
                    products=[out / "manifest.json"],
                    folders=[out],
                    reads={"model": config.model},
                    expected=30,
                    forks=True,
                )
            )
            self.weights_node, after = "import", []
        else:
            after = [self._small_base()]
        self.add_cell(BASE, None, None, None, None, [], after)

    def _small_base(self) -> str:
        """A base model pretrained and tuned on fictional papers of its own; the name of its export."""
        config, first = self.config, self.trainings[0]
        if "base-documents" not in self.nodes:
            self.add(base_documents(config, self.run))
        packing, pretraining, tuning = base_packs(self.run, self.tokenizer, first.seq_length, config.base_mode)
        self.add(packing)
        trained = self.nemo(
            "base-pretraining", "pretrain", first, pretraining, config.base_epochs, None, [packing.name]
        )
        self.weights_node = self.nemo(
            "base-tuning", "finetune", first, tuning, config.tuning_epochs, trained, [trained]
        )
        return self.export(BASE, self.weights_node)

    def nemo(
        self,
        name: str,
        task: str,
        training: Training,
        pack: Path,
        epochs: float,
        restore: str | None,
        after: Sequence[str],
        seed: int | None = None,
        steps_like: Path | None = None,
        cells: Sequence[str] = (),
        taught: Mapping[str, Any] | None = None,
    ) -> str:
        """A training. `restore` is the training or import whose weights it starts from."""
        config, folder = self.config, self.folder(name)
        pretrain = task == "pretrain"
        recipe = (config.recipe if pretrain else config.tuning_recipe).replace("{k}", str(training.seq_length // 1024))
        weights = None if restore is None else self.run / "base" if restore == "import" else self.folder(restore)
        named = {"pack": str(pack), "dir": str(folder), "epochs": epochs}
        named |= {} if weights is None else {"restore": str(weights)}
        named |= {} if steps_like is None else {"steps_like": str(steps_like)}
        named |= {"processes": config.processes} if config.processes > 1 else {}
        named |= {**config.arguments, **(taught or {})}
        own = pretrain and not name.startswith(BASE)
        overrides = list(config.overrides if pretrain else config.tuning_overrides)
        data = DATA[config.backend]
        if own:
            overrides += training.overrides
        if own and training.attention != "causal":
            overrides.append(f"{data}.attention={training.attention}")
        if seed is not None:
            overrides.append(f"{data}.seed={seed}")
        launch = Launch(
            task=task,
            name=recipe,
            arguments=named,
            overrides=overrides,
            processes=config.processes,
            backend=config.backend,
        )
        self.add(
            Node(
                name=name,
                kind=task,
                command=launch.command(),
                products=[folder / "metrics.jsonl"],
                folders=[folder],
                after=after,
                expected=300 if pretrain else 60,
                launch=launch,
                metrics=folder / "metrics.jsonl",
                disposable=[folder / "checkpoints"],
                # One OpenMP thread a rank where several ranks share the cores; torchrun children inherit it.
                environment={
                    **({"OMP_NUM_THREADS": "1"} if config.processes > 1 else {}),
                    **(package_path() if config.backend == BRIDGE else {}),
                },
                cells=cells,
                forks=config.processes == 1 and config.backend == NEMO,
            )
        )
        return name

    def _training(self, training: Training, seed: int | None) -> None:
        """A continual pretraining, what tunes it, and the cells that come out."""
        config = self.config
        name = training.name if seed is None else f"{training.name}@{seed}"
        packs = [self._pack(training)]
        like = next((candidate for candidate in self.trainings if candidate.name == config.steps_like), None)
        if like is not None and like is not training:
            packs = list(dict.fromkeys([*packs, self._pack(like)]))
        cells = [name] if len(config.sets) <= 1 else [f"{name}-{set_name}" for set_name in config.sets]
        start = self.weights_node
        taught, teacher = add_teacher(self, training, packs[0])
        pretrained = self.nemo(
            f"pretrain-{name}",
            "pretrain",
            training,
            self.pack(training),
            config.epochs,
            start,
            [*packs, *teacher, start],
            seed,
            self.pack(like) if len(packs) > 1 and like else None,
            cells,
            {**taught, **lora_arguments(training)},
        )
        sets: list[str | None] = [*config.sets]
        for cell, given in zip(cells, sets or [None]):
            trained, chain = pretrained, [packs[0], *teacher, pretrained]
            if given is not None:
                pack = self._instruction_pack(given, config.tuning_length or training.seq_length)
                trained = self.nemo(
                    f"tune-{cell}",
                    "finetune",
                    training,
                    self.run / "packs" / pack.removeprefix("pack-"),
                    config.tuning_epochs,
                    pretrained,
                    [pack, pretrained],
                    seed,
                    cells=[cell],
                )
                chain += [trained]
            exported = self.export(cell, trained)
            self.add_cell(cell, training, seed, given, self.pack(training), [*chain, exported], [exported])
            if training.mix:
                base = [] if config.model is not None else [f"export-{BASE}"]
                chosen, chain = add_sweep(self, self.cells[-1], [exported, *base])
                self.add_cell(chosen, training, seed, given, self.pack(training), chain, chain[-1:])

    def _pack(self, training: Training) -> str:
        name, config = f"pack-{self.packed_first(training).name}", self.config
        if name not in self.nodes:
            keys = [
                f"mode={training.mode}",
                f"seq_length={training.seq_length}",
                f"tokenizer={self.tokenizer}",
                f"corpus={self.run}/corpus",
                f"out={self.pack(training)}",
                *words_of(config.pack),
            ]
            keys += [f"synthetic={self.run}/synthetic"] if training.mode != "raw" else []
            keys += words_of({"kinds": training.kinds}) if training.kinds else []
            replay, said = add_replay(self, training)
            after = ["synthetic" if training.mode != "raw" else "corpus", *said]
            self._add_pack(name, [*keys, *replay], self.pack(training), after)
        return name

    def _instruction_pack(self, given: str, length: int) -> str:
        name, out = f"pack-{given}-{length}", self.run / "packs" / f"{given}-{length}"
        if name not in self.nodes:
            keys = ["mode=instruction", f"seq_length={length}", f"tokenizer={self.tokenizer}"]
            keys += [f"sft={self.run}/sft/{given}.jsonl", f"out={out}", *words_of(self.system)]
            self._add_pack(name, keys, out, ["sft"])
        return name

    def _add_pack(self, name: str, keys: Sequence[str], out: Path, after: Sequence[str]) -> None:
        tokenizer = [] if self.config.model is not None else ["base-packs"]
        reads = {"tokenizer": self.tokenizer / "tokenizer.json"} if self.config.model is not None else {}
        self.add(
            Node(
                name=name,
                kind="pack",
                command=kcpt(["pack", *keys]),
                products=[out / "manifest.json"],
                folders=[out],
                after=[*after, *tokenizer],
                reads=reads,
            )
        )

    def export(self, cell: str, training: str) -> str:
        """The Hugging Face folder of a cell's model."""
        out = self.hf(cell)
        keys = [f"checkpoint={self.folder(training)}", f"tokenizer={self.tokenizer}", f"out={out}"]
        self.add(
            Node(
                name=f"export-{cell}",
                kind="export",
                command=kcpt(["convert", *keys, *words_of(self.config.convert)]),
                products=[out / "manifest.json"],
                folders=[out],
                after=[training],
                expected=30,
                cells=[cell],
                forks=True,
            )
        )
        return f"export-{cell}"

    def add_cell(
        self,
        name: str,
        training: Training | None,
        seed: int | None,
        given: str | None,
        pack: Path | None,
        chain: list[str],
        after: Sequence[str],
    ) -> None:
        """A model to compare, and what tests it."""
        tests = [] if self.config.together else add_tests(self, name, [name], after)
        trainings = [node for node in chain if self.nodes[node].launch is not None]
        self.cells.append(
            Cell(
                name=name,
                training=training,
                seed=seed,
                set=given,
                model=self.hf(name),
                pack=pack,
                trainings=trainings,
                nodes=[*chain, *tests],
                tested=name,
            )
        )

    def _test_together(self) -> None:
        """Test all models by the same nodes, called after them all: with another model they are others."""
        names = [cell.name for cell in self.cells]
        tested = "-".join(names)
        nodes = add_tests(self, tested, names, [f"export-{name}" for name in names if f"export-{name}" in self.nodes])
        self.cells = [replace(cell, tested=tested, nodes=[*cell.nodes, *nodes]) for cell in self.cells]

    def needed(self, names: Sequence[str]) -> list[str]:
        """The named nodes and all that they need, in order.

        Raises:
            BadInput: an unknown name.
        """
        return needed(self.nodes, names)
