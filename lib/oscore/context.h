/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One OSCORE Security Context [rfc8613#3]: Common, Sender and Recipient Context.
 *
 * Shared by all workers: keys and identifiers never change after osp_octx_new(); sequence number,
 * replay window and Echo state are guarded by a lock that is held for a few instructions.
 *
 * Sender Sequence Numbers are used only below a limit that the owner has made durable before
 * [rfc8613#B.1.1]; a new context has none (limit 0), so it cannot protect with a Partial IV of its
 * own until osp_octx_grant() is called.
 * The replay window is UNKNOWN until osp_octx_set_window() sets it (fresh keys, or restored after a
 * clean stop) or until a request proves its freshness with Echo [rfc8613#B.1.2].
 * Keys wear out: encryptions and failed decryptions are counted exactly, over all workers, and a
 * context whose limits say `stop` is not used beyond them [key-limits#2].
 */
#ifndef OSP_OSCORE_CONTEXT_H
#define OSP_OSCORE_CONTEXT_H

#include "base/time.h"
#include "crypto/crypto.h"
#include "oscore/replay.h"

#define OSP_OSCORE_ID_MAX 7             /* nonce length 13 - 6 [rfc8613#3.3] */
#define OSP_PIV_MAX ((1ull << 40) - 1)  /* [rfc8613#7.2.1] */
#define OSP_ECHO_LEN 8

struct osp_octx_params {
    int              aead;              /* COSE number; 10 by default */
    int              hkdf;              /* OSP_HKDF_* */
    struct osp_slice master_secret, master_salt;
    struct osp_slice sender_id, recipient_id;
    bool             has_id_context;
    struct osp_slice id_context;
    struct osp_slice kid_context;       /* the context's name on the wire; empty: the ID Context itself */
    bool             names_responses;   /* `kid_context` is sent in responses instead of requests [rfc8613#B.2] */
    uint32_t         label;             /* a number of the owner's choice, such as an index of the configuration */
    struct osp_slice subject;           /* who the peer has proven to be, for rules; at most 255 bytes, empty: not known */
};

struct osp_octx;

/*
 * Derives the keys [rfc8613#3.2.1].
 *   OSP_E_ALGORITHM   AEAD or HKDF is not supported
 *   OSP_E_ID_LENGTH   an ID is longer than the nonce length minus 6, or both IDs are equal
 *   OSP_E_NOMEM, OSP_E_CRYPTO
 * The context has one reference, the caller's.
 */
OSP_CHECKED enum osp_err osp_octx_new(const struct osp_octx_params *p, struct osp_octx **out);
void osp_octx_ref(struct osp_octx *c);
void osp_octx_unref(struct osp_octx *c);        /* the last reference wipes the keys and frees the context */

/* Slices are borrowed from the context; except for the label, these values never change. */
struct osp_slice osp_octx_sender_id(const struct osp_octx *c);
struct osp_slice osp_octx_recipient_id(const struct osp_octx *c);
bool osp_octx_id_context(const struct osp_octx *c, struct osp_slice *out);      /* false: there is none */
bool osp_octx_kid_context(const struct osp_octx *c, struct osp_slice *out);     /* sent in its requests; false: there is none */
int osp_octx_aead(const struct osp_octx *c);
uint32_t osp_octx_label(const struct osp_octx *c);
struct osp_slice osp_octx_subject(const struct osp_octx *c);    /* params.subject in lower case */
void osp_octx_set_label(struct osp_octx *c, uint32_t label);     /* at reload, before workers see it */
/*
 * True once the runtime table (runtime.h) or a reload let go of `c`.  An exchange in progress may end with it.  Nothing that
 * lasts goes on with it, and no request is accepted under it, since another object may own its replay window by then.  A base
 * (b2.h) takes the contexts that are derived from it along.
 */
bool osp_octx_is_out_of_use(const struct osp_octx *c);
void osp_octx_put_out_of_use(struct osp_octx *c);

/*
 * SHA-256 of secret, salt, algorithms and IDs.  Equal parameters give equal 32 bytes, so duplicates are found before any key is
 * derived.  Older versions filed their state under this value, so the way it is computed never changes.
 *   OSP_E_CRYPTO
 */
OSP_CHECKED enum osp_err osp_octx_fingerprint(const struct osp_octx_params *p, uint8_t out[32]);

/* ---- names of keys ---- */

#define OSP_KEY_NAME_LEN 32

/*
 * The name of a key: a hash that does not reveal the key.  State is filed under names of keys: sequence numbers under the name of
 * the Sender Key, replay windows under the name of the Recipient Key.  So state belongs to its key, whatever IDs, salts or
 * options the key was derived from [rfc8613#7.2.1] [rfc8613#7.4].  A key has one name, as Sender Key and as Recipient Key.  The
 * Common IV is left out, since the input that determines a key also determines its Common IV.
 *   OSP_E_CRYPTO
 */
OSP_CHECKED enum osp_err osp_key_name(struct osp_slice key, uint8_t out[OSP_KEY_NAME_LEN]);

struct osp_key_names { uint8_t sender[OSP_KEY_NAME_LEN], recipient[OSP_KEY_NAME_LEN]; };

/* The names of both keys of `c`. OSP_E_CRYPTO. */
OSP_CHECKED enum osp_err osp_octx_key_names(const struct osp_octx *c, struct osp_key_names *out);

/* ---- sender sequence numbers ---- */

struct osp_ssn { uint64_t next, limit; };       /* next: the next number; numbers below limit may be used */

/*
 * Says that numbers below `limit` are durable, so they may be used.  The next number becomes `at_least` if it was lower.  A lower
 * `limit` than before changes nothing.
 */
void osp_octx_grant(struct osp_octx *c, uint64_t at_least, uint64_t limit);
struct osp_ssn osp_octx_ssn(struct osp_octx *c);

/*
 * Allows the first `count` numbers of `c`, which was just derived.  They need not be durable: only this process has the context
 * and no process resumes it, so no number can be used twice.  `c` asks for no lease until osp_octx_grant() or
 * osp_octx_lease_failed() is called.
 */
void osp_octx_lend(struct osp_octx *c, uint64_t count);

/*
 * Takes the next number for one encryption, and counts that encryption against the Sender Key.
 *   OSP_E_NO_LEASE        no number below the limit is left: ask the owner for a lease, and try again after the grant
 *   OSP_E_SSN_EXHAUSTED   all 2^40 numbers are used: the context can protect nothing any more [rfc8613#7.2.1]
 *   OSP_E_KEY_LIMIT       a limit of the keys is reached: the context can protect nothing any more
 */
OSP_CHECKED enum osp_err osp_octx_take_ssn(struct osp_octx *c, uint64_t *ssn);

/*
 * True if the caller should ask the owner for a lease: at most `low` numbers are left, or the keys were used more than the
 * owner has written down (osp_octx_usage_restore()).  The owner then writes the usage down, and grants numbers if few are left.
 * Further calls return false until osp_octx_grant() or osp_octx_lease_failed() is called.
 */
bool osp_octx_wants_lease(struct osp_octx *c, uint64_t low);
/*
 * True if the caller should ask the owner to write the usage down: the keys were used more than is written, which may also happen
 * during the last write.  Further calls return false until osp_octx_grant() or osp_octx_lease_failed() is called.
 */
bool osp_octx_wants_record(struct osp_octx *c);
/* False if the caller asked only to write the usage down and more than `low` numbers are left, so that no lease is needed. */
bool osp_octx_needs_numbers(struct osp_octx *c, uint64_t low);
/* The owner's answer without numbers: the lease failed, or only the usage had to be written down. */
void osp_octx_lease_failed(struct osp_octx *c);

/* ---- how much the keys may be used [key-limits#2.1.1] ---- */

struct osp_key_limits {
    uint32_t q;         /* messages encrypted with the Sender Key; 0 in q, v or l: no limit */
    uint32_t v;         /* messages that failed to decrypt with the Recipient Key; replays are not decrypted and do not count */
    uint32_t l;         /* blocks of the cipher in one message that is encrypted (plaintext and tag) */
    bool     stop;      /* at q or v no request is sent or accepted any more, and no response beyond the limit of its key;
                           false: reaching a limit is only reported (osp_octx_notice()) */
};

enum osp_key_state {
    OSP_KEY_FINE,
    OSP_KEY_WORN,       /* less than a tenth is left: time to renew */
    OSP_KEY_OVER,       /* a limit is reached */
};

struct osp_key_usage { uint32_t q, v; struct osp_key_limits limits; enum osp_key_state state; };

/* What the draft recommends for the AEAD: q 2^20, v 2^14, l 2^8 with an 8-byte tag, 2^20, 2^20, 2^10 with a longer one. */
struct osp_key_limits osp_key_limits_default(int aead);

/* Sets the limits of the keys; a new context has none.  Safe from any thread. */
void osp_octx_set_limits(struct osp_octx *c, const struct osp_key_limits *limits);
struct osp_key_usage osp_octx_usage(struct osp_octx *c);

/* True if a limit is near or reached: whoever can renew the context should do so. */
bool osp_octx_is_worn(struct osp_octx *c);

/* For the log: returns WORN and OVER once each, when the state is reached, and FINE at all other calls. */
enum osp_key_state osp_octx_notice(struct osp_octx *c);

/*
 * Sets how much of the keys was used before this process started.  From here on osp_octx_wants_lease() also asks for the usage to
 * be written down.
 */
void osp_octx_usage_restore(struct osp_octx *c, uint32_t q, uint32_t v);
/*
 * The usage to write down.  A count that has grown beyond what is written is rounded up, so that a crash before the next write
 * loses nothing.
 */
void osp_octx_usage_ahead(struct osp_octx *c, uint32_t *q, uint32_t *v);
/* Ends the writing of the usage: the owner has dropped the context, and exchanges that still use it ask for no writing. */
void osp_octx_usage_abandon(struct osp_octx *c);
/* Says that this usage is durable. */
void osp_octx_usage_kept(struct osp_octx *c, uint32_t q, uint32_t v);

/* ---- replay window and freshness ---- */

enum osp_window_state { OSP_WINDOW_UNKNOWN, OSP_WINDOW_KNOWN };

/* Sets the window (fresh context: an empty one; clean restart: the saved one). */
void osp_octx_set_window(struct osp_octx *c, const struct osp_replay *w);
/* Copies the window; returns its state. */
enum osp_window_state osp_octx_get_window(struct osp_octx *c, struct osp_replay *out);

#endif
