/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/osprey/show.h"

#include "msg/option.h"

static const char *const method_names[] = { NULL, "GET", "POST", "PUT", "DELETE", "FETCH", "PATCH", "iPATCH" };

const char *
osprey_method_name(uint8_t code)
{
    return code < sizeof(method_names) / sizeof(method_names[0]) ? method_names[code] : NULL;
}

void
osprey_show_code(FILE *to, uint8_t code)
{
    const char *method = osprey_method_name(code), *phrase = NULL;
    char        text[8];

    osp_code_print(code, text, &phrase);
    if (method)
        fprintf(to, "%s %s", text, method);
    else
        fprintf(to, "%s%s%s", text, phrase ? " " : "", phrase ? phrase : "");
}

/* ---- bytes ---- */

/* Length of the UTF-8 character at the beginning; 0: it is not UTF-8 [rfc3629#4]. */
static size_t
utf8_length(struct osp_slice s)
{
    uint8_t  b = s.n ? s.p[0] : 0xff;
    size_t   n = b < 0x80 ? 1 : b >= 0xc2 && b < 0xe0 ? 2 : b >= 0xe0 && b < 0xf0 ? 3 : b >= 0xf0 && b < 0xf5 ? 4 : 0;
    uint32_t v = n == 1 ? b : n == 2 ? b & 0x1fu : n == 3 ? b & 0x0fu : b & 0x07u;

    if (n == 0 || n > s.n)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((s.p[i] & 0xc0) != 0x80)
            return 0;
        v = v << 6 | (s.p[i] & 0x3fu);
    }
    if ((n == 3 && (v < 0x800 || (v >= 0xd800 && v < 0xe000))) || (n == 4 && (v < 0x10000 || v > 0x10ffff)))
        return 0;
    return n;
}

bool
osprey_is_utf8(struct osp_slice s)
{
    while (s.n > 0) {
        size_t n = utf8_length(s);

        if (n == 0)
            return false;
        s = osp_slice_tail(s, n);
    }
    return true;
}

static void
put_hex(FILE *to, struct osp_slice s)
{
    for (size_t i = 0; i < s.n; i++)
        fprintf(to, "%02x", s.p[i]);
}

/* Writes bytes in hexadecimal, 32 to a line, indented. */
static void
put_dump(FILE *to, const char *what, struct osp_slice s)
{
    if (s.n == 0)
        return;
    for (size_t i = 0; i < s.n; i += 32) {
        fprintf(to, "      %-11s", i == 0 ? what : "");
        put_hex(to, osp_slice_head(osp_slice_tail(s, i), 32));
        fputc('\n', to);
    }
}

static bool
is_printable(struct osp_slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    return osprey_is_utf8(s);
}

static void
put_value(FILE *to, uint16_t num, struct osp_slice v)
{
    const struct osp_opt_def *def = osp_opt_def(num);
    uint32_t                  n;

    if (def && def->format == OSP_FMT_UINT && osp_opt_uint(v, &n)) {
        fprintf(to, "%u", (unsigned)n);
    } else if (def && def->format == OSP_FMT_STRING && is_printable(v)) {
        fwrite(v.p, 1, v.n, to);
    } else if (v.n == 0) {
        fputs("empty", to);
    } else {
        put_hex(to, v);
    }
}

void
osprey_show_options(FILE *to, const struct osp_msg *m, const uint8_t *classes, bool encrypted)
{
    bool first = true;

    for (size_t i = 0; i < m->opt_count; i++) {
        const struct osp_opt_def *def = osp_opt_def(m->opts[i].num);
        bool                      inner = classes && (classes[i] == OSP_OPT_CLASS_E || classes[i] == OSP_OPT_CLASS_E_AND_U);

        if (classes && inner != encrypted)
            continue;
        fputs(first ? "" : ", ", to);
        if (def)
            fprintf(to, "%s: ", def->name);
        else
            fprintf(to, "option %u: ", (unsigned)m->opts[i].num);
        put_value(to, m->opts[i].num, m->opts[i].val);
        first = false;
    }
    if (first)
        fputs("nothing", to);
}

/* ---- one layer ---- */

static const char *
peer_words(const struct osprey_step *s)
{
    switch (s->ends.role) {
    case OSP_LAYER_TO_SERVER:
        return "end to end with the origin";
    case OSP_LAYER_TO_PROXY:
        return s->ends.is_next_hop ? "with the nearest proxy" : "with a proxy further on";
    case OSP_LAYER_RELAY:
        break;
    }
    return "relayed";
}

static void
show_oscore_option(FILE *to, const struct osp_msg *m)
{
    const struct osp_opt *o = osp_msg_get(m, OSP_OPT_OSCORE);
    struct osp_oscore_opt f;

    if (!o || osp_oscore_opt_parse(o->val, &f) != OSP_OK) {
        fputs("  OSCORE option unreadable", to);
        return;
    }
    if (f.has_kid_context) {
        fputs("  kid context ", to);
        put_hex(to, f.kid_context);
    }
    if (f.has_kid) {
        fputs("  kid ", to);
        put_hex(to, f.kid);
    }
    fputs("  Partial IV ", to);
    if (f.piv.n)
        put_hex(to, f.piv);
    else
        fputs("of the request", to);
}

static void
show_message(FILE *to, const struct osp_msg *m, unsigned level)
{
    fputs("      inside: ", to);
    osprey_show_code(to, m->code);
    fprintf(to, ", %zu bytes of payload; ", m->payload.n);
    osprey_show_options(to, m, NULL, false);
    fputc('\n', to);
    if (level > 1)
        put_dump(to, "payload", m->payload);
}

static void
show_on(FILE *to, const struct osprey_step *s, unsigned level)
{
    fprintf(to, "  + layer %zu on, context \"%s\", %s:", s->level + 1, s->sec->name, peer_words(s));
    show_oscore_option(to, s->after);
    fputs("\n      encrypted: ", to);
    osprey_show_code(to, s->before->code);
    fputs("; ", to);
    osprey_show_options(to, s->before, s->classes, true);
    fprintf(to, "; %zu bytes of payload\n      stays visible: ", s->before->payload.n);
    osprey_show_options(to, s->before, s->classes, false);
    fprintf(to, "\n      %zu bytes became %zu, of which %zu ciphertext\n", osp_msg_size_udp(s->before),
            osp_msg_size_udp(s->after), s->after->payload.n);
    if (level > 1)
        put_dump(to, "ciphertext", s->after->payload);
}

/* Shows the options that stay readable outside of the layer. */
static void
show_outside(FILE *to, const struct osp_msg *m)
{
    uint8_t classes[OSP_MSG_OPTS_MAX];

    if (m->opt_count < 2)
        return;
    for (size_t i = 0; i < m->opt_count; i++)
        classes[i] = m->opts[i].num == OSP_OPT_OSCORE ? OSP_OPT_CLASS_E : OSP_OPT_CLASS_U;
    fputs("      visible beside it: ", to);
    osprey_show_options(to, m, classes, false);
    fputc('\n', to);
}

static void
show_off(FILE *to, const struct osprey_step *s, unsigned level)
{
    fprintf(to, "  - layer %zu off, context \"%s\", %s:", s->level + 1, s->sec->name, peer_words(s));
    show_oscore_option(to, s->before);
    fputc('\n', to);
    show_outside(to, s->before);
    if (s->err != OSP_OK)
        fprintf(to, "      DOES NOT VERIFY: %s\n", osp_err_text(s->err));
    else
        show_message(to, s->after, level);
}

void
osprey_show_step(void *ctx, const struct osprey_step *s)
{
    const struct osprey_show *show = ctx;

    if (show->level == 0)
        return;
    if (s->on)
        show_on(show->to, s, show->level);
    else
        show_off(show->to, s, show->level);
}

void
osprey_show_wire(void *ctx, bool out, const struct osp_addr *peer, struct osp_slice datagram)
{
    static const char *const  types[] = { "CON", "NON", "ACK", "RST" };
    const struct osprey_show *show = ctx;
    struct osp_msg            m;
    bool                      header_ok;
    char                      text[OSP_ADDR_TEXT_MAX];

    if (show->level == 0)
        return;
    osp_addr_print(peer, text, sizeof(text));
    fprintf(show->to, "%s %zu bytes %s %s: ", out ? ">>" : "<<", datagram.n, out ? "to" : "from", text);
    if (osp_msg_decode_udp(datagram, &m, &header_ok) == OSP_OK) {
        fprintf(show->to, "%s ", types[m.type & 3]);
        osprey_show_code(show->to, m.code);
        fputs("; ", show->to);
        osprey_show_options(show->to, &m, NULL, false);
        fprintf(show->to, "; %zu bytes of payload\n", m.payload.n);
    } else {
        fputs("not a CoAP message\n", show->to);
    }
    if (show->level > 1)
        put_dump(show->to, "datagram", datagram);
}

/* ---- JSON ---- */

void
osprey_json_hex(FILE *to, struct osp_slice s)
{
    fputc('"', to);
    put_hex(to, s);
    fputc('"', to);
}

void
osprey_json_string(FILE *to, struct osp_slice s)
{
    fputc('"', to);
    while (s.n > 0) {
        size_t  n = utf8_length(s);
        uint8_t b = s.p[0];

        if (n == 0 || b < 0x20 || b == 0x7f)
            fprintf(to, "\\u%04x", b);
        else if (b == '"' || b == '\\')
            fprintf(to, "\\%c", b);
        else
            fwrite(s.p, 1, n, to);
        s = osp_slice_tail(s, n ? n : 1);
    }
    fputc('"', to);
}

void
osprey_json_options(FILE *to, const struct osp_msg *m, uint16_t but)
{
    bool first = true;

    fputc('[', to);
    for (size_t i = 0; i < m->opt_count; i++) {
        const struct osp_opt_def *def = osp_opt_def(m->opts[i].num);
        uint32_t                  n;

        if (m->opts[i].num == but)
            continue;
        fprintf(to, "%s{\"number\":%u,\"name\":", first ? "" : ",", (unsigned)m->opts[i].num);
        if (def)
            osprey_json_string(to, osp_slice_str(def->name));
        else
            fputs("null", to);
        fputs(",\"value\":", to);
        if (def && def->format == OSP_FMT_UINT && osp_opt_uint(m->opts[i].val, &n))
            fprintf(to, "%u", (unsigned)n);
        else if (def && def->format == OSP_FMT_STRING)
            osprey_json_string(to, m->opts[i].val);
        else
            osprey_json_hex(to, m->opts[i].val);
        fputc('}', to);
        first = false;
    }
    fputc(']', to);
}
