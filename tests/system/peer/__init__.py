# SPDX-License-Identifier: BSD-2-Clause
"""
An OSCORE peer that shares no code with lib/: CoAP codec, OSCORE over `cryptography`, sockets with a small message
layer.  Written from the RFCs; two implementations that agree byte for byte are the point of it.
"""
