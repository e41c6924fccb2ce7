# SPDX-License-Identifier: BSD-2-Clause
"""One deterministic request and the response to it, made by the Python peer in the group of the vectors."""
import functools
import json

from stage import TESTS


@functools.cache
def exchange():
    """In hexadecimal: (datagram of the request, what follows the Token in the response, payload of the response)."""
    from peer import coap
    from peer.group import Group
    given = json.loads((TESTS / "vectors" / "deterministic-request.json").read_text())["group"]
    raw = bytes.fromhex
    members = {raw(i): raw(m["auth_cred"]) for i, m in given["members"].items()}
    group = Group(raw(given["master_secret"]), raw(given["master_salt"]), raw(given["gid"]), raw(given["gm_cred"]),
                  raw(given["det_sender_id"]), members, aead=given["alg_aead"], group_enc=given["alg_group_enc"])
    server = next(i for i, m in given["members"].items() if m.get("ed25519_private"))
    signer = group.as_member(raw(server), raw(given["members"][server]["ed25519_private"]))
    request, _ = group.asking(raw(server)).protect_request(coap.request(path="temperature"))
    _, layer = signer.answering().unprotect_request(request)
    response = layer.protect_response(coap.response("2.05", b"21.5 Cel"))
    return coap.encode(request).hex(), coap.encode_body(response.options, response.payload).hex(), response.payload.hex()
