/* SPDX-License-Identifier: BSD-2-Clause */
/* One line for each request that the demo origin gets, as text or as JSON. */
#include <stdio.h>

#include "daemon/osprey/origin/origin.h"
#include "daemon/osprey/show.h"

static const char *
context_name(const struct origin *o, const struct osp_octx *c)
{
    uint32_t i = osp_octx_label(c);

    const char *made = origin_edhoc_name(o, i);

    return i < o->contexts.count ? o->contexts.items[i]->name : made ? made : "?";
}

static void
log_json(const struct origin *o, const struct osp_addr *peer, const struct osprey_served *sv, const struct osp_msg *req,
         uint8_t answer)
{
    char text[OSP_ADDR_TEXT_MAX], path[OSPREY_PATH_MAX], code[8];

    osp_addr_print(peer, text, sizeof(text));
    osp_code_print(o->wire.code, code, NULL);
    printf("{\"peer\":\"%s\",\"wire_code\":\"%s\",\"wire_options\":", text, code);
    osprey_json_options(stdout, &o->wire, 0);
    fputs(",\"layers\":[", stdout);
    for (size_t i = 0; i < sv->count; i++) {
        printf("%s{\"context\":", i ? "," : "");
        osprey_json_string(stdout, osp_slice_str(context_name(o, sv->layers[i].ctx)));
        fputs(",\"partial_iv\":", stdout);
        osprey_json_hex(stdout, osp_slice(sv->layers[i].piv, sv->layers[i].piv_len));
        fputc('}', stdout);
    }
    if (sv->group.group) {
        printf("%s{\"group\":", sv->count ? "," : "");
        osprey_json_hex(stdout, osp_group_gid(sv->group.group));
        printf(",\"deterministic\":%s,\"partial_iv\":", sv->group.mode == OSP_GROUP_DETERMINISTIC ? "true" : "false");
        osprey_json_hex(stdout, osp_slice(sv->group.piv, sv->group.piv_len));
        fputc('}', stdout);
    }
    fputs("],\"error\":", stdout);
    if (sv->err != OSP_OK)
        osprey_json_string(stdout, osp_slice_str(osp_err_name(sv->err)));
    else
        fputs("null", stdout);
    if (req) {
        osprey_path_print(req, path);
        osp_code_print(req->code, code, NULL);
        printf(",\"code\":\"%s\",\"path\":", code);
        osprey_json_string(stdout, osp_slice_str(path));
        fputs(",\"options\":", stdout);
        osprey_json_options(stdout, req, 0);
        printf(",\"payload_length\":%zu", req->payload.n);
    }
    osp_code_print(answer, code, NULL);
    printf(",\"answer\":\"%s\"}\n", code);
}

static void
log_text(const struct origin *o, const struct osp_addr *peer, const struct osprey_served *sv, const struct osp_msg *req,
         uint8_t answer)
{
    char text[OSP_ADDR_TEXT_MAX];

    osp_addr_print(peer, text, sizeof(text));
    printf("%s visible: ", text);
    osprey_show_code(stdout, o->wire.code);
    fputs("; ", stdout);
    osprey_show_options(stdout, &o->wire, NULL, false);
    for (size_t i = 0; i < sv->count; i++)
        printf(" | layer \"%s\" off", context_name(o, sv->layers[i].ctx));
    if (sv->group.group)
        printf(" | layer of the group off, %s", sv->group.mode == OSP_GROUP_DETERMINISTIC ? "deterministic" : "of a member");
    if (req && (sv->count || sv->group.group)) {
        fputs(" | ", stdout);
        osprey_show_code(stdout, req->code);
        fputs("; ", stdout);
        osprey_show_options(stdout, req, NULL, false);
    }
    if (sv->err != OSP_OK)
        printf(" | %s", osp_err_text(sv->err));
    fputs(" | answer ", stdout);
    osprey_show_code(stdout, answer);
    fputc('\n', stdout);
}

void
origin_log_request(const struct origin *o, const struct osp_addr *peer, const struct osprey_served *sv,
                   const struct osp_msg *req, uint8_t answer)
{
    if (o->json)
        log_json(o, peer, sv, req, answer);
    else if (o->log)
        log_text(o, peer, sv, req, answer);
}

void
origin_log_watch(const struct origin *o, const struct origin_watch *w, const char *what)
{
    char text[OSP_ADDR_TEXT_MAX];

    osp_addr_print(&w->peer, text, sizeof(text));
    if (o->json)
        printf("{\"peer\":\"%s\",\"observation\":\"%s\",\"notifications\":%u}\n", text, what, w->count);
    else if (o->log)
        printf("%s observation %s after %u notifications\n", text, what, w->count);
}
