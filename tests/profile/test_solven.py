"""The shipped profile, requirement by requirement."""

import json
import tomllib

from solven_env.profile.model import Link, Program
from tests.checking import SOLVEN, rendered, resolve

PROFILE = resolve(SOLVEN)
FILES = rendered(PROFILE)


def test_r1_the_links_of_a_workspace() -> None:
    assert PROFILE.links == (Link(".solven/skills/system", "skills/system", optional=True),)
    ticket = resolve(SOLVEN, {"ticket_id": "t-9"}).links[-1]
    assert ticket == Link(".ticket", "threads/t-9", optional=True)


def test_r2_every_host_path_is_there_with_its_reason() -> None:
    stated = {mount.target: (mount.kind, mount.source, mount.why) for mount in PROFILE.mounts}
    assert stated == {
        "/bin": ("bind", "/bin", "bash, sh, ls, cat"),
        "/usr": ("bind", "/usr", "programs and libraries: python, node, gcc"),
        "/sbin": ("bind", "/sbin", "system programs (ip, ldconfig)"),
        "/lib": ("bind", "/lib", "shared libraries"),
        "/lib64": ("bind", "/lib64", "shared libraries"),
        "/etc": ("bind", "/etc", "DNS, users, time zone, locales"),
        "/dev": ("dev", "", "null, zero, urandom at the least"),
        "/proc": ("proc", "", "CPU, memory and process information"),
        "/sys": ("bind", "/sys", "hardware information"),
        "/tmp": ("tmpfs", "", "temporary files"),
        "/var": ("tmpfs", "", "logs, caches, package managers"),
        "/run": ("tmpfs", "", "sockets and process ids of programs"),
    }


def test_r4_the_variables() -> None:
    assert PROFILE.env == {
        "HOME": "/",
        "USER": "user",
        "LOGNAME": "user",
        "PWD": "/",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLBACKEND": "Agg",
        "PYTHON_VERSION": "3.12",
        "NODE_ENV": "development",
    }


def test_r5_what_path_begins_with_and_one_place_for_the_version() -> None:
    assert PROFILE.path == ("/.venv/bin", "/node_modules/.bin")
    assert resolve(SOLVEN.replace(b'version: "3.12"', b'version: "3.13"')).env["PYTHON_VERSION"] == "3.13"


def test_r6_pyproject() -> None:
    assert tomllib.loads(FILES["pyproject.toml"])["project"] == {
        "name": "workspace",
        "version": "0.1.0",
        "requires-python": ">=3.12",
        "dependencies": list(PROFILE.packages["python"].packages if PROFILE.packages["python"] else ()),
    }


def test_r7_the_python_packages() -> None:
    assert PROFILE.packages["python"] is not None
    assert PROFILE.packages["python"].recorded()["version"] == "3.12"
    assert sorted(PROFILE.packages["python"].packages, key=str.lower) == sorted(
        "pandas numpy openpyxl xlrd pypdf pdfplumber reportlab pdf2image Pillow pytesseract matplotlib seaborn defusedxml "
        "beautifulsoup4 lxml requests httpx python-dateutil pytz".split(),
        key=str.lower,
    )


def test_r7_the_programs_that_its_packages_need_of_the_host() -> None:
    assert PROFILE.programs == (
        Program("tesseract", "pytesseract", "tesseract-ocr"),
        Program("pdftoppm", "pdf2image", "poppler-utils"),
    )


def test_r8_package_json() -> None:
    assert json.loads(FILES["package.json"]) == {
        "name": "workspace",
        "module": "index.ts",
        "type": "module",
        "dependencies": {"docx": "^8.0.0"},
    }


def test_r9_the_files_of_a_shell() -> None:
    """What they do in a real bash: tests/profile/test_bashrc.py."""
    assert [dotfile.path for dotfile in PROFILE.dotfiles] == [
        ".bashrc",
        ".bash_profile",
        "pyproject.toml",
        "package.json",
        ".ignore",
        "bunfig.toml",
    ]
    exported = [line for line in FILES[".bashrc"].splitlines() if line.startswith("export ")]
    assert exported == [
        "export PATH",
        *(f"export {name}='{value}'" for name, value in PROFILE.env.items() if name != "PWD"),
    ]
    assert ". ~/.bashrc" in FILES[".bash_profile"]
