"""The tests with the oldest and the newest allowed versions of everything: `nox`, with uv.

pip install nox uv && nox
"""

import nox

nox.options.default_venv_backend = "uv"


@nox.session(python=["3.10", "3.13"])
@nox.parametrize("resolution", ["lowest-direct", "highest"])
def tests(session: nox.Session, resolution: str) -> None:
    session.install("--resolution", resolution, "-r", "requirements-dev.txt")
    session.run("python", "-m", "pytest", *session.posargs)
