"""What the README shows must run as it stands."""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), flags=re.DOTALL)


def test_the_python_examples_run_one_after_the_other() -> None:
    example = "\n".join(_blocks("python"))
    assert "sd_cwt.verify" in example
    assert "sd_jwt.verify" in example
    assert "health_card.verify" in example
    result = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_the_command_lines_run_one_after_the_other(tmp_path: Path) -> None:
    result = _run(next(block for block in _blocks("sh") if "sd-cwt issue" in block), tmp_path)
    assert result.returncode == 0, result.stderr
    assert '"age": 42' in result.stdout
    assert "Erika" not in result.stdout


def test_the_command_lines_about_health_cards_end_with_a_revoked_card(tmp_path: Path) -> None:
    script = next(block for block in _blocks("sh") if "health-card issue" in block)
    result = _run(script, tmp_path)
    assert result.returncode == 0, result.stderr
    assert '"iss": "https://issuer.example"' in result.stdout
    wanted = ("export ", "kid=", "safeconduct health-card verify")
    again = _run("\n".join(line for line in script.splitlines() if line.startswith(wanted)), tmp_path)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.startswith("card_revoked: ")


def _run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = str(Path(sys.executable).with_name("safeconduct"))
    return subprocess.run(
        ["sh", "-e", "-c", script.replace("safeconduct ", f"{command} ")],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
