/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/osprey/keys/kept.h"

#include <stdio.h>

#define NAME_BYTES 16           /* of the key in a file name */
#define NAME_CAP 64
#define MADE_MAX 448            /* bytes that osp_recipe_write() may write */
#define SUFFIX ".edhoc"

static void
name_of(const uint8_t key[OSPREY_KEPT_KEY], char name[NAME_CAP])
{
    char hex[2 * NAME_BYTES + 1];

    osp_hex_encode(osp_slice(key, NAME_BYTES), hex, sizeof(hex));
    snprintf(name, NAME_CAP, "%s" SUFFIX, hex);
}

/* Decodes a record; false: it is damaged. */
static bool
parse(const char *text, uint8_t bytes[MADE_MAX], size_t *n)
{
    char hex[2 * MADE_MAX + 1] = "";
    int  used = 0;
    bool ok = sscanf(text, "osprey-edhoc 1\nmade %896[0-9a-f]\nend\n%n", hex, &used) == 1 && used > 0 && text[used] == '\0' &&
              osp_hex_decode(osp_slice_str(hex), bytes, MADE_MAX, n);

    osp_wipe(hex, sizeof(hex));
    return ok;
}

static enum osp_err
load(struct osprey_state *s, const char *name, struct osp_recipe **out)
{
    char          text[OSPREY_TEXT_MAX];
    uint8_t       bytes[MADE_MAX];
    size_t        n = 0;
    struct osp_rd r;
    enum osp_err  e = osprey_state_get(s, name, text);

    if (e != OSP_OK)
        return e;
    if (parse(text, bytes, &n)) {
        r = osp_rd_from(osp_slice(bytes, n));
        e = osp_recipe_read(&r, out);
        if (e != OSP_OK && e != OSP_E_NOMEM)
            e = OSP_E_NOT_FOUND;
    } else {
        e = OSP_E_NOT_FOUND;    /* the caller makes new keys */
    }
    osp_wipe(text, sizeof(text));
    osp_wipe(bytes, sizeof(bytes));
    return e;
}

enum osp_err
osprey_kept_get(struct osprey_state *s, const uint8_t key[OSPREY_KEPT_KEY], struct osp_recipe **out)
{
    char name[NAME_CAP];

    name_of(key, name);
    return load(s, name, out);
}

enum osp_err
osprey_kept_put(struct osprey_state *s, const uint8_t key[OSPREY_KEPT_KEY], const struct osp_recipe *m)
{
    char          text[OSPREY_TEXT_MAX], hex[2 * MADE_MAX + 1], name[NAME_CAP];
    uint8_t       bytes[MADE_MAX];
    struct osp_wr w = osp_wr_to(bytes, sizeof(bytes));
    enum osp_err  e = OSP_E_STORE;

    name_of(key, name);
    osp_recipe_write(m, &w);
    if (!osp_wr_bad(&w)) {
        osp_hex_encode(osp_wr_slice(&w), hex, sizeof(hex));
        snprintf(text, sizeof(text), "osprey-edhoc 1\nmade %s\nend\n", hex);
        e = osprey_state_put(s, name, text);
    }
    osp_wipe(text, sizeof(text));
    osp_wipe(hex, sizeof(hex));
    osp_wipe(bytes, sizeof(bytes));
    return e;
}

struct search { struct osprey_state *state; struct osp_slice id; bool found; };

static bool
compare(void *ctx, const char *name)
{
    struct search     *q = ctx;
    struct osp_recipe *m = NULL;

    if (load(q->state, name, &m) != OSP_OK)
        return true;
    q->found = osp_slice_eq(osp_octx_recipient_id(m->octx), q->id);
    osp_recipe_free(m);
    return !q->found;
}

bool
osprey_kept_has_id(struct osprey_state *s, struct osp_slice recipient_id)
{
    struct search q = { s, recipient_id, false };

    return osprey_state_each(s, SUFFIX, compare, &q) != OSP_OK || q.found;
}
