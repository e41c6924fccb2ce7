/* SPDX-License-Identifier: BSD-2-Clause */
#include "oscore/replay.h"

bool
osp_replay_is_fresh(const struct osp_replay *w, uint64_t piv)
{
    uint64_t behind;

    if (piv >= w->next)
        return true;
    behind = w->next - 1 - piv;
    return behind < OSP_REPLAY_SIZE && !(w->seen >> behind & 1);
}

enum osp_err
osp_replay_commit(struct osp_replay *w, uint64_t piv)
{
    if (!osp_replay_is_fresh(w, piv))
        return OSP_E_REPLAY;
    if (piv >= w->next) {
        uint64_t ahead = piv + 1 - w->next;

        w->seen = (ahead < OSP_REPLAY_SIZE ? w->seen << ahead : 0) | 1;
        w->next = piv + 1;
    } else {
        w->seen |= UINT32_C(1) << (w->next - 1 - piv);
    }
    return OSP_OK;
}

void
osp_replay_start_at(struct osp_replay *w, uint64_t piv)
{
    w->next = piv + 1;
    w->seen = UINT32_MAX;       /* all numbers before `piv` count as seen */
}
