# SPDX-License-Identifier: BSD-2-Clause
"""What --check refuses, and that it names the place: file, line, column, key, and what would be right."""
import os
import re

import pytest

from daemon import edhoc_file, run, write_private
from peer.edhoc_cred import Credential

SECRET = "0102030405060708090a0b0c0d0e0f10"
OTHER = "1112131415161718191a1b1c1d1e1f20"


def context(name="a", secret=SECRET, sender="50", recipient="20", more=""):
    return f"""  - name: {name}
    master-secret: {{ hex: "{secret}" }}
    sender-id: {{ hex: "{sender}" }}
    recipient-id: {{ hex: "{recipient}" }}
{more}"""


HEAD = """listen: [ "coap://127.0.0.1:5683" ]
state: state
"""


def check(workdir, text, mode=0o600):
    path = os.path.join(workdir, "osprey.yaml")
    os.makedirs(os.path.join(workdir, "state"), exist_ok=True)
    write_private(path, text)
    os.chmod(path, mode)
    return run("-c", path, "--check", cwd=workdir)


def refused(workdir, text, line, *words, mode=0o600):
    """Refused, by a message for `line` that holds all of `words`."""
    status, _, err = check(workdir, text, mode)
    assert status == 1, "it was accepted"
    at = [e for e in err.splitlines() if re.search(rf"osprey\.yaml:{line}:\d+: ", e)]
    assert at, f"no message for line {line} in:\n{err}"
    assert any(all(w in e for w in words) for e in at), err
    return err


def line_of(text, mark, nth=1):
    """The number of the nth line that holds `mark`."""
    return [n for n, line in enumerate(text.splitlines(), 1) if mark in line][nth - 1]


def test_a_good_file_is_accepted(workdir):
    status, out, err = check(workdir, HEAD + "contexts:\n" + context())
    assert (status, out, err) == (0, "", "")


def test_an_unknown_key(workdir):
    text = HEAD + "forward-proxi: { enabled: true }\n"
    refused(workdir, text, 3, "forward-proxi", "forward-proxy")
    text = HEAD + "limits:\n  exchanges: 10\n  exchange: 5\n"
    refused(workdir, text, 5, "exchange")


def test_a_key_twice(workdir):
    refused(workdir, HEAD + "state: other\n", 3, "state")


def test_a_duplicate_kid_and_kid_context(workdir):
    text = HEAD + "contexts:\n" + context("a") + context("b", OTHER)
    refused(workdir, text, "|".join(map(str, range(line_of(text, "name: b"), len(text.splitlines()) + 1))).join("()"), "a")
    more = '    id-context: { hex: "aa" }\n'
    text = HEAD + "contexts:\n" + context("a", more=more) + context("b", OTHER, more=more)
    status, _, err = check(workdir, text)
    assert status == 1 and "id-context" in err or "recipient-id" in err
    assert check(workdir, HEAD + "contexts:\n" + context("a") + context("b", OTHER, more=more))[0] == 0


def test_two_contexts_that_would_share_a_sender_key(workdir):
    text = HEAD + "contexts:\n" + context("a", recipient="20") + context("b", recipient="21")
    status, _, err = check(workdir, text)
    assert status == 1 and re.search(r"osprey\.yaml:\d+:\d+: ", err)


def test_an_id_too_long_for_the_aead(workdir):
    text = HEAD + "contexts:\n" + context(recipient="0102030405060708")
    refused(workdir, text, f"({line_of(text, 'name: a')}|{line_of(text, 'recipient-id')})", "recipient-id", "7")
    text = HEAD + "contexts:\n" + context(sender="0102", more="    aead: AES-CCM-64-64-128\n")
    refused(workdir, text, f"({line_of(text, 'name: a')}|{line_of(text, 'sender-id')})", "sender-id", "1")


def test_equal_ids(workdir):
    text = HEAD + "contexts:\n" + context(sender="20", recipient="20")
    status, _, err = check(workdir, text)
    assert status == 1 and "recipient-id" in err


def test_a_secret_too_short(workdir):
    text = HEAD + "contexts:\n" + context(secret="0102")
    refused(workdir, text, f"({line_of(text, 'name: a')}|{line_of(text, 'master-secret')})", "master-secret", "16")


def test_a_key_file_that_others_can_read(workdir):
    text = HEAD + "contexts:\n" + context().replace(f'{{ hex: "{SECRET}" }}', "{ file: key }")
    key = write_private(os.path.join(workdir, "key"), SECRET)
    assert check(workdir, text)[0] == 0
    for mode in (0o640, 0o604, 0o660, 0o666):
        os.chmod(key, mode)
        refused(workdir, text, line_of(text, "file: key"), "key", "chmod")
    os.remove(key)
    refused(workdir, text, line_of(text, "file: key"), "key")


def test_inline_secrets_in_a_file_that_others_can_read(workdir):
    text = HEAD + "contexts:\n" + context()
    status, _, err = check(workdir, text, mode=0o644)
    assert status == 1 and "osprey.yaml" in err


@pytest.mark.parametrize("first, second", [
    ("path: /a/*", "path: /a/*"),
    ("path: /a", "path: /a"),
    ("host: h.example", "host: H.example"),
    ("host: h.example, path: /a/*", "host: h.example, path: /a/*"),
])
def test_overlapping_routes(workdir, first, second):
    text = HEAD + f"""routes:
  - name: one
    match: {{ {first} }}
    upstream: {{ uri: "coap://192.0.2.1" }}
  - name: two
    match: {{ {second} }}
    upstream: {{ uri: "coap://192.0.2.2" }}
"""
    err = refused(workdir, text, "[5-7]", "one")
    assert "two" in err or "routes" in err
    apart = text.replace(f"name: two\n    match: {{ {second} }}", "name: two\n    match: { host: other.example, path: /b/* }")
    assert apart != text and check(workdir, apart)[0] == 0


def test_names_that_lead_nowhere(workdir):
    text = HEAD + """clients:
  - match: { context: nobody }
    allow: [ "route nowhere" ]
upstreams:
  - match: "coap://x.example"
    context: nobody
"""
    status, _, err = check(workdir, text)
    assert status == 1
    assert all(any(f":{n}:" in e for e in err.splitlines()) for n in (4, 5, 8)), err


def test_all_errors_come_in_one_run(workdir):
    text = HEAD + """limits: { exchanges: 0, response-timeout: 300s }
workers: many
bogus: 1
"""
    status, _, err = check(workdir, text)
    assert status == 1
    lines = err.strip().splitlines()
    assert len(lines) == 4, err
    assert all(re.match(r"\S*osprey\.yaml:\d+:\d+: \S", e) for e in lines)


def test_contexts_without_a_state_directory(workdir):
    text = 'listen: [ "coap://127.0.0.1:5683" ]\ncontexts:\n' + context()
    status, _, err = check(workdir, text)
    assert status == 1 and "state" in err


def test_what_this_version_does_not_do_is_refused_and_not_ignored(workdir):
    for line in ("edhoc: { methods: [0] }", "cache: { sise: 64MiB }"):
        status, _, err = check(workdir, HEAD + line + "\n")
        assert status == 1 and ":3:" in err
    text = 'listen: [ "coap+tcp://127.0.0.1:5683" ]\n'
    status, _, err = check(workdir, text)
    assert status == 1 and "coap+tcp" in err


@pytest.mark.parametrize("curve, suites, good", [("P-256", "[ 0, 4 ]", False), ("P-256", "[ 0, 5 ]", True), ("P-256", 6, True),
                                                 ("Ed25519", "[ 2, 6 ]", False), ("X25519", 6, True), ("X25519", 3, False)])
def test_suites_without_a_key_for_them_are_refused(workdir, curve, suites, good):
    edhoc_file(workdir, [("me", Credential.new(curve, kid=b"\x01"))], [])
    text = HEAD + f"edhoc:\n  credentials: edhoc.yaml\n  suites: {suites}\n"
    if good:
        assert check(workdir, text)[0] == 0
    else:
        refused(workdir, text, 5, "no own credential has a key")


@pytest.mark.parametrize("text", ["", "listen: [", "- a\n- b\n", "listen: &a [ *a ]\n", "\0", "listen: [ 'coap://127.0.0.1' ]\n\tx: 1\n",
                                  "a: " * 2000, "[" * 5000, "x" * 100000])
def test_no_yaml_at_all(workdir, text):
    status, _, err = check(workdir, text)
    assert status == 1 and err and len(err) < 100000


def test_dump_loads_back_to_itself(workdir):
    text = HEAD + "contexts:\n" + context() + 'clients:\n  - match: { context: "a*" }\n    allow: [ "forward coap://*.example" ]\n'
    assert check(workdir, text)[0] == 0
    path = os.path.join(workdir, "osprey.yaml")
    _, masked, _ = run("-c", path, "--dump", cwd=workdir)
    _, full, _ = run("-c", path, "--dump", "--secrets", cwd=workdir)
    assert SECRET not in masked and SECRET in full
    write_private(path, full)
    assert run("-c", path, "--dump", "--secrets", cwd=workdir)[1] == full
    assert run("-c", path, "--check", cwd=workdir)[0] == 0
