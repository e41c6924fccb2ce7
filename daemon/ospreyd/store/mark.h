/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mark: a small file outside of the state directory that says how far the store had come.
 *
 * A copy of the state directory, or an older one that was brought back, is whole in itself, so only something that was not
 * copied with it can tell.  The mark names the store, counts its commits, and holds the highest number that was ever leased for
 * any context, so that a store that is lost can be followed by one that repeats nothing.  It is written after each commit
 * and before the numbers of that commit are used: a store never counts fewer commits than its mark.
 *
 * The file has two slots, each with a check, written in turns and in place: a write that is cut short leaves the other one.
 * Each names the file that it is in, so that a mark that was copied or restored is not taken for the one that was written last.
 */
#ifndef OSP_DAEMON_OSPREYD_STORE_MARK_H
#define OSP_DAEMON_OSPREYD_STORE_MARK_H

#include "base/bytes.h"
#include "base/err.h"

#define OSP_MARK_STORE_LEN 16
#define OSP_MARK_WHY_MAX 512

struct osp_mark_value {
    uint8_t  store[OSP_MARK_STORE_LEN]; /* identifies the store */
    uint64_t seq;                       /* commits of that store */
    uint64_t high;                      /* all numbers that were leased for any context are below it */
    bool     is_copy;                   /* read only: the mark was written to another file than it is in now */
};

struct osp_mark;

/*
 * Opens the mark in directory `dir` and keeps others out; *v is what it says.
 *   OSP_E_NOT_FOUND  there is none, or no such directory
 *   OSP_E_FORMAT     it is damaged: neither slot is whole
 *   OSP_E_STORE      not a directory and a file of this user's alone, or in use
 * Each: `why` says it in one line.
 */
OSP_CHECKED enum osp_err osp_mark_open(const char *dir, struct osp_mark **out, struct osp_mark_value *v,
                                       char why[OSP_MARK_WHY_MAX]);

/*
 * Makes a mark that says *v, durably, and the directory where it is absent.
 *   OSP_E_EXISTS     there is one already, and not `replace`
 *   OSP_E_STORE      as for osp_mark_open(), or it cannot be written: `why`
 */
OSP_CHECKED enum osp_err osp_mark_create(const char *dir, bool replace, const struct osp_mark_value *v,
                                         char why[OSP_MARK_WHY_MAX]);

/*
 * It says *v, durably.  What it said before counts until then.  One thread at a time.
 *   OSP_E_STORE      not written: errno
 */
OSP_CHECKED enum osp_err osp_mark_write(struct osp_mark *m, const struct osp_mark_value *v);

void osp_mark_close(struct osp_mark *m);        /* NULL is fine */

#endif
