/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mark: a small file outside of the state directory that says how far the store had come.
 *
 * A copy of the state directory, or an older one that was restored, looks complete.  Only something that was not copied with it
 * shows the difference.  The mark names the store, counts its commits, and holds the highest number that was ever leased for
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
    uint64_t high;                      /* all numbers that were ever leased, for any context, are below this */
    bool     is_copy;                   /* read only: the mark was written to another file than the one it was read from */
};

struct osp_mark;

/*
 * Opens the mark in directory `dir`, locks it against other processes, and reads it into *v.  On an error `why` has one line:
 *   OSP_E_NOT_FOUND  there is no mark, or no such directory
 *   OSP_E_FORMAT     the mark is damaged: neither slot is whole
 *   OSP_E_STORE      other users may write to the directory or the file, or another process uses it
 */
OSP_CHECKED enum osp_err osp_mark_open(const char *dir, struct osp_mark **out, struct osp_mark_value *v,
                                       char why[OSP_MARK_WHY_MAX]);

/*
 * Makes a mark with the content *v, durably, and its directory if that is missing.  On an error `why` has one line:
 *   OSP_E_EXISTS     there is a mark already, and `replace` is false
 *   OSP_E_STORE      as for osp_mark_open(), or it cannot be written
 */
OSP_CHECKED enum osp_err osp_mark_create(const char *dir, bool replace, const struct osp_mark_value *v,
                                         char why[OSP_MARK_WHY_MAX]);

/*
 * Writes *v into the mark, durably; if that fails or is cut short, the content from before counts.  One thread at a time.
 *   OSP_E_STORE      not written; errno says why
 */
OSP_CHECKED enum osp_err osp_mark_write(struct osp_mark *m, const struct osp_mark_value *v);

/* Unlocks and closes the mark.  NULL is fine. */
void osp_mark_close(struct osp_mark *m);

#endif
