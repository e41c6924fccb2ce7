/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The OSCORE files of libcoap's programs (option -E): lines of "keyword,encoding,value".
 *
 * Keywords that say how libcoap should behave are taken when they ask for what Osprey does anyway, and
 * refused otherwise: none is passed over.
 */
#include "config/schema.h"

#include "crypto/crypto.h"

enum encoding { ENC_ASCII = 1, ENC_HEX = 2, ENC_INTEGER = 4, ENC_BOOL = 8, ENC_TEXT = 16 };

static const struct { const char *name; enum encoding enc; } encodings[] = {
    { "ascii", ENC_ASCII }, { "hex", ENC_HEX }, { "integer", ENC_INTEGER }, { "bool", ENC_BOOL }, { "text", ENC_TEXT },
};

struct line {
    struct cfg_pos   pos;
    struct osp_slice keyword, value;
    enum encoding    enc;
};

struct conf {
    struct cfg_load    *l;
    struct cfg_context *c;
    unsigned            seen;           /* bit i: keywords[i] stood in the file */
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
line_error(struct conf *f, const struct line *line, const char *text)
{
    char            word[CFG_SHOW_MAX], show[CFG_SHOW_MAX];
    struct osp_slice k = osp_slice_head(line->keyword, sizeof(word) - 1);

    (void)osp_slice_copy(k, word, sizeof(word) - 1);
    word[k.n] = '\0';
    cfg_error_key(f->l, &line->pos, cfg_show(word, show), "%s", text);
}

/* ---- values ---- */

static void
take_bytes(struct conf *f, const struct line *line, struct cfg_bytes *out)
{
    uint8_t *copy;

    if (line->enc == ENC_HEX) {
        if (!cfg_decode_hex(f->l, line->value, out))
            line_error(f, line, "is not an even number of hexadecimal digits");
        return;
    }
    copy = cfg_get(f->l, line->value.n + 1);
    if (!copy)
        return;
    (void)osp_slice_copy(line->value, copy, line->value.n);
    *out = (struct cfg_bytes){ copy, line->value.n };
}

static void
take_secret(struct conf *f, const struct line *line)
{
    f->c->master_secret.from = CFG_FROM_HEX;
    take_bytes(f, line, &f->c->master_secret.value);
    cfg_check_inline_secret(f->l, &line->pos, &(struct cfg_path){ NULL, "master_secret", 0 });
}

static void
take_salt(struct conf *f, const struct line *line)
{
    f->c->master_salt.from = CFG_FROM_HEX;
    take_bytes(f, line, &f->c->master_salt.value);
}

static void
take_sender_id(struct conf *f, const struct line *line)
{
    take_bytes(f, line, &f->c->sender_id);
}

static void
take_recipient_id(struct conf *f, const struct line *line)
{
    take_bytes(f, line, &f->c->recipient_id);
}

static void
take_id_context(struct conf *f, const struct line *line)
{
    f->c->has_id_context = true;
    take_bytes(f, line, &f->c->id_context);
}

/* An algorithm by number or name; 0: there is no such algorithm. */
static int
algorithm(const struct line *line, int (*find)(const char *))
{
    char text[64];

    if (!osp_slice_copy(line->value, text, sizeof(text) - 1))
        return 0;
    text[line->value.n] = '\0';
    return find(text);
}

static void
take_aead(struct conf *f, const struct line *line)
{
    f->c->aead = algorithm(line, cfg_aead_of);
    if (f->c->aead == 0)
        line_error(f, line, "AEAD algorithm not supported");
}

static void
take_hkdf(struct conf *f, const struct line *line)
{
    f->c->hkdf = algorithm(line, cfg_hkdf_of);
    if (f->c->hkdf == 0)
        line_error(f, line, "HKDF algorithm not supported");
}

static bool
value_is(const struct line *line, const char *text)
{
    return osp_slice_eq(line->value, osp_slice_str(text));
}

static void
take_window(struct conf *f, const struct line *line)
{
    if (!value_is(line, "32"))
        line_error(f, line, "the replay window is always 32; take the line out");
}

/* How often libcoap saves its sequence number.  Here `lease.block` decides that, so any positive number is accepted. */
static void
take_ssn_freq(struct conf *f, const struct line *line)
{
    struct osp_slice v = line->value;

    while (v.n && v.p[0] >= '0' && v.p[0] <= '9')
        v = osp_slice_tail(v, 1);
    if (v.n > 0 || line->value.n == 0 || line->value.n > 10 || value_is(line, "0"))
        line_error(f, line, "is no positive number");
}

static void
take_b_1_2(struct conf *f, const struct line *line)
{
    if (!value_is(line, "true"))
        line_error(f, line, "has to be true: a replay window that may be out of date is always renewed with Echo");
}

static void
take_off(struct conf *f, const struct line *line)
{
    if (!value_is(line, "false"))
        line_error(f, line, "is not supported; has to be false");
}

static const struct keyword {
    const char *name;
    unsigned    encodings;
    void      (*take)(struct conf *f, const struct line *line);
} keywords[] = {
    { "master_secret", ENC_HEX | ENC_ASCII, take_secret },
    { "sender_id", ENC_HEX | ENC_ASCII, take_sender_id },
    { "recipient_id", ENC_HEX | ENC_ASCII, take_recipient_id },
    { "master_salt", ENC_HEX | ENC_ASCII, take_salt },
    { "id_context", ENC_HEX | ENC_ASCII, take_id_context },
    { "aead_alg", ENC_INTEGER | ENC_TEXT, take_aead },
    { "hkdf_alg", ENC_INTEGER | ENC_TEXT, take_hkdf },
    { "replay_window", ENC_INTEGER, take_window },
    { "ssn_freq", ENC_INTEGER, take_ssn_freq },
    { "rfc8613_b_1_2", ENC_BOOL, take_b_1_2 },
    { "rfc8613_b_2", ENC_BOOL, take_off },
    { "break_sender_key", ENC_BOOL, take_off },
    { "break_recipient_key", ENC_BOOL, take_off },
};
#define REQUIRED 3u             /* the first so many keywords are required */
#define RECIPIENT_ID 2u
#define SECOND_PEER                                                                                                       \
    "a second peer would use the same Sender Key with numbers of its own; give it a file, and a master_secret, of its own"

/* ---- lines ---- */

/* Takes the text before the first `c` off `s`, and the `c`; without a `c`, all of `s`. */
static struct osp_slice
take_until(struct osp_slice *s, uint8_t c)
{
    const uint8_t   *at = s->n ? memchr(s->p, c, s->n) : NULL;
    size_t           n = at ? (size_t)(at - s->p) : s->n;
    struct osp_slice head = osp_slice_head(*s, n);

    *s = osp_slice_tail(*s, n + 1);
    return head;
}

/* Takes a line, without its end.  Blanks belong to the value: libcoap keeps them, and a secret must be the one that it uses. */
static struct osp_slice
take_line(struct osp_slice *text)
{
    struct osp_slice one = take_until(text, '\n');

    if (one.n && one.p[one.n - 1] == '\r')
        one.n--;
    return one;
}

/* Takes the quotes off "value"; false: one of the two is missing. */
static bool
unquote(struct osp_slice *v)
{
    struct osp_slice rest;

    if (v->n == 0 || v->p[0] != '"')
        return true;
    rest = osp_slice_tail(*v, 1);
    if (rest.n == 0 || !memchr(rest.p, '"', rest.n))
        return false;
    *v = take_until(&rest, '"');
    return rest.n == 0;
}

/* Splits a line into its fields; returns NULL, or what is wrong with the line. */
static const char *
split(struct osp_slice text, struct line *out)
{
    struct osp_slice enc;

    out->keyword = take_until(&text, ',');
    enc = take_until(&text, ',');
    out->value = text;
    out->enc = 0;
    for (size_t i = 0; i < COUNT(encodings); i++) {
        if (osp_slice_eq(enc, osp_slice_str(encodings[i].name)))
            out->enc = encodings[i].enc;
    }
    if (out->enc == 0)
        return "has to be a line of the form keyword,encoding,value with ascii, hex, integer, bool or text for the encoding";
    return unquote(&out->value) ? NULL : "has quotes that do not match, or something behind them";
}

static void
read_line(struct conf *f, const struct line *line)
{
    for (size_t i = 0; i < COUNT(keywords); i++) {
        if (!osp_slice_eq(line->keyword, osp_slice_str(keywords[i].name)))
            continue;
        if (!(keywords[i].encodings & line->enc))
            line_error(f, line, "does not go with this encoding");
        else if (f->seen & 1u << i)
            line_error(f, line, i == RECIPIENT_ID ? SECOND_PEER : "stands here a second time");
        else
            keywords[i].take(f, line);
        f->seen |= 1u << i;
        return;
    }
    line_error(f, line, "unknown keyword");
}

/* The name of the file without directory and suffix, with "-" for what a name cannot hold. */
static char *
name_of(struct cfg_load *l)
{
    const char *slash = strrchr(l->source->file, '/');
    const char *base = slash ? slash + 1 : l->source->file, *dot = strrchr(base, '.');
    size_t      n = dot && dot > base ? (size_t)(dot - base) : strlen(base);
    char       *name = cfg_text(l, osp_slice(base, n < CFG_NAME_MAX ? n : CFG_NAME_MAX));

    for (size_t i = 0; name && name[i]; i++) {
        if (!cfg_is_name((char[]){ name[i], '\0' }))
            name[i] = '-';
    }
    return name;
}

void
cfg_read_libcoap_conf(struct cfg_load *l, struct osp_slice text, struct cfg_context_list *list)
{
    struct conf f = { .l = l };
    struct line line = { .pos = { l->source->file, 0, 1 } };

    f.c = cfg_context_append(l, list, &(struct cfg_pos){ l->source->file, 1, 1 });
    if (!f.c)
        return;
    f.c->name = name_of(l);
    f.c->aead = OSP_AES_CCM_16_64_128;
    f.c->hkdf = OSP_HKDF_SHA256;
    while (text.n > 0) {
        struct osp_slice one = take_line(&text);
        const char      *why;

        line.pos.line++;
        if (one.n == 0 || one.p[0] == '#')
            continue;
        why = split(one, &line);
        if (why)
            line_error(&f, &line, why);
        else
            read_line(&f, &line);
    }
    for (unsigned i = 0; i < REQUIRED; i++) {
        if (!(f.seen & 1u << i))
            cfg_error_key(l, &f.c->pos, keywords[i].name, "is missing");
    }
}

/* True if the first line that is neither empty nor a comment begins "keyword,": a line of YAML would have a colon. */
bool
cfg_is_libcoap_conf(struct osp_slice text)
{
    while (text.n > 0) {
        struct osp_slice one = take_line(&text);
        size_t           n = 0;

        if (one.n == 0 || one.p[0] == '#')
            continue;
        while (n < one.n && ((one.p[n] >= 'a' && one.p[n] <= 'z') || (one.p[n] >= '0' && one.p[n] <= '9') || one.p[n] == '_'))
            n++;
        return n > 0 && n < one.n && one.p[n] == ',';
    }
    return false;
}
