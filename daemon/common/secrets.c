/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/common/secrets.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

void
osp_secrets_hide(void)
{
    const struct rlimit none = { 0, 0 };

    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)setrlimit(RLIMIT_CORE, &none);
}

/* True if this process has CAP_IPC_LOCK, with which no limit of locked memory applies. */
static bool
has_capability(void)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct   data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

    return syscall(SYS_capget, &head, data) == 0 && (data[0].effective >> CAP_IPC_LOCK & 1u);
}

static bool
has_no_limit(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_MEMLOCK, &r) != 0 || r.rlim_max != RLIM_INFINITY)
        return false;
    r.rlim_cur = r.rlim_max;
    return setrlimit(RLIMIT_MEMLOCK, &r) == 0;
}

bool
osp_secrets_lock(void)
{
    if (!has_no_limit() && !has_capability()) {
        errno = EPERM;
        return false;
    }
    /* Locking on fault: stacks and tables take no more memory than they use. */
    return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
}
