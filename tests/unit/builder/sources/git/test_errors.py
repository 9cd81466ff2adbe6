"""Recorded output of git and ssh; tests/e2e/test_private_sources.py produces further output."""

import pytest

from app.builder.sources.definition import GitDefinition
from app.builder.sources.git.errors import explain

HTTPS = GitDefinition(name="set", location="https://git.example.org/team/set.git")
SSH = GitDefinition(name="set", location="ssh://git@git.example.org:2222/team/set.git")
SCP = GitDefinition(name="set", location="git@git.example.org:team/set.git")
UNREAD = """fatal: Could not read from remote repository.

Please make sure you have the correct access rights
and the repository exists.
"""


@pytest.mark.parametrize(
    ("definition", "output", "shown"),
    [
        (
            SSH,
            (
                "@ WARNING: UNPROTECTED PRIVATE KEY FILE! @\nPermissions 0644 for '/etc/k' are too"
                ' open.\nLoad key "/etc/k": bad permissions\n'
                f"git@git.example.org: Permission denied (publickey).\n{UNREAD}"
            ),
            "ssh ignores a private key that others may read (see ssh_key)",
        ),
        (
            SSH,
            (
                "Warning: Identity file /etc/k not accessible: No such file or directory.\n"
                f"git@git.example.org: Permission denied (publickey).\n{UNREAD}"
            ),
            "the private key cannot be read (see ssh_key)",
        ),
        (
            SCP,
            f"ssh: connect to host git.example.org port 22: Connection refused\n{UNREAD}",
            "no server responds at its address",
        ),
        (
            HTTPS,
            (
                "fatal: unable to access 'https://git.example.org/team/set.git/': Could not resolve"
                " host: git.example.org"
            ),
            "the name of its host cannot be resolved",
        ),
        (
            HTTPS,
            (
                "fatal: unable to access 'https://git.example.org/team/set.git/': server"
                " verification failed: certificate signer not trusted. (CAfile: ca.crt CRLfile:"
                " none)"
            ),
            "the host's certificate is not trusted (SSL_CERT_FILE may name a private CA)",
        ),
        (
            HTTPS,
            (
                "fatal: unable to access 'https://git.example.org/team/set.git/': Operation too"
                " slow. Less than 1 bytes/sec transferred the last 60 seconds"
            ),
            "no response from git.example.org",
        ),
        (
            SSH,
            f"Timeout, server git.example.org not responding.\n{UNREAD}",
            "no response from git.example.org:2222",
        ),
        (
            SCP,
            f"ssh: connect to host git.example.org port 22: Connection timed out\n{UNREAD}",
            "no response from git.example.org",
        ),
        (
            HTTPS,
            (
                "fatal: unable to access 'https://git.example.org/team/set.git/': Problem with the"
                " SSL CA cert (path? access rights?)"
            ),
            "the trusted certificates cannot be read (see SSL_CERT_FILE, GIT_SSL_CAINFO)",
        ),
        (
            HTTPS,
            (
                "cat: /run/token: Permission denied\nerror: unable to read askpass response from"
                " '/state/askpass'\nfatal: could not read Password for 'https://git@git.example.org'"
            ),
            "the token cannot be read (see token_file)",
        ),
        (
            SSH,
            "fatal: '/srv/git/team/set.git' does not appear to be a git repository\n" + UNREAD,
            "its location has no repository, or access is denied",
        ),
    ],
)
def test_explanation_names_the_setting_to_check(
    definition: GitDefinition, output: str, shown: str
) -> None:
    assert explain(output, definition) == shown


@pytest.mark.parametrize(
    ("definition", "output", "shown"),
    [
        (
            HTTPS,
            "fatal: unable to access 'https://git.example.org/team/set.git/': Empty reply",
            "unable to access the repository: Empty reply",
        ),
        (
            SCP,
            f"ERROR: git.example.org is closed for the day\n{UNREAD}",
            "ERROR: the host is closed for the day",
        ),
        (
            SSH,
            f"kex_exchange_identification: read from git.example.org failed\n{UNREAD}",
            "kex_exchange_identification: read from the host failed",
        ),
        (HTTPS, "", "git failed"),
    ],
)
def test_other_output_of_git_is_without_the_address(
    definition: GitDefinition, output: str, shown: str
) -> None:
    assert explain(output, definition) == shown
