#include "runtime/runtime_priv.h"

#include "base/limits.h"

#include <string.h>

/* --- writing --- */

static void put_strings(struct buf *b, const char *const *list)
{
    size_t n = 0;

    while (list && list[n]) {
        n++;
    }
    wire_put_u64(b, n);
    for (size_t i = 0; i < n; i++) {
        wire_put_str(b, str_of(list[i]));
    }
}

void spec_put(struct buf *b, const struct runtime_spec *s)
{
    wire_put_str(b, str_of(s->id));
    put_strings(b, s->args);
    put_strings(b, s->env);
    wire_put_str(b, str_of(s->cwd));
    wire_put_str(b, str_of(s->user));
    wire_put_str(b, str_of(s->hostname));
    wire_put_u64(b, s->n_chains);
    for (size_t i = 0; i < s->n_chains; i++) {
        wire_put_str(b, str_of(s->chains[i]));
    }
    wire_put_u64(b, s->n_mounts);
    for (size_t i = 0; i < s->n_mounts; i++) {
        wire_put_str(b, str_of(s->mounts[i].volume_id));
        wire_put_str(b, str_of(s->mounts[i].target));
        wire_put_str(b, str_of(s->mounts[i].subpath));
        wire_put_u64(b, s->mounts[i].read_only);
    }
    wire_put_u64(b, s->id_base);
    wire_put_u64(b, (uint64_t)s->cpu_milli);
    wire_put_u64(b, (uint64_t)s->memory_bytes);
    wire_put_u64(b, (uint64_t)s->pids);
    wire_put_u64(b, (uint64_t)s->log_max_bytes);
    put_strings(b, s->devices);
    wire_put_u64(b, s->network);
    wire_put_str(b, str_of(s->labels));
}

/* --- reading --- */

/* A count that is not past `max`; else the message is refused and the count 0. */
static size_t get_count(struct wire_reader *r, size_t max)
{
    uint64_t n = wire_get_u64(r);

    if (n > max) {
        r->failed = true;
    }
    return r->failed ? 0 : (size_t)n;
}

static const char *get_string(struct wire_reader *r, struct arena *a, size_t max)
{
    struct str s = wire_get_str(r);

    if (r->failed || s.len > max || str_find_char(s, '\0') >= 0) {
        r->failed = true;
        return "";
    }
    return arena_strdup(a, s);
}

static const char *const *get_strings(struct wire_reader *r, struct arena *a, size_t max)
{
    size_t n = get_count(r, max);
    const char **list = arena_new_array(a, const char *, n + 1);

    for (size_t i = 0; i < n && !r->failed; i++) {
        list[i] = get_string(r, a, LIMIT_EXEC_STRING_BYTES);
    }
    return list;
}

static void get_chains(struct wire_reader *r, struct arena *a, struct runtime_spec *s)
{
    char(*chains)[65];

    s->n_chains = get_count(r, LIMIT_LAYERS);
    chains = arena_alloc(a, (s->n_chains + 1) * sizeof(*chains));
    for (size_t i = 0; i < s->n_chains && !r->failed; i++) {
        wire_get_name(r, chains[i], sizeof(chains[i]));
    }
    s->chains = chains;
}

static void get_mounts(struct wire_reader *r, struct arena *a, struct runtime_spec *s)
{
    struct runtime_mount *mounts;

    s->n_mounts = get_count(r, LIMIT_JOB_VOLUMES);
    mounts = arena_new_array(a, struct runtime_mount, s->n_mounts + 1);
    for (size_t i = 0; i < s->n_mounts && !r->failed; i++) {
        wire_get_name(r, mounts[i].volume_id, sizeof(mounts[i].volume_id));
        mounts[i].target = get_string(r, a, LIMIT_PATH_BYTES);
        mounts[i].subpath = get_string(r, a, LIMIT_PATH_BYTES);
        mounts[i].read_only = wire_get_u64(r) != 0;
    }
    s->mounts = mounts;
}

int spec_get(struct str payload, struct arena *a, struct runtime_spec *out, struct err *e)
{
    struct wire_reader r = {payload, false};
    struct runtime_spec s = {0};
    uint64_t id_base, network;

    s.id = get_string(&r, a, 64);
    s.args = get_strings(&r, a, RUNTIME_ARGS_MAX);
    s.env = get_strings(&r, a, RUNTIME_ENV_MAX);
    s.cwd = get_string(&r, a, LIMIT_PATH_BYTES);
    s.user = get_string(&r, a, 256);
    s.hostname = get_string(&r, a, 64);
    get_chains(&r, a, &s);
    get_mounts(&r, a, &s);
    id_base = wire_get_u64(&r);
    s.cpu_milli = (int64_t)wire_get_u64(&r);
    s.memory_bytes = (int64_t)wire_get_u64(&r);
    s.pids = (int64_t)wire_get_u64(&r);
    s.log_max_bytes = (int64_t)wire_get_u64(&r);
    s.devices = get_strings(&r, a, RUNTIME_DEVICES_MAX);
    network = wire_get_u64(&r);
    s.labels = get_string(&r, a, RUNTIME_LABELS_MAX);
    if (wire_end(&r, e) < 0) {
        return err_wrap(e, "start a container");
    }
    if (id_base > UINT32_MAX || network > RUNTIME_NET_HOST) {
        return err_set(e, ERR_INVALID, "start a container: id base or network out of range");
    }
    s.id_base = (uint32_t)id_base;
    s.network = (enum runtime_network)network;
    *out = s;
    return 0;
}

/* --- checking --- */

bool runtime_path_ok(struct str path)
{
    if (path.len < 1 || path.len >= LIMIT_PATH_BYTES || path.p[0] != '/') {
        return false;
    }
    if (path.len == 1) {
        return true;
    }
    path = str_from(path, 1);
    while (path.p) {
        struct str part = str_cut(&path, '/');

        if (part.len == 0 || part.len > 255 || str_eq_c(part, ".") || str_eq_c(part, "..")) {
            return false;
        }
    }
    return true;
}

static bool under(struct str path, struct str dir)
{
    return str_starts(path, dir) && (path.len == dir.len || path.p[dir.len] == '/');
}

bool spec_path_of_kernel(struct str path)
{
    return under(path, STR("/proc")) || under(path, STR("/sys")) || under(path, STR("/dev"));
}

bool spec_device_ok(struct str path)
{
    /* NVIDIA, AMD, Intel and Habana accelerators, and RDMA for their traffic. */
    static const char *const prefixes[] = {"/dev/nvidia", "/dev/dri/renderD",       "/dev/kfd",
                                           "/dev/accel/", "/dev/infiniband/uverbs", "/dev/dxg"};

    if (!runtime_path_ok(path)) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        if (str_starts(path, str_of(prefixes[i]))) {
            return true;
        }
    }
    return false;
}

static bool hostname_ok(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            c != '-' && c != '.') {
            return false;
        }
    }
    return s.len > 0 && s.len < 64;
}

static bool chain_ok(const char *hex)
{
    return strlen(hex) == 64 && strspn(hex, "0123456789abcdef") == 64;
}

/* Relative, and like an absolute one otherwise. */
static bool subpath_ok(const char *subpath)
{
    char path[LIMIT_PATH_BYTES + 1] = "/";

    return subpath == NULL || *subpath == '\0' ||
           (str_copy(str_of(subpath), path + 1, sizeof(path) - 1) == 0 &&
            runtime_path_ok(str_of(path)));
}

static int check_mounts(const struct runtime_spec *s, struct err *e)
{
    for (size_t i = 0; i < s->n_mounts; i++) {
        struct str target = str_of(s->mounts[i].target);

        if (!helper_id_ok(str_of(s->mounts[i].volume_id))) {
            return err_set(e, ERR_INVALID, "volume id of mount %zu is not [a-z0-9-]{1,64}", i);
        }
        if (!runtime_path_ok(target) || target.len == 1 ||
            target.len > LIMIT_JOB_MOUNT_PATH_BYTES) {
            return err_set(e, ERR_INVALID,
                           "a volume cannot be mounted on %.80s: give an absolute path below /, "
                           "without //, . and ..",
                           s->mounts[i].target);
        }
        if (!subpath_ok(s->mounts[i].subpath)) {
            return err_set(e, ERR_INVALID, "the directory %.80s of a volume: without //, . and ..",
                           s->mounts[i].subpath);
        }
        if (spec_path_of_kernel(target)) {
            return err_set(e, ERR_INVALID,
                           "a volume cannot be mounted on %.80s: /proc, /sys and /dev are the "
                           "kernel's",
                           s->mounts[i].target);
        }
        for (size_t k = 0; k < i; k++) {
            if (str_eq_c(target, s->mounts[k].target)) {
                return err_set(e, ERR_INVALID, "two volumes are mounted on %.80s",
                               s->mounts[i].target);
            }
        }
    }
    return 0;
}

static int check_string(const char *s, const char *what, size_t n, struct err *e)
{
    size_t len = strlen(s), name = strcspn(s, "=");

    if (len <= LIMIT_EXEC_STRING_BYTES) {
        return 0;
    }
    if (n == 0) {
        return err_set(e, ERR_INVALID, "%s %.*s is %zu bytes long: Linux takes %d", what,
                       (int)(name < 80 ? name : 80), s, len, LIMIT_EXEC_STRING_BYTES);
    }
    return err_set(e, ERR_INVALID, "%s %zu is %zu bytes long: Linux takes %d", what, n, len,
                   LIMIT_EXEC_STRING_BYTES);
}

int runtime_exec_check(const char *const *args, const char *const *env, struct err *e)
{
    size_t all = 0, n = 0, m = 0;

    for (; args && args[n]; n++) {
        all += strlen(args[n]) + 1 + sizeof(char *);
        if (check_string(args[n], "argument", n + 1, e) < 0) {
            return -1;
        }
    }
    for (; env && env[m]; m++) {
        all += strlen(env[m]) + 1 + sizeof(char *);
        if (check_string(env[m], "environment variable", 0, e) < 0) {
            return -1;
        }
    }
    if (n > RUNTIME_ARGS_MAX || m > RUNTIME_ENV_MAX) {
        return err_set(e, ERR_INVALID,
                       "%zu arguments and %zu environment variables: at most %d and %d are taken",
                       n, m, RUNTIME_ARGS_MAX, RUNTIME_ENV_MAX);
    }
    if (all > LIMIT_EXEC_BYTES) {
        return err_set(e, ERR_INVALID,
                       "arguments and environment have %zu bytes together: Linux takes %llu", all,
                       LIMIT_EXEC_BYTES);
    }
    return 0;
}

static int check_env(const char *const *env, struct err *e)
{
    for (size_t i = 0; env && env[i]; i++) {
        const char *equals = strchr(env[i], '=');

        if (equals == NULL || equals == env[i]) {
            return err_set(e, ERR_INVALID, "environment entry %zu is not NAME=value", i);
        }
    }
    return 0;
}

static int check_numbers(const struct runtime_spec *s, struct err *e)
{
    /* Below is the machine's own accounts; root would be no user namespace at all. */
    if (s->id_base < RUNTIME_IDS || s->id_base > UINT32_MAX - 2 * RUNTIME_IDS) {
        return err_set(e, ERR_INVALID, "id range from %u is not for containers", s->id_base);
    }
    if (s->cpu_milli < 10 || s->cpu_milli > 10000000) {
        return err_set(e, ERR_INVALID, "cpu is %lld thousandths: 10 to 10,000,000 are possible",
                       (long long)s->cpu_milli);
    }
    if (s->memory_bytes < RUNTIME_MEMORY_MIN) {
        return err_set(e, ERR_INVALID, "memory is %lld bytes: at least %lld (4 MiB) are needed",
                       (long long)s->memory_bytes, RUNTIME_MEMORY_MIN);
    }
    if (s->pids < 1 || s->pids > 4194304) {
        return err_set(e, ERR_INVALID, "pids is %lld: 1 to 4,194,304 are possible",
                       (long long)s->pids);
    }
    if (s->log_max_bytes < 0) {
        return err_set(e, ERR_INVALID, "the limit of the log is negative");
    }
    return 0;
}

int spec_check(const struct runtime_spec *s, struct err *e)
{
    if (!helper_id_ok(str_of(s->id)) || s->id[0] == '-') { /* "-x" would be an option of crun */
        return err_set(e, ERR_INVALID, "container id %.80s is not [a-z0-9][a-z0-9-]{0,63}", s->id);
    }
    if (s->args == NULL || s->args[0] == NULL || s->args[0][0] == '\0') {
        return err_set(e, ERR_INVALID,
                       "there is no command: the image has none, so the job must name one");
    }
    if (!runtime_path_ok(str_of(s->cwd))) {
        return err_set(e, ERR_INVALID, "working directory %.80s is not a plain absolute path",
                       s->cwd);
    }
    if (!hostname_ok(str_of(s->hostname))) {
        return err_set(e, ERR_INVALID, "host name %.80s is not [A-Za-z0-9.-]{1,63}", s->hostname);
    }
    if (s->n_chains == 0) {
        return err_set(e, ERR_INVALID, "the image has no layers");
    }
    for (size_t i = 0; i < s->n_chains; i++) {
        if (!chain_ok(s->chains[i])) {
            return err_set(e, ERR_INVALID, "chain id of layer %zu is not 64 hex digits", i);
        }
    }
    for (size_t i = 0; s->devices && s->devices[i]; i++) {
        if (!spec_device_ok(str_of(s->devices[i]))) {
            return err_set(e, ERR_INVALID, "%.80s is no device a container may have",
                           s->devices[i]);
        }
    }
    return runtime_exec_check(s->args, s->env, e) < 0 || check_env(s->env, e) < 0 ||
                   check_mounts(s, e) < 0
               ? -1
               : check_numbers(s, e);
}

/* --- status --- */

void status_set_figures(struct runtime_status *st, const struct runtime_sample *s)
{
    st->memory_peak_bytes = s->memory_peak_bytes < 0 ? 0 : s->memory_peak_bytes;
    st->cpu_usec = s->cpu_usec < 0 ? 0 : s->cpu_usec;
}

void status_put(struct buf *b, const struct runtime_status *s)
{
    wire_put_str(b, str_of(s->id));
    wire_put_u64(b, s->running);
    wire_put_u64(b, s->end);
    wire_put_u64(b, (uint64_t)s->code);
    wire_put_u64(b, (uint64_t)s->started_ms);
    wire_put_u64(b, (uint64_t)s->ended_ms);
    wire_put_u64(b, (uint64_t)s->memory_peak_bytes);
    wire_put_u64(b, (uint64_t)s->cpu_usec);
    wire_put_str(b, str_of(s->detail));
}

void status_get(struct wire_reader *r, struct runtime_status *out)
{
    struct runtime_status s = {0};
    uint64_t end, code;

    wire_get_name(r, s.id, sizeof(s.id));
    s.running = wire_get_u64(r) != 0;
    end = wire_get_u64(r);
    code = wire_get_u64(r);
    s.started_ms = (int64_t)wire_get_u64(r);
    s.ended_ms = (int64_t)wire_get_u64(r);
    s.memory_peak_bytes = (int64_t)wire_get_u64(r);
    s.cpu_usec = (int64_t)wire_get_u64(r);
    wire_get_name(r, s.detail, sizeof(s.detail));
    if (end > RUNTIME_LOST || code > 255) {
        r->failed = true;
        return;
    }
    s.end = (enum runtime_end)end;
    s.code = (int)code;
    *out = s;
}

/* --- CONTAINER_EXEC --- */

void exec_put(struct buf *b, const struct runtime_exec *x)
{
    wire_put_str(b, str_of(x->id));
    wire_put_u64(b, x->terminal);
    put_strings(b, x->args);
}

int exec_get(struct str payload, struct arena *a, struct runtime_exec *out, struct err *e)
{
    struct wire_reader r = {payload, false};
    struct runtime_exec x = {.id = get_string(&r, a, 64)};

    x.terminal = wire_get_u64(&r) ? RUNTIME_TTY : RUNTIME_PIPES;
    x.args = get_strings(&r, a, RUNTIME_ARGS_MAX);
    if (wire_end(&r, e) < 0) {
        return -1;
    }
    *out = x;
    return 0;
}

int exec_check(const struct runtime_exec *x, struct err *e)
{
    if (!helper_id_ok(str_of(x->id)) || x->id[0] == '-') {
        return err_set(e, ERR_INVALID, "container id %.80s is not [a-z0-9][a-z0-9-]{0,63}", x->id);
    }
    if (x->args && x->args[0] && x->args[0][0] == '\0') {
        return err_set(e, ERR_INVALID, "the command has no name");
    }
    return runtime_exec_check(x->args, NULL, e);
}
