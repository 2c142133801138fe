"""The dbt package as far as it can be judged without dbt."""

from __future__ import annotations

import pytest
from ruamel.yaml import YAML

from documentation.blocks import ROOT
from documentation.models import PACKAGE, files

FILES = files()


@pytest.mark.parametrize("path", FILES)
def test_what_follows_from_the_tap_is_up_to_date(path: str) -> None:
    assert (PACKAGE / path).read_text(encoding="utf-8") == FILES[path], "run `make models`"


def test_no_staging_model_is_left_over() -> None:
    there = {str(one.relative_to(PACKAGE)) for one in PACKAGE.glob("models/staging/*")}
    assert there == {path for path in FILES if path.startswith("models/staging/")}


def test_meltano_installs_what_those_without_it_do() -> None:
    _, *pins = (PACKAGE / "requirements.txt").read_text(encoding="utf-8").split("\n")[:-1]
    plugins = YAML(typ="safe").load(ROOT / "meltano.yml")["plugins"]
    (dbt,) = plugins["utilities"]
    assert dbt["pip_url"].split(" -c ") == [" ".join(pins), "dbt/constraints.txt"]
