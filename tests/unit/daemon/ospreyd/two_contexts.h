/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of a configuration with up to two contexts: started, changed, stopped. */
#ifndef OSP_TESTS_TWO_CONTEXTS_H
#define OSP_TESTS_TWO_CONTEXTS_H

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "daemon/ospreyd/log.h"
#include "tests/unit/daemon/unit_state.h"

#define BLOCK 10
#define BLIND (1ull << 36)

static char               dir[64];
static char               why[OSP_STORE_WHY_MAX];
static uint8_t            secret[16] = { 1 };
static uint8_t            ids[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
static char               names[2][2] = { "a", "b" };
static struct cfg_context contexts[2];
static struct osp_cfg     cfg;

static inline void
set_ids(size_t i, unsigned sender, unsigned recipient)
{
    contexts[i].sender_id = (struct cfg_bytes){ &ids[sender], 1 };
    contexts[i].recipient_id = (struct cfg_bytes){ &ids[recipient], 1 };
}

static inline int
setup(void **state)
{
    (void)state;
    log_set_level(CFG_LOG_ERROR);
    (void)snprintf(dir, sizeof(dir), "/tmp/osprey-keys-XXXXXX");
    memset(contexts, 0, sizeof(contexts));
    for (size_t i = 0; i < 2; i++) {
        contexts[i].name = names[i];
        contexts[i].master_secret.value = (struct cfg_bytes){ secret, 16 };
        contexts[i].aead = OSP_AES_CCM_16_64_128;
        contexts[i].hkdf = OSP_HKDF_SHA256;
        contexts[i].fresh = true;
    }
    set_ids(0, 0, 1);
    set_ids(1, 2, 3);
    cfg = (struct osp_cfg){ .state = mkdtemp(dir), .contexts = contexts, .context_count = 1, .lease = { BLOCK },
                            .state_size = 1u << 20 };
    return cfg.state && unit_make_state(&cfg) ? 0 : -1;
}

static inline int
teardown(void **state)
{
    (void)state;
    return unit_remove_store(dir);
}

static inline enum osp_err
try_load(struct osp_state *st)
{
    return unit_try_load(st, &cfg, why);
}

static inline void
load(struct osp_state *st)
{
    unit_load(st, &cfg);
}

static inline struct osp_state *
start(void)
{
    return unit_start(&cfg, NULL);
}

static inline struct osp_octx *
ctx(struct osp_state *st, size_t i)
{
    return osp_state_set(st)->entries[i].octx;
}

/* The next number of a context, with a lease where it needs one. */
static inline uint64_t
take(struct osp_state *st, struct osp_octx *c)
{
    uint64_t n = UINT64_MAX;

    if (osp_octx_take_ssn(c, &n) == OSP_E_NO_LEASE) {
        EXPECT_OK(osp_state_lease(st, &c, 1));
        EXPECT_OK(osp_octx_take_ssn(c, &n));
    }
    return n;
}

static inline bool
is_known(struct osp_octx *c, struct osp_replay *w)
{
    return osp_octx_get_window(c, w) == OSP_WINDOW_KNOWN;
}

/* ---- the mark ---- */

static inline enum osp_err
try_open(void)
{
    struct osp_state *st = NULL;
    enum osp_err      e = osp_state_open(&cfg, &st, why);

    osp_state_close(st);
    return e;
}

static inline void
path_of(char dst[128], const char *name)
{
    (void)snprintf(dst, 128, "%s%s", dir, name);
}

static inline void
recover(void)
{
    FILE *null = fopen("/dev/null", "w");

    assert_non_null(null);
    if (osp_state_recover(&cfg, null, why) != OSP_OK)
        fail_msg("%s", why);
    (void)fclose(null);
}

/* Recovered, and all is as it has to be after a loss: numbers above `least`, no window, `fresh` of no effect. */
static inline void
expect_recovered(uint64_t least, uint64_t below)
{
    struct osp_state *st;
    struct osp_replay w;
    uint64_t          n;

    EXPECT_ERR(OSP_E_STORE, try_open());
    assert_non_null(strstr(why, "--recover-state"));
    recover();
    cfg.context_count = 2;
    st = start();
    for (size_t i = 0; i < 2; i++) {
        assert_false(is_known(ctx(st, i), &w));
        n = take(st, ctx(st, i));
        if (n < least || n >= below)
            fail_msg("number %llu is not in [%llu, %llu)", (unsigned long long)n, (unsigned long long)least,
                     (unsigned long long)below);
    }
    unit_stop(st);
    unit_stop(start());
}

#endif
