#include "exporter/node.h"

#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/vec.h"
#include "labels/labels.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A descriptor saves two system calls and a walk of the path; interfaces and disks come and go, so
 * there is an end to how many are kept. */
enum { KEPT_MAX = 512, PATH_BYTES = 512 };

static int open_dir(const char *path, int *fd, struct err *e)
{
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *fd < 0 ? err_sys(e, "open %s", path) : 0;
}

static int compile(struct node *n, const char *pattern, const char *otherwise,
                   struct label_regex **out, struct err *e)
{
    *out = label_regex_new(&n->regexes, str_of(pattern ? pattern : otherwise), e);
    return *out ? 0 : -1;
}

int node_init(struct node *n, const struct exporter_options *o, struct err *e)
{
    *n = (struct node){.o = o, .proc = -1, .sys = -1, .root = -1};
    n->text = BUF_MAX(LIMIT_NODE_FILE_BYTES);
    if (open_dir(o->procfs ? o->procfs : "/proc", &n->proc, e) < 0 ||
        open_dir(o->sysfs ? o->sysfs : "/sys", &n->sys, e) < 0 ||
        open_dir(o->rootfs ? o->rootfs : "/", &n->root, e) < 0) {
        return -1;
    }
    return 0;
}

int node_expressions(struct node *n, struct err *e)
{
    const struct exporter_options *o = n->o;

    /* node_exporter's search anywhere; ours are anchored, so these say .* where it matters. */
    if (compile(n, o->mount_points_exclude,
                "/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)"
                "($|/.*)",
                &n->mounts, e) < 0 ||
        compile(n, o->fs_types_exclude,
                "autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|"
                "hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|"
                "selinuxfs|squashfs|sysfs|tracefs",
                &n->types, e) < 0 ||
        compile(n, o->disks_exclude, "(ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\\d+n\\d+p)\\d+", &n->disks,
                e) < 0 ||
        compile(n, o->interfaces_exclude, "", &n->interfaces, e) < 0 ||
        compile(
            n, o->netstat_fields,
            "(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|"
            "Icmp6?_(InMsgs|OutMsgs)|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|"
            "TCPOFOQueue|TCPRcvQDrop)|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|"
            "RetransSegs|CurrEstab|MaxConn)|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|"
            "SndbufErrors))",
            &n->netstat, e) < 0 ||
        compile(n, o->vmstat_fields, "(oom_kill|pgpg|pswp|pg.*fault).*", &n->vmstat, e) < 0) {
        return -1;
    }
    return 0;
}

static void forget_all(struct node *n)
{
    struct str key;
    void *fd;

    for (size_t i = 0; map_next(&n->files, &i, &key, &fd);) {
        (void)close((int)(intptr_t)fd - 1);
    }
    map_done(&n->files);
    n->n_files = 0;
}

void node_done(struct node *n)
{
    forget_all(n);
    map_done(&n->taken);
    free(n->cpu_seen);
    containers_free(n->containers);
    nvml_free(n->nvml);
    filesystem_forget(n);
    closep(&n->proc);
    closep(&n->sys);
    closep(&n->root);
    buf_done(&n->text);
    arena_done(&n->arena);
    arena_done(&n->regexes);
}

static int dir_of(const struct node *n, enum node_tree tree)
{
    return tree == NODE_PROC ? n->proc : tree == NODE_SYS ? n->sys : n->root;
}

/* In the map as descriptor + 1: a value is not NULL. */
static int kept(struct node *n, const char *key, enum node_tree tree, struct err *e)
{
    void *have = map_get(&n->files, str_of(key));
    int fd;

    if (have) {
        return (int)(intptr_t)have - 1;
    }
    fd = openat(dir_of(n, tree), key + 2, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return err_sys(e, "open %s", key + 2);
    }
    if (n->n_files >= KEPT_MAX) {
        forget_all(n);
    }
    (void)map_put(&n->files, str_of(key), (void *)(intptr_t)(fd + 1));
    n->n_files++;
    return fd;
}

static void drop(struct node *n, const char *key)
{
    void *have = map_del(&n->files, str_of(key));

    if (have) {
        (void)close((int)(intptr_t)have - 1);
        n->n_files--;
    }
}

/* Files of /proc are as long as they turn out to be. */
static int read_all(int fd, enum node_tree tree, struct buf *out, const char *name, struct err *e)
{
    bool is_whole = tree == NODE_SYS && !str_starts(str_of(name), STR("kernel/debug/"));

    buf_clear(out);
    for (off_t at = 0;;) {
        size_t want = at == 0 ? 4096 : 32768;
        char *p = buf_reserve(out, want);
        ssize_t got;

        if (!p) {
            return err_set(e, ERR_LIMIT, "%s is larger than %zu bytes", name, out->max);
        }
        got = pread(fd, p, want, at);
        if (got < 0) {
            return err_sys(e, "read %s", name);
        }
        out->len += (size_t)got;
        at += got;
        /* A short read may not be the end where a file is made of records, as in /proc and debugfs;
         * one of sysfs is, and spares a system call. */
        if (got == 0 || (is_whole && (size_t)got < want)) {
            return 0;
        }
    }
}

static void key_of(char key[PATH_BYTES], enum node_tree tree, const char *fmt, va_list ap)
{
    key[0] = (char)('a' + (int)tree);
    key[1] = ':';
    (void)vsnprintf(key + 2, PATH_BYTES - 2, fmt, ap);
}

static int read_key(struct node *n, const char *key, enum node_tree tree, struct str *out,
                    struct err *e)
{
    for (int turn = 0;; turn++) {
        int fd = kept(n, key, tree, e);

        if (fd < 0) {
            return -1;
        }
        if (read_all(fd, tree, &n->text, key + 2, e) == 0) {
            *out = buf_str(&n->text);
            return 0;
        }
        drop(n, key); /* the device went and one of its name came */
        if (turn > 0 || (e->sys != ENODEV && e->sys != ESTALE)) {
            return -1;
        }
    }
}

int node_read_fd(struct node *n, int fd, const char *name, struct str *out, struct err *e)
{
    if (read_all(fd, NODE_PROC, &n->text, name, e) < 0) {
        return -1;
    }
    *out = buf_str(&n->text);
    return 0;
}

int node_read_foreign(struct node *n, enum node_tree tree, const char *path, struct buf *out,
                      struct err *e)
{
    SCOPED(closep) int fd = openat(dir_of(n, tree), path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        return err_sys(e, "open %s", path);
    }
    if (!S_ISREG(st.st_mode)) {
        return err_set(e, ERR_INVALID, "%s is no regular file", path);
    }
    return fs_read_fd(fd, path, out, e);
}

int node_read(struct node *n, enum node_tree tree, struct str *out, struct err *e, const char *fmt,
              ...)
{
    char key[PATH_BYTES];
    va_list ap;

    va_start(ap, fmt);
    key_of(key, tree, fmt, ap);
    va_end(ap);
    return read_key(n, key, tree, out, e);
}

struct str node_line(struct node *n, enum node_tree tree, const char *fmt, ...)
{
    char key[PATH_BYTES];
    struct str text;
    struct err e;
    va_list ap;

    va_start(ap, fmt);
    key_of(key, tree, fmt, ap);
    va_end(ap);
    if (read_key(n, key, tree, &text, &e) < 0) {
        return (struct str){0};
    }
    return arena_str(&n->arena, str_trim(text_line(&text)));
}

const char *node_word(struct node *n, enum node_tree tree, const char *fmt, ...)
{
    char key[PATH_BYTES];
    struct str text;
    struct err e;
    va_list ap;

    va_start(ap, fmt);
    key_of(key, tree, fmt, ap);
    va_end(ap);
    return read_key(n, key, tree, &text, &e) < 0
               ? ""
               : arena_strdup(&n->arena, str_trim(text_line(&text)));
}

bool node_number(struct node *n, enum node_tree tree, double *out, const char *fmt, ...)
{
    char key[PATH_BYTES];
    struct str text;
    struct err e;
    va_list ap;

    va_start(ap, fmt);
    key_of(key, tree, fmt, ap);
    va_end(ap);
    return read_key(n, key, tree, &text, &e) == 0 && text_number(text_word(&text), out);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

enum names { ALL_NAMES, ONLY_DIRS };

static int list(struct node *n, enum node_tree tree, enum names which, const char *path,
                struct node_names *out, struct err *e)
{
    VEC(char *) names = {0};
    struct dirent *d;
    DIR *dir;
    int fd;

    fd = openat(dir_of(n, tree), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        (void)err_sys(e, "open %s", path);
        closep(&fd);
        return -1;
    }
    while (names.len < LIMIT_NODE_NAMES && (d = readdir(dir))) {
        if (d->d_name[0] != '.' && (which == ALL_NAMES || d->d_type == DT_DIR)) {
            *vec_push(&names) = arena_strdup(&n->arena, str_of(d->d_name));
        }
    }
    (void)closedir(dir);
    if (names.len > 1) {
        qsort(names.p, names.len, sizeof(*names.p), by_name);
    }
    out->p = arena_new_array(&n->arena, char *, names.len);
    out->len = names.len;
    for (size_t i = 0; i < names.len; i++) {
        out->p[i] = names.p[i];
    }
    vec_done(&names);
    return 0;
}

int node_list(struct node *n, enum node_tree tree, struct node_names *out, struct err *e,
              const char *fmt, ...)
{
    char path[PATH_BYTES];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(path, sizeof(path), fmt, ap);
    va_end(ap);
    return list(n, tree, ALL_NAMES, path, out, e);
}

int node_dirs(struct node *n, enum node_tree tree, struct node_names *out, struct err *e,
              const char *fmt, ...)
{
    char path[PATH_BYTES];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(path, sizeof(path), fmt, ap);
    va_end(ap);
    return list(n, tree, ONLY_DIRS, path, out, e);
}

const char *node_link(struct node *n, enum node_tree tree, const char *fmt, ...)
{
    char path[PATH_BYTES], target[PATH_BYTES];
    const char *slash;
    ssize_t len;
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(path, sizeof(path), fmt, ap);
    va_end(ap);
    len = readlinkat(dir_of(n, tree), path, target, sizeof(target) - 1);
    if (len <= 0) {
        return NULL;
    }
    target[len] = '\0';
    slash = strrchr(target, '/');
    return arena_strdup(&n->arena, str_of(slash ? slash + 1 : target));
}

struct str text_line(struct str *rest)
{
    return str_cut(rest, '\n');
}

struct str text_word(struct str *rest)
{
    size_t i = 0, from;

    while (i < rest->len && (rest->p[i] == ' ' || rest->p[i] == '\t' || rest->p[i] == '\n')) {
        i++;
    }
    from = i;
    while (i < rest->len && rest->p[i] != ' ' && rest->p[i] != '\t' && rest->p[i] != '\n') {
        i++;
    }
    struct str word = str_n(rest->p + from, i - from);
    *rest = str_from(*rest, i);
    return word;
}

bool text_number(struct str s, double *out)
{
    char text[64], *end;
    uint64_t u;

    if (str_to_u64(s, &u) == 0) {
        *out = (double)u;
        return true;
    }
    if (s.len == 0 || str_copy(s, text, sizeof(text)) < 0) {
        return false;
    }
    *out = strtod(text, &end);
    return end == text + s.len;
}

double text_or(struct str s, double otherwise)
{
    double v;

    return text_number(s, &v) ? v : otherwise;
}

double text_keyed(struct str text, const char *key)
{
    size_t len = strlen(key);

    while (text.p && text.len > len) {
        const char *end = memchr(text.p, '\n', text.len);

        if (text.p[len] == ' ' && memcmp(text.p, key, len) == 0) {
            text = str_from(text, len);
            return text_or(text_word(&text), NAN);
        }
        text = end ? str_from(text, (size_t)(end - text.p) + 1) : STR_EMPTY;
    }
    return NAN;
}

bool text_hex(struct str s, uint64_t *out)
{
    char text[32], *end;

    if (s.len == 0 || str_copy(s, text, sizeof(text)) < 0) {
        return false;
    }
    *out = strtoull(text, &end, 16);
    return end == text + s.len;
}

bool node_takes(struct node *n, char kind, struct label_regex *r, struct str name)
{
    char key[LIMIT_NODE_FIELD_BYTES + 2] = {kind, ':'};
    struct err e;
    void *known;
    bool takes;

    if (str_copy(name, key + 2, sizeof(key) - 2) < 0) {
        return false;
    }
    known = map_get(&n->taken, str_of(key));
    if (known) {
        return known == (void *)1;
    }
    takes = label_regex_match(r, name, &e) == 1;
    if (n->taken.len < LIMIT_NODE_NAMES) {
        (void)map_put(&n->taken, str_of(key), takes ? (void *)1 : (void *)2);
    }
    return takes;
}
