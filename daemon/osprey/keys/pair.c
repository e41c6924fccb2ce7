/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/osprey/keys/pair.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/osprey/keys/credentials.h"
#include "daemon/osprey/keys/state.h"

#define PATH_CAP 1024
#define SECRET_LEN 16           /* bytes of a Master Secret; keys of the default AEAD are as long */
#define ID_LEN 4                /* random bytes of an ID, so that contexts made on different machines have different IDs */
#define FILES 3
#define TEXT_CAP 1024


static bool
complain(const char *what, const char *wrong)
{
    fprintf(stderr, "osprey: %s: %s\n", what, wrong);
    return false;
}

static bool
choose_ids(struct osprey_pair *p, struct osp_randbuf *rand)
{
    while (!p->has_sender_id || !p->has_recipient_id) {
        if (!p->has_sender_id)
            osp_randbuf_take(rand, p->sender_id, p->sender_id_len = ID_LEN);
        if (!p->has_recipient_id)
            osp_randbuf_take(rand, p->recipient_id, p->recipient_id_len = ID_LEN);
        if (!osp_slice_eq(osp_slice(p->sender_id, p->sender_id_len), osp_slice(p->recipient_id, p->recipient_id_len)))
            return true;
    }
    if (osp_slice_eq(osp_slice(p->sender_id, p->sender_id_len), osp_slice(p->recipient_id, p->recipient_id_len)))
        return complain("--recipient-id", "equals --sender-id: the two sides need different IDs"); /* [rfc8613#3.3] */
    return true;
}

static bool
path_of(const struct osprey_pair *p, const char *suffix, char path[PATH_CAP])
{
    char file[PATH_CAP];
    int  n = snprintf(file, sizeof(file), "%s.%s", p->name, suffix);

    return n > 0 && n < PATH_CAP ? osprey_path_join(path, PATH_CAP, p->dir, file) : complain(p->name, "too long");
}

/* Writes the file of one side.  The peer's file holds the secret itself, so that only this file goes to the other machine. */
static void
compose(const struct osprey_pair *p, bool is_peer, const char *secret_hex, char *text, size_t cap)
{
    char own[2 * OSP_OSCORE_ID_MAX + 1], other[2 * OSP_OSCORE_ID_MAX + 1], secret[128];

    osp_hex_encode(osp_slice(p->sender_id, p->sender_id_len), is_peer ? other : own, sizeof(own));
    osp_hex_encode(osp_slice(p->recipient_id, p->recipient_id_len), is_peer ? own : other, sizeof(own));
    if (is_peer)
        (void)snprintf(secret, sizeof(secret), "hex: \"%s\"", secret_hex);
    else
        (void)snprintf(secret, sizeof(secret), "file: %.64s.key", p->name);
    (void)snprintf(text, cap,
                   "%s%s%s\nname: %s\nmaster-secret: { %s }\nsender-id: { hex: \"%s\" }\nrecipient-id: { hex: \"%s\" }\n"
                   "fresh: true     # the keys were made with this file and never used before\n",
                   is_peer ? "# The peer's side of the OSCORE context \"" : "# Our side of the OSCORE context \"", p->name,
                   is_peer ? "\".  It holds the secret: only the peer may have it." : "\"; the peer's is in the .peer file.",
                   p->name, secret, own, other);
    osp_wipe(secret, sizeof(secret));
}

bool
osprey_pair_make(struct osprey_pair *p, struct osp_randbuf *rand)
{
    static const char *const suffixes[FILES] = { "key", "yaml", "peer" };
    uint8_t                  secret[SECRET_LEN];
    char                     hex[2 * SECRET_LEN + 1], text[FILES][TEXT_CAP], path[FILES][PATH_CAP];
    size_t                   made = 0;
    bool                     ok = true;

    if (!choose_ids(p, rand))
        return false;
    if (!osprey_dirs_make(p->dir))
        return complain(p->dir, strerror(errno));
    osp_randbuf_take(rand, secret, sizeof(secret));
    osp_hex_encode(osp_slice(secret, sizeof(secret)), hex, sizeof(hex));
    (void)snprintf(text[0], sizeof(text[0]), "%s\n", hex);
    compose(p, false, hex, text[1], sizeof(text[1]));
    compose(p, true, hex, text[2], sizeof(text[2]));
    for (size_t i = 0; i < FILES && ok; i++) {
        ok = path_of(p, suffixes[i], path[i]) && osprey_file_new(path[i], 0600, osp_slice_str(text[i]));
        made += ok;
    }
    for (size_t i = 0; i < made && !ok; i++)
        (void)unlink(path[i]);
    osp_wipe(secret, sizeof(secret));
    osp_wipe(hex, sizeof(hex));
    osp_wipe(text, sizeof(text));
    if (ok)
        printf("%s is our side, for ospreyd's `contexts` or osprey -E\n%s is for the peer alone: bring it there in secrecy, and "
               "delete it here\n", path[1], path[2]);
    return ok;
}
