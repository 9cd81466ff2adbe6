"""A real git repository to take packages from, and the source over it."""

import os
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from app.builder.sources.definition import GitDefinition
from app.builder.sources.git.command import GitCommand
from app.builder.sources.git.files import GitFiles
from app.builder.sources.git.git import GitUpstream
from app.builder.sources.trees import Trees
from app.system.environment import child_environment
from app.system.workers import Workers

WORKERS = Workers(4)


class Repository:
    """Commits are an hour apart, so that their dates differ."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._hour = 0
        path.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str, stdin: IO[str] | None = None) -> str:
        date = datetime(2024, 5, 1, self._hour, tzinfo=UTC).isoformat()
        done = subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments],
            cwd=self.path,
            env={
                "PATH": os.environ["PATH"],
                "GIT_COMMITTER_DATE": date,
                "GIT_AUTHOR_DATE": date,
                "GIT_CONFIG_GLOBAL": "/dev/null",
                "GIT_CONFIG_SYSTEM": "/dev/null",
            },
            check=True,
            stdin=stdin,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def commit(self, content: str, file: str = "default.nix") -> str:
        """Return the new commit's name."""
        self._hour += 1
        (self.path / file).write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", content)
        return self.git("rev-parse", "HEAD")

    def commit_of(self, entry: str) -> str:
        """Return a commit with one entry (mode and name) that git would not create; on no branch."""
        mode, name = entry.split()
        (self.path / "content").write_text("content")
        blob = self.git("hash-object", "-w", "content")
        tree = self.tree(f"{mode} blob {blob}\t{name}")
        return self.git("commit-tree", tree, "-m", "odd")

    def tree(self, *rows: str) -> str:
        """Return the name of a directory with these rows, in git's format."""
        listing = self.path / "listing"
        listing.write_text("".join(f"{row}\n" for row in rows))
        with listing.open() as file:
            return self.git("mktree", stdin=file)

    def keep(self, text: str) -> str:
        """Return the name of a commit with this content, on no branch."""
        (self.path / "text").write_text(text)
        return self.git("hash-object", "-t", "commit", "-w", "text")

    @property
    def url(self) -> str:
        return f"file://{self.path}"


def upstream(
    definition: GitDefinition,
    state: Path,
    *,
    listing_seconds: float = 30,
    seconds: float = 30,
    clock: Callable[[], float] = time.monotonic,
) -> GitUpstream:
    git = GitCommand(
        definition=definition,
        environment=child_environment(os.environ, home=state / "home"),
        directory=state / "git",
        workers=WORKERS,
        listing_seconds=listing_seconds,
        seconds=seconds,
    )
    trees = Trees(directory=state / "trees", workers=WORKERS, keep=2)
    return GitUpstream(
        definition=definition,
        git=git,
        files=GitFiles(git=git, workers=WORKERS),
        directory=state / "git",
        trees=trees,
        workers=WORKERS,
        clock=clock,
    )
