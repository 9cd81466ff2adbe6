"""Rules for all sources of a server together."""

from collections.abc import Sequence

from app.builder.sources.definition import Definition


def check_definitions(definitions: Sequence[Definition]) -> None:
    """Raise ValueError if names, defaults, bases or search paths do not fit together."""
    _check_names(definitions)
    _check_bases(definitions)
    _check_search_paths(definitions)


def _check_names(definitions: Sequence[Definition]) -> None:
    names = [definition.name for definition in definitions]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two sources are called {name}")
    if sum(definition.default for definition in definitions) > 1:
        raise ValueError("only one source can be the default")


def _check_bases(definitions: Sequence[Definition]) -> None:
    names = [definition.name for definition in definitions]
    for definition in definitions:
        if definition.base and definition.base not in names:
            raise ValueError(
                f"source {definition.name} has base {definition.base}, which is not a source;"
                f" the sources are {', '.join(names)}"
            )


def _check_search_paths(definitions: Sequence[Definition]) -> None:
    kinds = {definition.name: definition.kind for definition in definitions}
    for definition in definitions:
        for name, (source, _) in definition.searched.items():
            if kinds.get(source, "flake") == "flake":
                reason = "is a flake" if source in kinds else "does not exist"
                raise ValueError(
                    f"<{name}> in the search path of source {definition.name} is source {source},"
                    f" which {reason}"
                )
