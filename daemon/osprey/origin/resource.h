/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The resources of the demo origin.  They use no sockets and no clock.
 */
#ifndef OSP_DAEMON_OSPREY_ORIGIN_RESOURCE_H
#define OSP_DAEMON_OSPREY_ORIGIN_RESOURCE_H

#include "msg/msg.h"

#define OSPREY_STORED_MAX 4096u
#define OSPREY_LARGE_MAX 262144u
#define OSPREY_SLOW_MAX_MS 120000u
#define OSPREY_PATH_MAX 256u

struct osprey_resources {
    uint32_t ticks, every_s;                /* /ticks: how often it has changed, and seconds between changes, rounded up */
    bool     alarm;
    bool     is_stored;                     /* /put holds something */
    bool     has_format;
    uint8_t  format[2];
    size_t   format_len, stored_len;
    uint8_t  stored[OSPREY_STORED_MAX];
    uint8_t  max_age[4];
    uint8_t  body[OSPREY_LARGE_MAX];        /* of the response that is being made */
};

struct osprey_reply {
    struct osp_msg msg;                     /* borrows from the resources and from the request */
    uint64_t       delay_us;                /* how long to wait before the answer is sent */
    uint8_t        observe[4];              /* room for the value of an Observe option */
};

/* Writes the Uri-Path of `m` as "/a/b", cut to the size of `dst`; for look-up and logs. */
void osprey_path_print(const struct osp_msg *m, char dst[OSPREY_PATH_MAX]);

/* The subject that observers of the resource in `req` wait for. */
enum osprey_subject { OSPREY_SUBJECT_NONE, OSPREY_SUBJECT_TICKS, OSPREY_SUBJECT_ALARM };

enum osprey_subject osprey_resource_subject(const struct osp_msg *req);

/* Answers `req`; `clock_s` is the wall-clock time that /time tells. */
void osprey_resource_answer(struct osprey_resources *r, const struct osp_msg *req, int64_t clock_s, struct osprey_reply *out);

#endif
