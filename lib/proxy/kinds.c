/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which function hears of what: the kinds of exchange, and the parts that can be attached to one.  The flow and the rooms
 * below it call through these tables, so that no file names all the others.
 */
#include "proxy/blocks/blocks.h"
#include "proxy/edhoc/agreement.h"
#include "proxy/edhoc/edhoc.h"
#include "proxy/flow.h"
#include "proxy/observe/observe.h"
#include "proxy/steps.h"

static void
registration_ended(struct osp_proxy *px, struct px_exchange *up)
{
    (void)px;
    if (up->subject)
        up->subject->up = NULL;
}

/* Of a client. */
const struct px_kind px_client_kind = { .response = px_client_response, .failed = px_answer_error, .has_client = true };

/* Upstream, for all observers of a subject. */
const struct px_kind px_registration_kind = { .response = px_registration_response, .failed = px_registration_failed,
                                         .ended = registration_ended };

/* A session of EDHOC with a next hop, in which we are the Initiator. */
const struct px_kind px_session_kind = { .response = px_session_response, .failed = px_agreement_fail, .ended = px_session_ended,
                                    .in_the_clear = true };

/* Ended in this order. */
const struct px_part_hooks px_part_hooks[PX_PARTS] = {
    [PX_PART_OBSERVATION] = { .ended = px_observe_end },
    [PX_PART_FLIGHT] = { .failed = px_flight_failed, .ended = px_flight_land },
    [PX_PART_LOOP] = { .ended = px_loop_ended },
    [PX_PART_CARRIED] = { .ended = px_carrier_ended },
    [PX_PART_REKEY] = { .ended = px_rekey_end },
    [PX_PART_TRANSFER] = { .ended = px_transfer_end },
};
