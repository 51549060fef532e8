/* /proc/self/mountinfo and the files of a cgroup. */
#include "runtime/runtime_priv.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = str_n((const char *)data, size);
    struct cgroups c;
    struct buf out = BUF_MAX(1 << 20);
    uint64_t v;

    cgroups_parse(s, &c);
    if (c.n > ARRAY_LEN(c.mounts) || (c.n > 0) != (c.mode != CGROUP_NONE)) {
        abort();
    }
    (void)cgroups_find(&c, "memory");
    (void)cgroup_parse_key(s, "oom_kill", &v);
    bridge_resolv_conf(s, RUNTIME_NET_BRIDGE, &out);
    buf_done(&out);
    return 0;
}
