/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/glob.h"

/* After a mismatch the last "*" takes one more byte; earlier "*" need not be tried again. */
bool
osp_glob(struct osp_slice pattern, struct osp_slice text)
{
    size_t p = 0, t = 0;
    size_t star = SIZE_MAX, resume = 0;

    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            resume = t;
        } else if (p < pattern.n && (pattern.p[p] == '?' || pattern.p[p] == text.p[t])) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}
