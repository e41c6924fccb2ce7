/* SPDX-License-Identifier: BSD-2-Clause */
/* The store thread: a store that fails is asked again soon, whatever happens to the time of day. */
#include "tests/unit/unit.h"

#include <poll.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "daemon/ospreyd/state/lease.h"
#include "daemon/ospreyd/log.h"

#define AHEAD_S 40              /* how far the time of day is ahead when it is read; it is set back right after */

static atomic_uint asked;

/* The state of this test: a store that always fails. Its place in the daemon is daemon/ospreyd/state/state.c. */
enum osp_err
osp_state_lease(struct osp_state *st, struct osp_octx *const *ctxs, size_t count)
{
    (void)st;
    for (size_t i = 0; i < count; i++)
        osp_octx_lease_failed(ctxs[i]);
    atomic_fetch_add(&asked, 1);
    return OSP_E_STORE;
}

const char *
osp_state_error(const struct osp_state *st)
{
    (void)st;
    return "none";
}

uint64_t
osp_state_numbers_leased(const struct osp_state *st)
{
    (void)st;
    return 0;
}

/* The daemon's own calls come here: the time of day was ahead, and is set back once it was read. */
int clock_gettime(clockid_t id, struct timespec *ts);
int
clock_gettime(clockid_t id, struct timespec *ts)
{
    int rc = (int)syscall(SYS_clock_gettime, id, ts);

    if (id == CLOCK_REALTIME)
        ts->tv_sec += AHEAD_S;
    return rc;
}

static struct osp_octx *
context(void)
{
    static const uint8_t   secret[16] = { 1 }, ids[2] = { 1, 2 };
    struct osp_octx_params p = { .aead = OSP_AES_CCM_16_64_128, .hkdf = OSP_HKDF_SHA256,
                                 .master_secret = osp_slice(secret, sizeof(secret)), .sender_id = osp_slice(&ids[0], 1),
                                 .recipient_id = osp_slice(&ids[1], 1) };
    struct osp_octx       *c = NULL;

    EXPECT_OK(osp_octx_new(&p, &c));
    return c;
}

/* Waits up to `ms` for a note in `box`; the number of notes that were there. */
static size_t
notes(struct osp_mailbox *box, int ms)
{
    struct pollfd     p = { .fd = box->fd, .events = POLLIN };
    struct osp_note  *n;
    size_t            count = 0;

    (void)poll(&p, 1, ms);
    n = osp_mailbox_take(box);
    while (n) {
        struct osp_note *next = n->next;

        count++;
        osp_note_free(n);
        n = next;
    }
    return count;
}

/* [rfc8613#B.1.1] A request that waits for numbers waits for the store, not for the time of day. */
static void
step_of_the_wall_clock_does_not_stop_leases(void **state)
{
    struct osp_mailbox  box;
    struct osp_mailbox *boxes[1] = { &box };
    struct osp_leaser  *l = NULL;
    struct osp_octx    *c = context();

    (void)state;
    log_set_level(CFG_LOG_ERROR);
    EXPECT_OK(osp_mailbox_init(&box));
    EXPECT_OK(osp_leaser_start(NULL, boxes, 1, &l));
    for (unsigned i = 0; i < 2; i++) {
        osp_octx_ref(c);
        osp_leaser_ask(l, c);
        assert_int_equal(notes(&box, 15000), 1);        /* a second, on an idle machine */
        assert_int_equal(atomic_load(&asked), i + 1);
    }
    osp_leaser_stop(l);
    osp_mailbox_fini(&box);
    osp_octx_unref(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(step_of_the_wall_clock_does_not_stop_leases),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
