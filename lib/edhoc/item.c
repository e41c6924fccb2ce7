/* SPDX-License-Identifier: BSD-2-Clause */
#include "edhoc/item.h"

#include "cbor/enc.h"

/* ---- identifiers ---- */

/* 0x00 to 0x17 encode 0 to 23, 0x20 to 0x37 encode -1 to -24. */
static bool
is_int(struct osp_slice id)
{
    return id.n == 1 && (id.p[0] & 0xdf) <= 0x17 && id.p[0] < 0x40;
}

void
osp_edhoc_bstr_put(struct osp_wr *w, struct osp_slice id)
{
    if (is_int(id))             /* [rfc9528#3.3.2] the byte is the encoding of the int */
        osp_wr_put(w, id);
    else
        osp_cbor_put_bstr(w, id);
}

struct osp_slice
osp_edhoc_bstr(struct osp_cbor *c)
{
    struct osp_slice id;

    if (osp_cbor_peek(c) == OSP_CBOR_UINT || osp_cbor_peek(c) == OSP_CBOR_NINT) {
        id = osp_rd_take(&c->r, 1);
        if (!is_int(id))
            osp_rd_fail(&c->r);
    } else {
        id = osp_cbor_bstr(c);
        if (is_int(id))
            osp_rd_fail(&c->r);
    }
    return osp_cbor_bad(c) ? OSP_EMPTY : id;
}

/* ---- external authorization data ---- */

void
osp_edhoc_ead_put(struct osp_wr *w, const struct osp_edhoc_ead *item)
{
    int64_t label = (int64_t)item->label;

    if (label < 0)              /* not a label of the registry [rfc9528#10.5] */
        w->bad = true;
    osp_cbor_put_int(w, item->is_critical ? -label : label);
    if (item->has_value)
        osp_cbor_put_bstr(w, item->value);
}

void
osp_edhoc_pad(struct osp_wr *w, const uint8_t *random, size_t n)
{
    struct osp_edhoc_ead pad = { .has_value = true };

    while (n > 0 && !osp_wr_bad(w)) {
        size_t value = n - 1 <= 24 ? n - 2 : n - 1 <= 257 ? n - 3 : n - 4;

        if (n == 1 || n - 1 == 25 || n - 1 == 258) {    /* no length field gives exactly n, so an item without value goes first */
            osp_wr_u8(w, 0);
            n--;
            continue;
        }
        pad.value = osp_slice(random, value);
        osp_edhoc_ead_put(w, &pad);
        n = 0;
    }
}

static bool
is_known(uint64_t label, const uint64_t *known, size_t known_count)
{
    for (size_t i = 0; i < known_count; i++)
        if (known[i] == label)
            return true;
    return false;
}

static struct osp_edhoc_ead
next_item(struct osp_cbor *c)
{
    int64_t              label = osp_cbor_int(c);
    struct osp_edhoc_ead item = { .is_critical = label < 0, .has_value = osp_cbor_peek(c) == OSP_CBOR_BSTR };

    item.label = label < 0 ? (uint64_t)0 - (uint64_t)label : (uint64_t)label;
    if (item.has_value)
        item.value = osp_cbor_bstr(c);
    return item;
}

enum osp_err
osp_edhoc_ead_read(struct osp_slice field, const uint64_t *known, size_t known_count, struct osp_edhoc_eads *out)
{
    struct osp_cbor c = osp_cbor_from(field);
    struct osp_wr   w = osp_wr_to(out ? out->bytes : NULL, out ? sizeof(out->bytes) : 0);
    enum osp_err    e = OSP_OK;
    size_t          items = 0;

    if (out)
        out->count = 0;
    if (field.n > OSP_EDHOC_EAD_MAX)
        return OSP_E_TOO_LARGE;
    while (osp_cbor_peek(&c) != OSP_CBOR_END) {
        struct osp_edhoc_ead item = next_item(&c);
        size_t               at = w.n;

        if (osp_cbor_bad(&c))
            break;
        if (++items > OSP_EDHOC_EAD_ITEMS)
            return OSP_E_TOO_LARGE;
        if (item.label == 0)            /* [rfc9528#3.8.1] */
            continue;
        if (out && is_known(item.label, known, known_count)) {
            osp_wr_put(&w, item.value); /* always fits, since the whole field fits */
            item.value = osp_slice_tail(osp_wr_slice(&w), at);
            out->item[out->count++] = item;
        } else if (item.is_critical) {  /* [rfc9528#3.8] */
            e = OSP_E_EDHOC_EAD;
        }
    }
    return osp_cbor_done(&c) ? e : OSP_E_FORMAT;
}
