"""Faults of publishing, journals, resuming and the grid's runner: (name, file, old, new, tests)."""

PUBLISH = "tests/test_crashes.py"
RUNS = "tests/test_crashes.py tests/test_runs.py"
SYNTHESIS = "tests/synthesis/test_crashes.py"
EVALUATION = "tests/evaluation/test_crashes.py"
CORPUS = "tests/corpus/test_crashes.py"
CONVERSION = "tests/conversion/test_crashes.py"
GRID = "tests/grid/test_crashes.py"

MUTATIONS = [
    ("a file is not flushed", "nemo_kcpt/files.py", "    sync(temporary)\n", "", PUBLISH),
    ("a folder is not flushed", "nemo_kcpt/files.py", "    sync(path.parent)\n", "", PUBLISH),
    (
        "renamed before it is flushed", "nemo_kcpt/files.py",
        "    sync(temporary)\n    temporary.replace(path)\n", "    temporary.replace(path)\n    sync(path)\n", PUBLISH,
    ),
    (
        "renamed before it is written", "nemo_kcpt/files.py",
        "            yield stream\n        publish(temporary, path)\n",
        "            publish(temporary, path)\n            yield stream\n", PUBLISH,
    ),
    (
        "written in its place", "nemo_kcpt/files.py",
        'temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")\n    try:\n        with temporary.open',
        'temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")\n    temporary = path\n    try:\n'
        "        with temporary.open", "tests/test_files.py",
    ),
    (
        "the manifest comes before the files are flushed", "nemo_kcpt/runs.py",
        "        sync(path)  # whatever", "        pass  # whatever", PUBLISH,
    ),
    (
        "the manifest comes first", "nemo_kcpt/runs.py",
        "        yield current\n        if not current.done:\n            _write_manifest(current, started)\n",
        "        if not current.done:\n            _write_manifest(current, started)\n        yield current\n", RUNS,
    ),
    (
        "finished is what has a manifest", "nemo_kcpt/runs.py",
        '(stage.out / name).is_file() and (stage.out / name).stat().st_size == entry["bytes"]', "True", RUNS,
    ),
    ("temporary files of a killed run stay", "nemo_kcpt/runs.py", "                left.unlink()\n",
     "                pass\n", RUNS),
    ("the lock is not taken", "nemo_kcpt/runs.py", "            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
     "            pass\n", RUNS),
    (
        "other inputs are taken for the same", "nemo_kcpt/runs.py",
        'if manifest["fingerprint"] != stage.fingerprint:', "if False:", RUNS,
    ),
    ("autocommit is missing", "nemo_kcpt/llm/journal.py", "            self._db.isolation_level = None\n", "",
     f"{SYNTHESIS} tests/synthesis/test_journal.py"),
    ("a row is not committed", "nemo_kcpt/llm/journal.py", '                self._db.execute("COMMIT")\n', "",
     f"{SYNTHESIS} tests/synthesis/test_journal.py"),
    ("commits are not flushed", "nemo_kcpt/llm/journal.py", '"PRAGMA synchronous = FULL"',
     '"PRAGMA synchronous = OFF"', SYNTHESIS),
    (
        "a call counts before its row is written", "nemo_kcpt/llm/loop.py",
        "        await asyncio.shield(committer.commit(storable(row)))  # another's fault must not lose what was "
        "answered\n",
        "        late = asyncio.ensure_future(committer.commit(storable(row)))\n"
        "        late.add_done_callback(lambda done: done.exception())\n", SYNTHESIS,
    ),
    (
        "a salvaged journal is put in place in two moves", "nemo_kcpt/llm/journal.py",
        "    publish(fresh, _salvaged(path))\n    return kept, _put_in_place(path)\n",
        '    path.replace(old := path.with_name(f"{path.name}.damaged-1"))\n    fresh.replace(path)\n'
        "    return kept, old\n", SYNTHESIS,
    ),
    (
        "a batch is noted after it was submitted", "nemo_kcpt/llm/batch.py",
        '        note["file"] = uploaded.id\n        notes.note(name, note)\n',
        '        note["file"] = uploaded.id\n        notes.forget(name)\n', f"{SYNTHESIS} -k batches",
    ),
    (
        "a batch is forgotten before its answers are on disk", "nemo_kcpt/synthesis/batches.py",
        '        """Drop a note, after what was delivered is on disk."""\n        self.flush()\n',
        '        """Drop a note, after what was delivered is on disk."""\n', f"{SYNTHESIS} -k batches",
    ),
    (
        "a lost batch is not looked for", "nemo_kcpt/llm/batch.py",
        "        if batch is None:\n            notes.forget(name)\n",
        "        if True:\n            notes.forget(name)\n",
        f"{SYNTHESIS} -k batches",
    ),
    (
        "a shard's row is counted again", "nemo_kcpt/synthesis/shards.py",
        "if there_already is None or (there_already.status != DONE and row.status == DONE):", "if False:",
        f"{SYNTHESIS} tests/synthesis/test_stage.py -k shard",
    ),
    (
        "answers are not flushed", "nemo_kcpt/evaluation/answers/server.py",
        "                stream.flush()\n                os.fsync(stream.fileno())\n", "", f"{EVALUATION} -k server",
    ),
    (
        "batches of answers are not flushed", "nemo_kcpt/serving/transformers_engine.py",
        "                stream.flush()\n                os.fsync(stream.fileno())\n", "",
        f"{EVALUATION} -k transformers",
    ),
    (
        "answers reach the system but not the disk", "nemo_kcpt/evaluation/scoring/perplexity_stage.py",
        "                    os.fsync(stream.fileno())\n", "", f"{EVALUATION} -k perplexity",
    ),
    (
        "a torn line is left in the journal", "nemo_kcpt/serving/prompts.py", "        if torn:\n",
        "        if False:\n", f"{EVALUATION} tests/evaluation/test_generate_stage.py",
    ),
    (
        "a journal goes before the manifest", "nemo_kcpt/evaluation/scoring/perplexity_stage.py",
        '        write_json(config.out / "perplexity.json", {"base": config.base, "models": rows})\n',
        '        write_json(config.out / "perplexity.json", {"base": config.base, "models": rows})\n'
        "        journal.remove()\n", f"{EVALUATION} -k perplexity",
    ),
    (
        "a part is done when its first file is there", "nemo_kcpt/corpus/parts.py",
        'return self.path(".parquet").is_file()', 'return self.path(".jsonl").is_file()', CORPUS,
    ),
    (
        "parts go before the manifest", "nemo_kcpt/corpus/stage.py", "        _tell(current.counts)\n",
        "        _tell(current.counts)\n        shutil.rmtree(config.out / PARTS)\n"
        "        (config.out / PARTS).mkdir()\n",
        CORPUS,
    ),
    (
        "two shards read the same pieces", "nemo_kcpt/corpus/parts.py", "if index % shards == shard]",
        "if index % shards <= shard]", f"{CORPUS} tests/corpus/test_parts.py",
    ),
    (
        "what another run left is resumed", "nemo_kcpt/checkpoints/target.py",
        "read_json(begun) == current.fingerprint and not redo", "not redo",
        "tests/conversion/test_export.py tests/conversion/test_import.py",
    ),
    (
        "an export goes back to its beginning at its end", "nemo_kcpt/checkpoints/target.py",
        "        yield current\n    (partial / BEGUN)", "        yield current\n        (partial / BEGUN)", CONVERSION,
    ),
    (
        "a shard appears before it is whole", "nemo_kcpt/checkpoints/safetensors_file.py",
        'temporary = path.with_name(f".{path.name}.tmp")', "temporary = path", CONVERSION,
    ),
    (
        "a layer is recorded before it is written", "nemo_kcpt/checkpoints/torch_dist.py",
        "            if not record.is_file():\n",
        '            if not record.is_file():\n                write_json(record, [])\n', CONVERSION,
    ),
    ("finished steps run again", "nemo_kcpt/experiment/runner.py",
     "    done = {name for name in names if states.of(name).word == DONE and name != REPORT}\n",
     "    done: set[str] = set()\n", f"{GRID} tests/grid/test_runner.py"),
    ("heirs of a failed step are started", "nemo_kcpt/experiment/runner.py",
     "bad = [dependency for dependency in nodes[name].after if dependency in failed or dependency in blocked]\n",
     "bad: list[str] = []\n                done |= set(failed)\n", f"{GRID} tests/grid/test_runner.py"),
    ("a failed step is taken for a finished one", "nemo_kcpt/experiment/runner.py",
     "    problem = running.process.problem()\n    if problem is None:\n",
     "    problem = running.process.problem()\n    if True:\n", f"{GRID} tests/grid/test_runner.py"),
    ("a step that wrote nothing is finished", "nemo_kcpt/experiment/states.py",
     "if all(path.is_file() for path in node.products):", "if True:", f"{GRID} tests/grid"),
]  # fmt: skip
