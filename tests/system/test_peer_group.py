# SPDX-License-Identifier: BSD-2-Clause
"""The Python peer's Group OSCORE against the vectors, byte for byte, so that it may judge the client and the daemon."""
import json
import pathlib

import pytest

from peer import coap, group, oscore
from peer.coap import MAX_AGE, OBSERVE, OSCORE
from peer.group import REQUEST_HASH, Group, UnsafeRequest
from peer.oscore import OscoreError

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors"
DET = json.loads((VECTORS / "deterministic-request.json").read_text())
PAIR = json.loads((VECTORS / "group-oscore-pairwise.json").read_text())
H = bytes.fromhex


def member(self_id=None, first=0):
    g = DET["group"]
    members = {H(i): H(m["auth_cred"]) for i, m in g["members"].items()}
    seed = H(g["members"][self_id]["ed25519_private"]) if self_id else None
    return Group(H(g["master_secret"]), H(g["master_salt"]), H(g["gid"]), H(g["gm_cred"]), H(g["det_sender_id"]), members,
                 H(self_id) if self_id else None, seed, g["alg_aead"], g["alg_group_enc"], first)


def plain_of(response):
    """The response before it was protected, with the header of the wire."""
    wire, plain = coap.decode(H(response["protected"])), H(response["plaintext"])
    options, payload = coap.decode_body(plain[1:])
    return wire.copy(code=plain[0], options=options, payload=payload)


# ---- keys ----

def test_keys():
    d, g = DET["group"]["derived"], member("25")
    assert g.common_iv.hex() == d["common_iv"]
    assert g.signature_key.hex() == d["signature_encryption_key"]
    assert {i: g.sender_key(H(i)).hex() for i in d["sender_keys"]} == d["sender_keys"]


def test_pairwise_keys():
    p, client, server = PAIR["pairwise"], member("25"), member("52")
    for g in (client, server):
        assert g.pairwise_key(H("25"), H("52")).hex() == p["client_to_server_key"]
        assert g.pairwise_key(H("52"), H("25")).hex() == p["server_to_client_key"]
    assert group.shared_secret(client.seed, group.key_of(client.members[H("52")])).hex() == p["shared_secret"]


@pytest.mark.parametrize("case", PAIR["shared_secret_kats"]["ed25519"], ids=lambda c: c["peer_public"][:8])
def test_shared_secrets(case):
    assert group.shared_secret(H(case["private"]), H(case["peer_public"])).hex() == case["shared_secret"]


def test_degenerate_keys_are_refused():
    for y in (1, group.PRIME - 1, group.PRIME):
        with pytest.raises(ValueError):
            group.montgomery(y.to_bytes(32, "little"))


@pytest.mark.parametrize("case", PAIR["option_examples"], ids=lambda c: f"{c['mode']}-{c['what']}")
def test_options(case):
    option = oscore.Option(piv=H(case["piv"]) or None, kid=None if case["kid"] is None else H(case["kid"]),
                           kid_context=None if case["kid_context"] is None else H(case["kid_context"]))
    signed = case["mode"] == "group"
    assert group.encode_option(option, signed).hex() == case["option"]
    assert group.decode_option(H(case["option"])) == (option, signed)


# ---- deterministic requests ----

@pytest.mark.parametrize("self_id", ["25", None], ids=["member", "guest"])
@pytest.mark.parametrize("case", DET["exchanges"], ids=lambda c: c["id"])
def test_deterministic_exchanges(case, self_id):
    q, a = case["request"], case["response"]
    client, server = member(self_id), member("52", a["sender_sequence_number"])
    made, layer = client.asking(H("52")).protect_request(coap.decode(H(q["unprotected"])))
    assert (layer.array.hex(), layer.plain.hex(), layer.hash.hex(), layer.key.hex()) == \
        (q["aad_array"], q["plaintext"], q["request_hash"], q["encryption_key"])
    assert group.encrypt_structure(layer.array).hex() == q["aad"]
    assert oscore.nonce(layer.kid, layer.piv, client.common_iv).hex() == q["nonce"]
    assert coap.encode(made).hex() == q["protected"]

    opened, at_server = server.answering().unprotect_request(made)
    assert coap.encode(opened).hex() == q["unprotected"]
    answer = at_server.protect_response(plain_of(a), kid=group.decode_option(H(a["oscore_option"]))[0].kid is not None)
    assert coap.encode(answer).hex() == a["protected"]
    assert (at_server.array.hex(), at_server.plain.hex(), at_server.key.hex()) == \
        (a["aad_array"], a["plaintext"], a["encryption_key"])
    piv = group.decode_option(answer.get(OSCORE))[0].piv
    assert server.keystream(H("52"), piv, False).hex() == a["signature_keystream"]
    assert answer.payload.hex() == a["ciphertext"] + a["encrypted_signature"]
    if "countersign_structure" in a:
        assert group.sign_structure(at_server.array, H(a["ciphertext"])).hex() == a["countersign_structure"]
        assert at_server.class_i.hex() == a["class_i_options"]

    got = layer.unprotect_response(answer)
    assert coap.encode(got) == coap.encode(plain_of(a).without(OBSERVE))
    with pytest.raises(OscoreError):
        layer.unprotect_response(answer)


def test_both_clients_open_what_the_proxy_kept():
    t = DET["through_proxy"]
    for q, a, self_id in zip(t["requests"], t["responses"], ("25", None)):
        c = q["ctx_c_p"]
        context = oscore.Context(H(c["master_secret"]), H(c["master_salt"]), H(c["client_sender_id"]), H(c["proxy_sender_id"]),
                                 first=q["client_sender_sequence_number"])
        wire = coap.decode(H(q["to_proxy"]))
        inside = coap.request(path="helloWorld").copy(type=wire.type, mid=wire.mid, token=wire.token)
        made, layers = oscore.protect(inside, member(self_id).asking(H("52")), [oscore.Hop(context)],
                                      [(coap.URI_HOST, b"example.com"), (coap.PROXY_SCHEME, b"coap")])
        assert coap.encode(made).hex() == q["to_proxy"]
        got = oscore.unprotect(coap.decode(H(a["to_client"])), layers)
        assert (got.dotted, got.payload, got.get(MAX_AGE)) == ("2.05", b". ID: 42", H("0e10"))


def test_what_the_server_refuses():
    forged, unsafe = DET["to_reject_at_server"]
    server = member("52")
    with pytest.raises(OscoreError, match="hash"):
        server.answering().unprotect_request(coap.decode(H(forged["protected"])))
    with pytest.raises(UnsafeRequest) as refused:
        server.answering().unprotect_request(coap.decode(H(unsafe["protected"])))
    assert refused.value.layer.protect_response(coap.response("4.01")).dotted == "2.05"


def test_nothing_changed_is_opened():
    client, server = member(), member("52")
    made, layer = client.asking(H("52")).protect_request(coap.request(path="t"))
    for i in range(len(made.payload)):
        bad = made.copy(payload=made.payload[:i] + bytes([made.payload[i] ^ 1]) + made.payload[i + 1:])
        with pytest.raises(OscoreError):
            server.answering().unprotect_request(bad)
    _, at_server = server.answering().unprotect_request(made)
    answer = at_server.protect_response(coap.response("2.05", b"22"))
    for i in range(len(answer.payload)):
        bad = answer.copy(payload=answer.payload[:i] + bytes([answer.payload[i] ^ 1]) + answer.payload[i + 1:])
        with pytest.raises(OscoreError):
            layer.unprotect_response(bad)
    with pytest.raises(OscoreError, match="Request-Hash"):
        layer.unprotect_response(answer.plus((REQUEST_HASH, bytes(32))))
    assert layer.unprotect_response(answer.plus((REQUEST_HASH, layer.hash))).payload == b"22"


def test_an_answer_of_another_server_is_refused():
    client, other = member(), member("25")
    made, layer = client.asking(H("52")).protect_request(coap.request(path="t"))
    _, at_server = other.answering().unprotect_request(made)
    for kid in (True, False):
        with pytest.raises(OscoreError):
            layer.unprotect_response(at_server.protect_response(coap.response("2.05", b"22"), kid=kid))


# ---- pairwise mode ----

def test_pairwise_messages():
    cases = {m["id"]: m for m in PAIR["messages"]}
    for case in cases.values():
        request = cases[case["to"]] if case["direction"] == "response" else case
        client, server = member("25", request["sender_sequence_number"]), member("52")
        asking = group.Asking(client, H("52"), deterministic=False)
        made, layer = asking.protect_request(coap.decode(H(request["unprotected"])))
        opened, at_server = server.answering().unprotect_request(made)
        if case is request:
            assert coap.encode(made).hex() == case["protected"]
            assert (layer.array.hex(), layer.plain.hex(), layer.key.hex()) == \
                (case["aad_array"], case["plaintext"], case["encryption_key"])
            assert coap.encode(opened).hex() == case["unprotected"]
            with pytest.raises(OscoreError, match="replay"):
                server.answering().unprotect_request(made)
            continue
        plain = coap.decode(H(case["unprotected"]))
        piv = None if case["partial_iv"] is None else H(case["partial_iv"])
        answer = at_server.protect_response(plain, kid=case["id"].endswith("with-kid"), piv=piv)
        assert coap.encode(answer).hex() == case["protected"]
        assert (at_server.array.hex(), at_server.key.hex()) == (case["aad_array"], case["encryption_key"])
        assert coap.encode(layer.unprotect_response(answer)) == coap.encode(plain)
