"""`kcpt pack --report`: the pack's page, from its manifest."""

from __future__ import annotations

from pathlib import Path

from nemo_kcpt.files import atomic_write
from nemo_kcpt.packing.plots import pack_plots
from nemo_kcpt.pages import environment
from nemo_kcpt.pages.numbers import count, share
from nemo_kcpt.records.packs import read_info
from nemo_kcpt.runs import read_manifest

PAGE = "pack.html"


def write_page(folder: Path) -> Path:
    """Write `pack.html` into a finished pack; returns its path."""
    from markupsafe import Markup

    read_info(folder)
    manifest = read_manifest(folder)
    config, counts = manifest["config"], manifest["counts"]
    templates = environment(Path(__file__).parent, markdown=False)
    templates.filters |= {"count": count}
    templates.globals |= {"share": share}
    text = templates.get_template("pack.html.j2").render(
        name=folder.name,
        config=config,
        counts=counts,
        fingerprint=manifest["fingerprint"],
        plots=[Markup(plot) for plot in pack_plots(counts, config["seq_length"], folder.name)],
    )
    path = folder / PAGE
    with atomic_write(path) as stream:
        stream.write(text)
    return path
