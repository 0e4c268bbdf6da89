"""Commands found in a folder: one a file, named by it, imported when it is called.

A command is a module with a function `command`, whose docstring is what `--help` says of it. The list of them all is
read from the files' text, as importing them imports the whole project: 1.4 s of a processor where this takes 0.08.
"""

import ast
import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from engine.errors import InputError


class FoundCommands(Mapping[str, Any]):
    """Name → command for every file of a package; only what is asked for is imported."""

    def __init__(self, package: ModuleType) -> None:
        self._package = package

    def _files(self) -> dict[str, Path]:
        files = [path for folder in self._package.__path__ for path in Path(folder).glob("[!_]*.py")]
        return {path.stem: path for path in sorted(files, key=lambda path: path.stem)}

    def __iter__(self) -> Iterator[str]:
        return iter(self._files())

    def __len__(self) -> int:
        return len(self._files())

    def __getitem__(self, name: str) -> Any:
        self.about(name)  # raises KeyError for what is no file here, whatever else could be imported
        module = importlib.import_module(f"{self._package.__name__}.{name}")
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(name)(module.command)
        return typer.main.get_command(single)

    def about(self, name: str) -> str:
        """What a command does: the first paragraph of its function's docstring, from the file's text."""
        path = self._files()[name]
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name == "command":
                return " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())
        raise InputError(f"{path} has no function 'command': write one, or begin the file's name with an underscore")


class CommandFolder(TyperGroup):
    """A group whose commands are the files of `folder`. Help is plain text: typer's frames alone take 0.15 s."""

    folder: ClassVar[ModuleType]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands: Any = FoundCommands(self.folder)

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.commands.about(name)) for name in self.commands])

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Commands for a shell to offer, from their texts: importing them all takes a second."""
        found = self.commands
        self.commands = {name: TyperCommand(name, help=found.about(name)) for name in found}
        try:
            return super().shell_complete(ctx, incomplete)
        finally:
            self.commands = found
