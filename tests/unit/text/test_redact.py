"""Secrets in whatever form programs print them; and what only looks like one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text.redact import without_credentials

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJqb2UifQ.c2lnbmF0dXJl"
# Of 76 characters.
KEY_LINE = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj+MzEfYyj/iWA"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://joe:hunter2@git.example/x", "https://***@git.example/x"),
        ("https://user:p@ss@host/x?by=a@b", "https://***@host/x?by=a@b"),
        ("ssh://git@host/x", "ssh://***@host/x"),
        ("https://h/x?private_token=abc&ref=main", "https://h/x?private_token=***&ref=main"),
        ("https://h/x?X-Amz-Signature=0a1b&y=z", "https://h/x?X-Amz-Signature=***&y=z"),
        ('{"password": "hunter2"}', '{"password": ***}'),
        (r"{\"password\": \"hunter2\"}", r"{\"password\": ***}"),
        (r'{"password":"hun\"ter2","user":"joe"}', '{"password":***,"user":"joe"}'),
        ("'clientSecret' => 'hunter2'", "'clientSecret' => ***"),
        ('{"auths":{"ghcr.io":{"auth":"am9lOnB3"}}}', '{"auths":{"ghcr.io":{"auth":***}}}'),
        ("//registry.npmjs.org/:_authToken=abc", "//registry.npmjs.org/:_authToken=***"),
        ("AWS_SECRET_ACCESS_KEY=wJal/rXU+tn x", "AWS_SECRET_ACCESS_KEY=*** x"),
        ("AccountKey=abc==;EndpointSuffix=x", "AccountKey=***;EndpointSuffix=x"),
        ("api_key=abc, apikey: abc", "api_key=***, apikey: ***"),
        ("X-Api-Key: abc", "X-Api-Key: ***"),
        ("password: swordfish", "password: ***"),
        (
            "accessToken: abc, AWS_SECRET_ACCESS_KEY: abc",
            "accessToken: ***, AWS_SECRET_ACCESS_KEY: ***",
        ),
        ("secret-key: abc, secrets:abc", "secret-key: ***, secrets:***"),
        ("MYSQL_PWD=a DB_PASS=b PGPASSWORD=c", "MYSQL_PWD=*** DB_PASS=*** PGPASSWORD=***"),
        ("db_passwd := 'a b c'; user", "db_passwd := ***; user"),
        ("--password hunter2 --user joe", "--password *** --user joe"),
        ("--db-password 'a b' -token abc", "--db-password *** -token ***"),
        ("curl -u joe:hunter2 x", "curl -u joe:*** x"),
        ("machine h login joe password hunter2", "machine h login joe password ***"),
        ("Authorization: Bearer abc", "Authorization: ***"),
        ("-H 'Authorization: Token abc' x", "-H 'Authorization: ***' x"),
        ("Proxy-Authorization: Basic am9l", "Proxy-Authorization: ***"),
        ("with bearer abcdefgh.ijkl", "with bearer ***"),
        ("Set-Cookie: session=abc; path=/ x", "Set-Cookie: *** x"),
        ("access-tokens = github.com=ghp_0123456789", "access-tokens = ***"),
        ("remote: ghp_0123456789 is rejected", "remote: *** is rejected"),
        ("github_pat_11AB_cd, glpat-ab_cd-ef", "***, ***"),
        ("xoxb-123-abc AKIAIOSFODNN7EXAMPLE", "*** ***"),
        (f"got {JWT} here", "got *** here"),
        (
            "a -----BEGIN RSA PRIVATE KEY----- MIIE/x -----END RSA PRIVATE KEY----- b",
            "a *** PRIVATE KEY b",
        ),
        ("-----BEGIN OPENSSH PRIVATE KEY----- b3BlbnNzaC1", "*** PRIVATE KEY"),
        (f"cache.example-1:{'aB3+' * 21}aB==", "cache.example-1:***"),
        ("password='never ends", "password=***"),
        # Lines of keys: PEM's, OpenSSH's, MIME's.
        *((f"x> {line}", "x> ***") for line in (KEY_LINE, KEY_LINE[:70], KEY_LINE[:64] + "==")),
    ],
)
def test_secrets_are_struck_out_and_nothing_else(text: str, shown: str) -> None:
    assert without_credentials(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "no such package: password-store (did you mean passwordsafe?)",
        "/nix/store/abc-libsecret-0.20.drv failed: make: *** [all] Error 2",
        "libsecret: syntax error, jsonwebtoken: no such file, secrets: unable to download",
        "password-store: cannot be evaluated, tokenizers: infinite recursion",
        "jsonwebtoken-1.0 has the unfree licence own; the setting allow_unfree decides",
        "syntax error, unexpected token ')' at x.nix:3",
        "remote: HTTP Basic: Access denied",
        "basic authentication failed, and so did Basic Authentication",
        "path lacks a signature by a trusted key",
        f"trusted-public-keys = cache.example-1:{'a' * 43}=",
        "hash mismatch: specified: sha256-AAAA+BBB/CC= got: sha256-DDDD=",
        "glibc-2.36-locales, ghostscript_fonts, eyJ",
        "joe@example.org",
        "https://example.org/@scope/package",
        "PWD=/build TOKENS",
        f"sha256:{'0a1b' * 16} {'0a1b' * 16} Hello",
        f"sha512-{KEY_LINE}{KEY_LINE[:10]}==",
        f"/{'Some/Directory/' * 5}",
        "login failed: no password given",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert without_credentials(text) == text


SECRETS = st.text(
    st.characters(categories=["L", "N"], include_characters="!#$%()*+-./:<>?@[]^_`{|}~"),
    min_size=1,
).map(lambda text: f"hunter2{text}2retnuh")


@pytest.mark.slow
@given(SECRETS, st.sampled_from(["password={}", '"token": "{}"', "--secret {}", "API_KEY: '{}'"]))
def test_whatever_a_secret_is_made_of_it_is_struck_out(secret: str, form: str) -> None:
    shown = without_credentials("a " + form.replace("{}", secret) + " b")

    assert "hunter2" not in shown
    assert "2retnuh" not in shown
    assert shown.startswith("a ")
    assert shown.endswith(" b")
