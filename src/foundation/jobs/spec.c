#include "jobs/spec_priv.h"

#include "base/limits.h"
#include "base/yaml.h"
#include "jobs/pin.h"
#include "runtime/runtime.h"
#include "volume/path.h"

#include <stdio.h>
#include <string.h>

enum { DEFAULT_CPU_MILLI = 1000, DEFAULT_PIDS = 1024, DEFAULT_GRACE_SEC = 10 };
#define DEFAULT_MEMORY_BYTES (512 * MIB)

#define MIN_CPU_MILLI 10                       /* the kernel's smallest quota: 1 ms in 100 ms */
#define MIN_MEMORY_BYTES (6 * MIB)             /* below, the container's own start is killed */
#define MAX_TIMEOUT_SEC (366LL * 24 * 60 * 60) /* a year */
#define MAX_GRACE_SEC 3600
#define MAX_CPU_MILLI 100000000
#define MAX_MEMORY_BYTES (1LL << 50)
#define MAX_GPUS 64
#define MAX_PIDS 4194304 /* PID_MAX_LIMIT */

/* One reading: where mistakes and results go. */
struct reader {
    struct arena *a;
    struct err_list *mistakes;
    struct job_spec *out;
};

/* A value and the key people know it by ("resources.memory"). */
struct place {
    const struct yaml_node *node;
    const char *key;
};

typedef void read_fn(struct reader *r, struct place at);

struct key {
    const char *name;
    read_fn *read;
};

PRINTF_LIKE(3, 4)
static void mistake(const struct reader *r, struct place at, const char *fmt, ...)
{
    struct err text;
    va_list ap;

    va_start(ap, fmt);
    err_setv(&text, ERR_INVALID, fmt, ap);
    va_end(ap);
    err_list_add(r->mistakes, at.node->line, at.node->column, at.key, "%s", text.msg);
}

static struct place inside(const struct reader *r, const char *key, const struct yaml_node *child)
{
    return (struct place){child, arena_printf(r->a, "%s.%.*s", key,
                                              (int)(child->key.len < 64 ? child->key.len : 64),
                                              child->key.p)};
}

static struct place item(const struct reader *r, const char *key, size_t index,
                         const struct yaml_node *child)
{
    return (struct place){child, arena_printf(r->a, "%s[%zu]", key, index)};
}

static const char *kind_name(const struct yaml_node *n)
{
    if (n->kind == YAML_LIST) {
        return "a list";
    }
    if (n->kind == YAML_MAP) {
        return "a map";
    }
    return yaml_is_null(n) ? "empty" : "a single value";
}

static bool is_kind(const struct reader *r, struct place at, enum yaml_kind want, const char *form)
{
    if (at.node->kind == want) {
        return true;
    }
    mistake(r, at, "must be %s, but is %s", form, kind_name(at.node));
    return false;
}

/* A text as a C string, or NULL and a mistake. `form` says what is wanted. */
static const char *text_of(const struct reader *r, struct place at, const char *form)
{
    if (!is_kind(r, at, YAML_SCALAR, form)) {
        return NULL;
    }
    if (yaml_is_null(at.node)) {
        mistake(r, at, "must be %s, but is empty", form);
        return NULL;
    }
    if (str_find_char(at.node->scalar, '\0') >= 0) {
        mistake(r, at, "holds a NUL byte");
        return NULL;
    }
    return arena_strdup(r->a, at.node->scalar);
}

static void unknown_key(const struct reader *r, struct place at, const char *const *names, size_t n)
{
    const char *near = str_nearest(at.node->key, names, n);

    if (near) {
        mistake(r, at, "unknown key; did you mean '%s'?", near);
    } else {
        mistake(r, at, "unknown key");
    }
}

/* Hands each child of a map to the row of its key; empty values count as not given. */
static void read_keys(struct reader *r, const struct yaml_node *map, const char *prefix,
                      const struct key *keys, size_t n)
{
    const char *names[24];

    for (size_t i = 0; i < n; i++) {
        names[i] = keys[i].name;
    }
    for (const struct yaml_node *c = map->children; c; c = c->next) {
        struct place at = inside(r, prefix, c);
        size_t i = 0;

        at.key += prefix[0] == '\0'; /* the dot */
        while (i < n && !str_eq_c(c->key, keys[i].name)) {
            i++;
        }
        if (i == n) {
            unknown_key(r, at, names, n);
        } else if (!yaml_is_null(c)) {
            keys[i].read(r, at);
        }
    }
}

/* --- texts --- */

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool name_ok(const char *s, size_t max)
{
    size_t n = strlen(s);

    if (n == 0 || n > max || !is_lower_or_digit(s[0])) {
        return false;
    }
    for (size_t i = 1; i < n; i++) {
        if (!is_lower_or_digit(s[i]) && strchr("._-", s[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static void read_name(struct reader *r, struct place at)
{
    const char *s = text_of(r, at, "a name");

    if (s == NULL) {
        return;
    }
    if (!name_ok(s, 63)) {
        mistake(r, at,
                "'%.70s' is no name: lower-case letters, digits and . _ - after a letter or digit, "
                "at most 63",
                s);
        return;
    }
    r->out->name = s;
}

static void read_project(struct reader *r, struct place at)
{
    const char *s = text_of(r, at, "the name of a project");

    if (s && !name_ok(s, LIMIT_NAME_BYTES)) {
        mistake(r, at, "'%.70s' is no name of a project", s);
        return;
    }
    r->out->project = s;
}

/* Enough to point at the line; whether it exists is the registry's word. */
static void read_image(struct reader *r, struct place at)
{
    const char *s = text_of(r, at, "project/repository:tag");
    static const char image_bytes[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:@";
    const char *slash, *mark;

    if (s == NULL) {
        return;
    }
    slash = strchr(s, '/');
    mark = strchr(s, '@');
    if (mark == NULL) {
        mark = strrchr(s, ':');
    }
    if (slash == NULL || slash == s || mark == NULL || mark < slash + 2 || mark[1] == '\0' ||
        strspn(s, image_bytes) < strlen(s)) {
        mistake(r, at,
                "'%.100s' is no image: write project/repository:tag or "
                "project/repository@sha256:...",
                s);
        return;
    }
    if (strlen(s) > LIMIT_REPO_NAME_BYTES + 1 + 135) {
        mistake(r, at, "is longer than %d bytes", LIMIT_REPO_NAME_BYTES + 1 + 135);
        return;
    }
    r->out->image = s;
}

/* One string of execve(2): an argument, or a variable with its name and '='. */
static void check_length(const struct reader *r, struct place at, size_t len)
{
    if (len > LIMIT_EXEC_STRING_BYTES) {
        mistake(r, at, "is %zu bytes long; Linux takes %d", len, LIMIT_EXEC_STRING_BYTES);
    }
}

static const char *const *read_list(struct reader *r, struct place at)
{
    const char **out;
    size_t n = 0;

    if (!is_kind(r, at, YAML_LIST, "a list such as [sh, -c, 'echo hello']")) {
        return NULL;
    }
    if (at.node->n_children > LIMIT_JOB_ARGS) {
        mistake(r, at, "has %zu items; at most %d are taken", at.node->n_children, LIMIT_JOB_ARGS);
        return NULL;
    }
    out = arena_new_array(r->a, const char *, at.node->n_children + 1);
    for (const struct yaml_node *c = at.node->children; c; c = c->next) {
        struct place arg = item(r, at.key, n, c);

        out[n] = text_of(r, arg, "a text (put it in quotes)");
        check_length(r, arg, out[n] ? strlen(out[n]) : 0);
        if (out[n] == NULL) {
            out[n] = "?"; /* a mistake, told already */
        }
        n++;
    }
    return out;
}

static void read_command(struct reader *r, struct place at)
{
    const char *const *list = read_list(r, at);

    if (list && (list[0] == NULL || list[0][0] == '\0')) {
        mistake(r, at, "is empty: leave it out for the image's own command");
        return;
    }
    r->out->command = list;
}

static void read_args(struct reader *r, struct place at)
{
    r->out->args = read_list(r, at);
}

/* A path that stays what it looks like: absolute, no "." or ".." segment; slashes are put right.
 * The runtime takes it as it comes out. */
static const char *absolute_path(const struct reader *r, struct place at, size_t max)
{
    const char *s = text_of(r, at, "an absolute path");
    struct str rest = str_of(s);

    if (s == NULL) {
        return NULL;
    }
    if (s[0] != '/') {
        mistake(r, at, "'%.100s' is no absolute path", s);
        return NULL;
    }
    while (rest.p) {
        struct str part = str_cut(&rest, '/');

        if (str_eq_c(part, ".") || str_eq_c(part, "..")) {
            mistake(r, at, "'%.100s' holds '%.*s'", s, STR_ARG(part));
            return NULL;
        }
    }
    s = job_clean_path(r->a, str_of(s));
    if (strlen(s) > max || !runtime_path_ok(str_of(s))) {
        mistake(r, at, "'%.100s' is too long: at most %zu bytes, and 255 between two slashes", s,
                max);
        return NULL;
    }
    return s;
}

static void read_workdir(struct reader *r, struct place at)
{
    r->out->workdir = absolute_path(r, at, LIMIT_PATH_BYTES - 1);
}

/* --- environment --- */

static bool variable_ok(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

        if (!letter && (i == 0 || c < '0' || c > '9')) {
            return false;
        }
    }
    return s.len > 0 && s.len <= 256;
}

/* `form` of a value; with an empty value allowed where the environment allows it. */
static struct job_var *read_vars(struct reader *r, struct place at, const char *form, size_t *n)
{
    struct job_var *vars;

    *n = 0;
    if (!is_kind(r, at, YAML_MAP, "a map such as {NAME: value}")) {
        return NULL;
    }
    if (at.node->n_children > LIMIT_JOB_ENV) {
        mistake(r, at, "has %zu entries; at most %d are taken", at.node->n_children, LIMIT_JOB_ENV);
        return NULL;
    }
    vars = arena_new_array(r->a, struct job_var, at.node->n_children);
    for (const struct yaml_node *c = at.node->children; c; c = c->next) {
        struct place var = inside(r, at.key, c);
        bool empty_text = c->kind == YAML_SCALAR && c->quoted && c->scalar.len == 0;
        const char *value = empty_text ? "" : text_of(r, var, form);

        if (!variable_ok(c->key)) {
            mistake(r, var,
                    "is no name of a variable: letters, digits and _ after a letter or _, at most "
                    "256");
        } else if (value) {
            check_length(r, var, c->key.len + 1 + strlen(value));
            vars[(*n)++] = (struct job_var){arena_strdup(r->a, c->key), value};
        }
    }
    return vars;
}

static void read_env(struct reader *r, struct place at)
{
    r->out->env = read_vars(r, at, "a text (write \"\" for an empty one)", &r->out->n_env);
}

static void read_secrets(struct reader *r, struct place at)
{
    struct job_spec *s = r->out;

    s->secrets = read_vars(r, at, "the name of a secret", &s->n_secrets);
    for (size_t i = 0; s->secrets && i < s->n_secrets; i++) {
        if (s->secrets[i].value[0] == '\0' || strlen(s->secrets[i].value) > LIMIT_NAME_BYTES) {
            mistake(r, at, "%s: '%.70s' is no name of a secret", s->secrets[i].name,
                    s->secrets[i].value);
        }
    }
}

/* --- numbers --- */

static bool whole_number(const struct reader *r, struct place at, int64_t min, int64_t max,
                         int64_t *out)
{
    uint64_t v;

    if (!is_kind(r, at, YAML_SCALAR, "a whole number")) {
        return false;
    }
    if (str_to_u64(at.node->scalar, &v) < 0) {
        mistake(r, at, "'%.*s' is no whole number",
                (int)(at.node->scalar.len < 40 ? at.node->scalar.len : 40), at.node->scalar.p);
        return false;
    }
    if (v < (uint64_t)min || v > (uint64_t)max) {
        mistake(r, at, "is %llu; it must be %lld to %lld", (unsigned long long)v, (long long)min,
                (long long)max);
        return false;
    }
    *out = (int64_t)v;
    return true;
}

typedef int parse_fn(struct str s, int64_t *out, struct err *e);

static bool amount(const struct reader *r, struct place at, parse_fn *parse, int64_t *out)
{
    struct str s = at.node->scalar;
    struct err e;

    if (!is_kind(r, at, YAML_SCALAR, "an amount")) {
        return false;
    }
    if (s.len > 40) {
        mistake(r, at, "'%.*s...' is no amount", 40, s.p);
        return false;
    }
    if (parse(s, out, &e) < 0) {
        mistake(r, at, "%s", e.msg);
        return false;
    }
    return true;
}

static struct job_place line_of(struct place at)
{
    return (struct job_place){at.node->line, at.node->column};
}

static void read_cpu(struct reader *r, struct place at)
{
    int64_t v;

    if (!amount(r, at, str_parse_milli, &v)) {
        return;
    }
    if (v < MIN_CPU_MILLI || v > MAX_CPU_MILLI) {
        mistake(r, at, "must be 10m (a hundredth of a core) to %d", MAX_CPU_MILLI / 1000);
        return;
    }
    r->out->cpu_milli = v;
    r->out->cpu_at = line_of(at);
}

static void read_memory(struct reader *r, struct place at)
{
    int64_t v;

    if (!amount(r, at, str_parse_bytes, &v)) {
        return;
    }
    if (v < (int64_t)MIN_MEMORY_BYTES || v > MAX_MEMORY_BYTES) {
        mistake(r, at, "must be 6Mi to 1024Ti");
        return;
    }
    r->out->memory_bytes = v;
    r->out->memory_at = line_of(at);
}

static void read_gpu(struct reader *r, struct place at)
{
    (void)whole_number(r, at, 0, MAX_GPUS, &r->out->gpus);
    r->out->gpu_at = line_of(at);
}

static void read_pids(struct reader *r, struct place at)
{
    (void)whole_number(r, at, 1, MAX_PIDS, &r->out->pids);
}

static void read_retries(struct reader *r, struct place at)
{
    (void)whole_number(r, at, 0, LIMIT_JOB_RETRIES, &r->out->retries);
}

static void read_timeout(struct reader *r, struct place at)
{
    int64_t v;

    if (!amount(r, at, str_parse_seconds, &v)) {
        return;
    }
    if (v < 1 || v > MAX_TIMEOUT_SEC) {
        mistake(r, at, "must be 1s to 366d; leave it out for none");
        return;
    }
    r->out->timeout_sec = v;
}

static void read_grace(struct reader *r, struct place at)
{
    int64_t v;

    if (!amount(r, at, str_parse_seconds, &v)) {
        return;
    }
    if (v > MAX_GRACE_SEC) {
        mistake(r, at, "must be 0s to 1h");
        return;
    }
    r->out->grace_sec = v;
}

static const struct key resource_keys[] = {
    {"cpu", read_cpu},
    {"memory", read_memory},
    {"gpu", read_gpu},
    {"pids", read_pids},
};

static void read_resources(struct reader *r, struct place at)
{
    if (is_kind(r, at, YAML_MAP, "a map such as {cpu: 2, memory: 1Gi}")) {
        read_keys(r, at.node, at.key, resource_keys, ARRAY_LEN(resource_keys));
    }
}

/* --- network and volumes --- */

static const char *const mode_names[] = {"ro", "rw"};

/* The index of the word in `names`, or -1 and a mistake. */
static int choice(const struct reader *r, struct place at, const char *const *names, size_t n,
                  const char *form)
{
    const char *s = text_of(r, at, form);
    const char *near;

    if (s == NULL) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(s, names[i]) == 0) {
            return (int)i;
        }
    }
    near = str_nearest(str_of(s), names, n);
    if (near) {
        mistake(r, at, "'%.40s' is not %s; did you mean '%s'?", s, form, near);
    } else {
        mistake(r, at, "'%.40s' is not %s", s, form);
    }
    return -1;
}

static void read_network(struct reader *r, struct place at)
{
    int i = choice(r, at, job_network_names, JOB_NETS, "none, bridge or host");

    if (i >= 0) {
        r->out->network = (enum job_network)i;
    }
}

static struct job_volume *volume_being_read(struct reader *r)
{
    return &r->out->volumes[r->out->n_volumes];
}

static void read_volume_name(struct reader *r, struct place at)
{
    const char *s = text_of(r, at, "the name of a volume");

    if (s && !name_ok(s, LIMIT_NAME_BYTES)) {
        mistake(r, at, "'%.70s' is no name of a volume", s);
        return;
    }
    volume_being_read(r)->name = s;
}

/* Whether `path` is `dir` or lies below it. */
static bool is_under(struct str path, struct str dir)
{
    return str_starts(path, dir) && (path.len == dir.len || path.p[dir.len] == '/');
}

static void read_volume_path(struct reader *r, struct place at)
{
    static const char *const kept[] = {"/proc", "/sys", "/dev"};
    const char *s = absolute_path(r, at, LIMIT_JOB_MOUNT_PATH_BYTES);

    if (s == NULL) {
        return;
    }
    if (s[1] == '\0') {
        mistake(r, at, "a volume cannot be mounted over /");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        if (is_under(str_of(s), str_of(kept[i]))) {
            mistake(r, at, "a volume cannot be mounted under %s", kept[i]);
            return;
        }
    }
    for (size_t i = 0; i < r->out->n_volumes; i++) {
        if (strcmp(s, r->out->volumes[i].path) == 0) {
            mistake(r, at, "'%.100s' is the path of another volume already", s);
            return;
        }
    }
    volume_being_read(r)->path = s;
}

static void read_volume_mode(struct reader *r, struct place at)
{
    volume_being_read(r)->read_only = choice(r, at, mode_names, 2, "ro or rw") != 1;
}

static void read_volume_subpath(struct reader *r, struct place at)
{
    const char *s = text_of(r, at, "a directory of the volume");
    struct err e;

    if (s && volume_path_check(str_of(s), VOLUME_PATH_BELOW_ROOT, &e) < 0) {
        mistake(r, at, "%s", e.msg);
        return;
    }
    volume_being_read(r)->subpath = s;
}

static const struct key volume_keys[] = {
    {"name", read_volume_name},
    {"path", read_volume_path},
    {"mode", read_volume_mode},
    {"subpath", read_volume_subpath},
};

static void read_volume(struct reader *r, struct place at)
{
    struct job_volume *v = volume_being_read(r);
    size_t before = r->mistakes->len;

    *v = (struct job_volume){.read_only = true};
    if (!is_kind(r, at, YAML_MAP, "a map such as {name: data, path: /data, mode: rw}")) {
        return;
    }
    read_keys(r, at.node, at.key, volume_keys, ARRAY_LEN(volume_keys));
    if (r->mistakes->len > before) {
        return;
    }
    if (v->name == NULL || v->path == NULL) {
        mistake(r, at, "'%s' is missing", v->name == NULL ? "name" : "path");
        return;
    }
    r->out->n_volumes++;
}

static void read_volumes(struct reader *r, struct place at)
{
    size_t i = 0;

    if (!is_kind(r, at, YAML_LIST, "a list of {name, path, mode}")) {
        return;
    }
    if (at.node->n_children > LIMIT_JOB_VOLUMES) {
        mistake(r, at, "has %zu items; at most %d are taken", at.node->n_children,
                LIMIT_JOB_VOLUMES);
        return;
    }
    r->out->volumes = arena_new_array(r->a, struct job_volume, at.node->n_children + 1);
    for (const struct yaml_node *c = at.node->children; c; c = c->next) {
        read_volume(r, item(r, at.key, i++, c));
    }
}

/* --- the whole --- */

static const struct key spec_keys[] = {
    {"name", read_name},       {"project", read_project}, {"image", read_image},
    {"command", read_command}, {"args", read_args},       {"env", read_env},
    {"secrets", read_secrets}, {"workdir", read_workdir}, {"resources", read_resources},
    {"volumes", read_volumes}, {"network", read_network}, {"timeout", read_timeout},
    {"grace", read_grace},     {"retries", read_retries},
};

/* What no single key can see. */
static void check_whole(const struct reader *r, const struct yaml_node *root)
{
    const struct job_spec *s = r->out;

    if (yaml_is_null(yaml_get(root, "image"))) {
        err_list_add(r->mistakes, 0, 0, "image", "is missing");
    }
    for (size_t i = 0; i < s->n_secrets; i++) {
        for (size_t k = 0; k < s->n_env; k++) {
            if (strcmp(s->env[k].name, s->secrets[i].name) == 0) {
                mistake(r, (struct place){yaml_get(root, "secrets"), "secrets"},
                        "%s is set by env already", s->env[k].name);
            }
        }
    }
}

/* The name of a job that gives none: the last word of its image's repository. */
static const char *name_of_image(struct arena *a, const char *image)
{
    struct str rest = str_of(image);
    ptrdiff_t slash = str_rfind_char(rest, '/');
    const char *name;

    rest = str_from(rest, slash < 0 ? 0 : (size_t)slash + 1);
    rest = str_cut(&rest, '@');
    rest = str_cut(&rest, ':');
    name = arena_strdup(a, str_first(rest, 63));
    return name_ok(name, 63) ? name : "job";
}

int job_spec_parse(struct arena *a, struct str text, struct job_spec *out,
                   struct err_list *mistakes, struct err *e)
{
    struct reader r = {.a = a, .mistakes = mistakes, .out = out};
    struct yaml_node *root = job_spec_nodes(a, text, e);

    *out = (struct job_spec){.cpu_milli = DEFAULT_CPU_MILLI,
                             .memory_bytes = DEFAULT_MEMORY_BYTES,
                             .pids = DEFAULT_PIDS,
                             .grace_sec = DEFAULT_GRACE_SEC};
    if (root == NULL) {
        return -1;
    }
    if (root->kind != YAML_MAP) {
        return err_set(e, ERR_INVALID,
                       "a job is a map of keys such as 'name: ...' and 'image: "
                       "...', but this is %s",
                       kind_name(root));
    }
    read_keys(&r, root, "", spec_keys, ARRAY_LEN(spec_keys));
    check_whole(&r, root);
    if (out->name == NULL && out->image) {
        out->name = name_of_image(a, out->image);
    }
    return err_list_result(mistakes, "the job", e);
}
