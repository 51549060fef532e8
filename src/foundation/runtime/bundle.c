#include "runtime/runtime_priv.h"

#include "base/json.h"
#include "base/limits.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* OCI runtime-spec 1.0: config.md, config-linux.md. */

static void strings(struct jw *w, const char *key, const char *const *list, size_t n)
{
    jw_key(w, key);
    jw_array(w);
    for (size_t i = 0; i < n; i++) {
        jw_str(w, str_of(list[i]));
    }
    jw_end(w);
}

/* --- process --- */

/* podman's set: docker's fourteen without MKNOD (means nothing in a user namespace), NET_RAW
 * (forged packets on the bridge) and AUDIT_WRITE. They count only inside the container's own user
 * namespace, and no_new_privs keeps programs of other users from gaining them. */
static const char *const capabilities[] = {
    "CAP_CHOWN",   "CAP_DAC_OVERRIDE",     "CAP_FOWNER",     "CAP_FSETID",
    "CAP_KILL",    "CAP_NET_BIND_SERVICE", "CAP_SETFCAP",    "CAP_SETGID",
    "CAP_SETPCAP", "CAP_SETUID",           "CAP_SYS_CHROOT",
};

static void write_capabilities(struct jw *w)
{
    static const char *const sets[] = {"bounding", "effective", "permitted"};

    jw_key(w, "capabilities");
    jw_object(w);
    for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
        strings(w, sets[i], capabilities, ARRAY_LEN(capabilities));
    }
    jw_end(w);
}

struct limit_row {
    const char *name;
    int resource;
    rlim_t soft, hard;
};

/* Without CAP_SYS_RESOURCE a hard limit cannot be raised, and crun would refuse to start: never
 * more than our own. */
static void write_rlimits(struct jw *w)
{
    static const struct limit_row rows[] = {
        {"RLIMIT_NOFILE", RLIMIT_NOFILE, 65536, 1048576},
        {"RLIMIT_CORE", RLIMIT_CORE, 0, 0}, /* a core would go to the host's pattern */
    };

    jw_key(w, "rlimits");
    jw_array(w);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct rlimit own;
        rlim_t hard = rows[i].hard, soft;

        if (getrlimit((__rlimit_resource_t)rows[i].resource, &own) == 0 && own.rlim_max < hard) {
            hard = own.rlim_max;
        }
        soft = rows[i].soft < hard ? rows[i].soft : hard;
        jw_object(w);
        jw_kv_c(w, "type", rows[i].name);
        jw_kv_i64(w, "soft", (int64_t)soft);
        jw_kv_i64(w, "hard", (int64_t)hard);
        jw_end(w);
    }
    jw_end(w);
}

static bool has_env(const char *const *env, const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; env && env[i]; i++) {
        if (strncmp(env[i], name, n) == 0 && env[i][n] == '=') {
            return true;
        }
    }
    return false;
}

static void default_env(struct jw *w, const char *const *env, const char *name, const char *value)
{
    char text[512];

    if (!has_env(env, name)) {
        (void)snprintf(text, sizeof(text), "%s=%s", name, value);
        jw_str(w, str_of(text));
    }
}

static void write_env(struct jw *w, const struct bundle *b)
{
    const char *const *env = b->spec->env;

    jw_key(w, "env");
    jw_array(w);
    default_env(w, env, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    default_env(w, env, "HOME", b->user->home);
    default_env(w, env, "HOSTNAME", b->spec->hostname);
    for (size_t i = 0; env && env[i]; i++) {
        jw_str(w, str_of(env[i]));
    }
    jw_end(w);
}

/* A volume belongs to the container's root and to group 0, which may write: so may a user of the
 * image who is not root. */
static void write_groups(struct jw *w, const struct bundle *b)
{
    bool root = b->user->gid == 0;

    jw_key(w, "additionalGids");
    jw_array(w);
    for (size_t i = 0; i < b->user->n_groups; i++) {
        jw_i64(w, b->user->groups[i]);
        root |= b->user->groups[i] == 0;
    }
    if (!root && b->spec->n_mounts > 0) {
        jw_i64(w, 0);
    }
    jw_end(w);
}

/* What a process has whatever it runs. */
static void write_process_setting(struct jw *w, const struct bundle *b)
{
    write_env(w, b);
    jw_key(w, "user");
    jw_object(w);
    jw_kv_i64(w, "uid", b->user->uid);
    jw_kv_i64(w, "gid", b->user->gid);
    jw_kv_i64(w, "umask", 022);
    write_groups(w, b);
    jw_end(w);
    jw_kv_c(w, "cwd", b->spec->cwd);
    jw_kv_bool(w, "noNewPrivileges", true);
    jw_kv_i64(w, "oomScoreAdj", RUNTIME_OOM_SCORE_ADJ);
    write_capabilities(w);
    write_rlimits(w);
}

static void write_process(struct jw *w, const struct bundle *b)
{
    size_t n = 0;

    while (b->spec->args[n]) {
        n++;
    }
    jw_key(w, "process");
    jw_object(w);
    jw_kv_bool(w, "terminal", false);
    strings(w, "args", b->spec->args, n);
    write_process_setting(w, b);
    jw_end(w);
}

int bundle_process(const struct bundle *b, struct buf *out, struct err *e)
{
    SCOPED(buf_done) struct buf all = BUF_MAX(out->max);
    struct jw w = JW(&all);
    struct str head = STR("{\"env\":[");

    jw_object(&w);
    write_process_setting(&w, b);
    jw_end(&w);
    if (!str_starts(buf_str(&all), head)) {
        return err_set(e, ERR_INTERNAL, "the process of a container does not begin with \"env\"");
    }
    return buf_add(out, str_from(buf_str(&all), head.len)) < 0
               ? err_set(e, ERR_LIMIT, "the container's environment is larger than %zu", out->max)
               : 0;
}

/* --- mounts --- */

struct mount_row {
    const char *target, *type, *source;
    const char *options[8];
};

static const struct mount_row system_mounts[] = {
    {"/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}},
    {"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}},
    {"/dev/pts",
     "devpts",
     "devpts",
     {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
    {"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}},
    {"/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"}},
};

/* A fresh sysfs needs a network namespace of its own; with the host's, that of the host is shown
 * read-only. */
static const struct mount_row sys_own = {
    "/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}};
static const struct mount_row sys_host = {
    "/sys", "bind", "/sys", {"rbind", "nosuid", "noexec", "nodev", "ro"}};

static void write_mount(struct jw *w, const struct mount_row *m)
{
    size_t n = 0;

    while (n < ARRAY_LEN(m->options) && m->options[n]) {
        n++;
    }
    jw_object(w);
    jw_kv_c(w, "destination", m->target);
    jw_kv_c(w, "type", m->type);
    jw_kv_c(w, "source", m->source);
    strings(w, "options", m->options, n);
    jw_end(w);
}

/* Half of memory as the kernel's default would be half of the machine; it counts as the container's
 * memory anyway. docker's 64 MiB break PyTorch's data loaders. */
static void write_shm(struct jw *w, const struct bundle *b)
{
    char size[40];
    struct mount_row shm = {
        "/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", size}};

    (void)snprintf(size, sizeof(size), "size=%lld", (long long)b->spec->memory_bytes);
    write_mount(w, &shm);
}

static void bind_from_box(struct jw *w, const struct bundle *b, const char *name,
                          const char *target, const char *const *options)
{
    char source[256];
    struct mount_row m = {target, "bind", source, {0}};

    (void)snprintf(source, sizeof(source), "%s/%s", b->box, name);
    for (size_t i = 0; i < ARRAY_LEN(m.options) && options[i]; i++) {
        m.options[i] = options[i];
    }
    write_mount(w, &m);
}

/* The volumes are in the tree already (box.c). */
static void write_mounts(struct jw *w, const struct bundle *b)
{
    static const char *const read_only[] = {"bind", "ro", "nosuid", "nodev", "noexec", NULL};
    const struct runtime_spec *s = b->spec;

    jw_key(w, "mounts");
    jw_array(w);
    write_mount(w, &system_mounts[0]);
    write_mount(w, s->network == RUNTIME_NET_HOST ? &sys_host : &sys_own);
    for (size_t i = 1; i < ARRAY_LEN(system_mounts); i++) {
        write_mount(w, &system_mounts[i]);
    }
    write_shm(w, b);
    if (b->names == TREE_NAMES) {
        bind_from_box(w, b, "hosts", "/etc/hosts", read_only);
        bind_from_box(w, b, "hostname", "/etc/hostname", read_only);
    }
    if (b->names == TREE_NAMES && s->network != RUNTIME_NET_NONE) {
        bind_from_box(w, b, "resolv.conf", "/etc/resolv.conf", read_only);
    }
    jw_end(w);
}

/* --- linux --- */

static void write_namespaces(struct jw *w, enum runtime_network network)
{
    static const char *const names[] = {"user", "pid", "ipc", "uts", "mount", "cgroup", "network"};

    jw_key(w, "namespaces");
    jw_array(w);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (i < ARRAY_LEN(names) - 1 || network != RUNTIME_NET_HOST) {
            jw_object(w);
            jw_kv_c(w, "type", names[i]);
            jw_end(w);
        }
    }
    jw_end(w);
}

static void write_mapping(struct jw *w, const char *key, uint32_t id_base)
{
    jw_key(w, key);
    jw_array(w);
    jw_object(w);
    jw_kv_i64(w, "containerID", 0);
    jw_kv_i64(w, "hostID", id_base);
    jw_kv_i64(w, "size", RUNTIME_IDS);
    jw_end(w);
    jw_end(w);
}

static void device_rule(struct jw *w, const struct bundle_device *d)
{
    jw_object(w);
    jw_kv_bool(w, "allow", d != NULL);
    if (d) {
        jw_kv_c(w, "type", "c");
        jw_kv_i64(w, "major", d->major);
        jw_kv_i64(w, "minor", d->minor);
    }
    jw_kv_c(w, "access", d ? "rw" : "rwm");
    jw_end(w);
}

/* cpu.shares 2 to 262144 (v1); crun converts it to cpu.weight. */
static int64_t shares_of(int64_t cpu_milli)
{
    int64_t shares = cpu_milli * 1024 / 1000;

    return shares < 2 ? 2 : shares > 262144 ? 262144 : shares;
}

static bool swap_is_counted(const struct bundle *b)
{
    const struct cgroup_mount *m = cgroups_find(b->cgroups, "memory");
    char path[256];
    struct stat st;

    if (m == NULL || m->v2) {
        return true; /* memory.swap.max; crun skips it where swap is off */
    }
    (void)snprintf(path, sizeof(path), "%s/memory.memsw.limit_in_bytes", m->path);
    return stat(path, &st) == 0;
}

static void write_resources(struct jw *w, const struct bundle *b)
{
    const struct runtime_spec *s = b->spec;

    jw_key(w, "resources");
    jw_object(w);
    jw_key(w, "devices");
    jw_array(w);
    device_rule(w, NULL);
    for (size_t i = 0; i < b->n_devices; i++) {
        device_rule(w, &b->devices[i]);
    }
    jw_end(w);
    jw_key(w, "memory");
    jw_object(w);
    jw_kv_i64(w, "limit", s->memory_bytes);
    if (swap_is_counted(b)) {
        jw_kv_i64(w, "swap", s->memory_bytes); /* memory and swap together: no swap */
    }
    jw_end(w);
    jw_key(w, "cpu");
    jw_object(w);
    jw_kv_i64(w, "shares", shares_of(s->cpu_milli));
    jw_kv_i64(w, "quota", s->cpu_milli * 100);
    jw_kv_i64(w, "period", 100000);
    jw_end(w);
    jw_key(w, "pids");
    jw_object(w);
    jw_kv_i64(w, "limit", s->pids);
    jw_end(w);
    jw_end(w);
}

static void write_devices(struct jw *w, const struct bundle *b)
{
    jw_key(w, "devices");
    jw_array(w);
    for (size_t i = 0; i < b->n_devices; i++) {
        jw_object(w);
        jw_kv_c(w, "path", b->devices[i].path);
        jw_kv_c(w, "type", "c");
        jw_kv_i64(w, "major", b->devices[i].major);
        jw_kv_i64(w, "minor", b->devices[i].minor);
        jw_kv_i64(w, "fileMode", 0666);
        jw_end(w);
    }
    jw_end(w);
}

static void write_linux(struct jw *w, const struct bundle *b)
{
    static const char *const masked[] = {
        "/proc/acpi",        "/proc/asound",  "/proc/interrupts",
        "/proc/kcore",       "/proc/keys",    "/proc/latency_stats",
        "/proc/sched_debug", "/proc/scsi",    "/proc/timer_list",
        "/proc/timer_stats", "/sys/firmware", "/sys/devices/virtual/powercap",
    };
    static const char *const read_only[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                            "/proc/sysrq-trigger"};

    jw_key(w, "linux");
    jw_object(w);
    write_namespaces(w, b->spec->network);
    write_mapping(w, "uidMappings", b->spec->id_base);
    write_mapping(w, "gidMappings", b->spec->id_base);
    jw_kv_c(w, "cgroupsPath", b->cgroup);
    if (b->spec->network == RUNTIME_NET_BRIDGE) { /* what needs capabilities elsewhere */
        jw_key(w, "sysctl");
        jw_object(w);
        jw_kv_c(w, "net.ipv4.ping_group_range", "0 65535");
        jw_kv_c(w, "net.ipv4.ip_unprivileged_port_start", "0");
        jw_end(w);
    }
    write_devices(w, b);
    write_resources(w, b);
    jw_key(w, "seccomp");
    seccomp_profile_json(w);
    strings(w, "maskedPaths", masked, ARRAY_LEN(masked));
    strings(w, "readonlyPaths", read_only, ARRAY_LEN(read_only));
    jw_end(w);
}

int bundle_write(const struct bundle *b, struct buf *out, struct err *e)
{
    struct jw writer = JW(out), *w = &writer;
    char root[256];

    (void)snprintf(root, sizeof(root), "%s/rootfs", b->box);
    jw_object(w);
    jw_kv_c(w, "ociVersion", "1.0.0");
    write_process(w, b);
    jw_key(w, "root");
    jw_object(w);
    jw_kv_c(w, "path", root);
    jw_kv_bool(w, "readonly", false);
    jw_end(w);
    jw_kv_c(w, "hostname", b->spec->hostname);
    write_mounts(w, b);
    if (b->seccomp.len > 0) {
        jw_key(w, "annotations");
        jw_object(w);
        jw_kv_str(w, "run.oci.seccomp_bpf_data", b->seccomp);
        jw_end(w);
    }
    write_linux(w, b);
    jw_end(w);
    return out->failed
               ? err_set(e, ERR_LIMIT, "the container's configuration is larger than %zu", out->max)
               : 0;
}
