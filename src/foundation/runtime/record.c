#include "runtime/runtime_priv.h"

#include "base/fs.h"
#include "base/mem.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define SHIM_HEAD "strata-shim 1"

static int number(struct str s, uint64_t max, uint64_t *out)
{
    uint64_t v;

    if (str_to_u64(s, &v) < 0 || v > max) {
        return -1;
    }
    *out = v;
    return 0;
}

int record_set_field(const struct record_field *fields, size_t n, struct str key, struct str value,
                     struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq_c(key, fields[i].key)) {
            return number(value, fields[i].max, fields[i].at) == 0
                       ? 0
                       : err_set(e, ERR_INVALID, "%s is not a number up to %llu", fields[i].key,
                                 (unsigned long long)fields[i].max);
        }
    }
    return 0; /* a field of a later version */
}

/* --- shim --- */

void shim_record_put(struct buf *b, const struct shim_record *r)
{
    (void)buf_printf(b, SHIM_HEAD "\nboot %s\npid %d\nstart %llu\n", r->boot, (int)r->pid,
                     (unsigned long long)r->start);
    if (r->init > 0) {
        (void)buf_printf(b, "init %d\ninit_start %llu\nstarted_ms %lld\n", (int)r->init,
                         (unsigned long long)r->init_start, (long long)r->started_ms);
    }
}

int shim_record_parse(struct str text, struct shim_record *out, struct err *e)
{
    struct shim_record r = {0};
    uint64_t pid = 0, init = 0, started = 0;
    struct record_field fields[] = {{"pid", INT32_MAX, &pid},
                                    {"start", UINT64_MAX, &r.start},
                                    {"init", INT32_MAX, &init},
                                    {"init_start", UINT64_MAX, &r.init_start},
                                    {"started_ms", INT64_MAX, &started}};
    struct str line = str_cut(&text, '\n');

    if (!str_eq_c(line, SHIM_HEAD)) {
        return err_set(e, ERR_INVALID, "shim record does not begin with \"" SHIM_HEAD "\"");
    }
    while (text.p) {
        struct str key, value = str_cut(&text, '\n');

        key = str_cut(&value, ' ');
        if (str_eq_c(key, "boot")) {
            if (value.p == NULL || str_copy(value, r.boot, sizeof(r.boot)) < 0) {
                return err_set(e, ERR_INVALID, "boot is no boot id");
            }
        } else if (key.len > 0 && record_set_field(fields, ARRAY_LEN(fields), key,
                                                   value.p ? value : STR_EMPTY, e) < 0) {
            return err_wrap(e, "shim record");
        }
    }
    if (pid == 0 || r.start == 0 || r.boot[0] == '\0') {
        return err_set(e, ERR_INVALID, "shim record lacks pid, start or boot");
    }
    r.pid = (pid_t)pid;
    r.init = (pid_t)init;
    r.started_ms = (int64_t)started;
    *out = r;
    return 0;
}

/* --- exit --- */

static const char *const end_words[] = {[RUNTIME_EXITED] = "exit",
                                        [RUNTIME_SIGNALED] = "signal",
                                        [RUNTIME_OOM] = "oom",
                                        [RUNTIME_LOST] = "lost"};

void exit_record_put(struct buf *b, const struct runtime_status *s)
{
    /* "oom" ends by SIGKILL of the init process, or by the code 137 of a shell around it. */
    (void)buf_printf(b,
                     "%s %d\nstarted_ms %lld\nended_ms %lld\nmemory_peak_bytes %lld\n"
                     "cpu_usec %lld\n",
                     end_words[s->end], s->code, (long long)s->started_ms, (long long)s->ended_ms,
                     (long long)s->memory_peak_bytes, (long long)s->cpu_usec);
    if (s->detail[0] != '\0') {
        (void)buf_add_c(b, "detail ");
        for (const char *p = s->detail; *p; p++) {
            char c = *p == '\n' ? ' ' : *p;

            (void)buf_add(b, str_n(&c, 1));
        }
        (void)buf_add_c(b, "\n");
    }
}

static int parse_end(struct str line, struct runtime_status *out, struct err *e)
{
    struct str word = str_cut(&line, ' ');
    uint64_t code;

    if (line.p == NULL || number(line, 255, &code) < 0) {
        return err_set(e, ERR_INVALID, "exit record has no code up to 255 in its first line");
    }
    for (size_t i = 0; i < ARRAY_LEN(end_words); i++) {
        if (str_eq_c(word, end_words[i])) {
            out->end = (enum runtime_end)i;
            out->code = (int)code;
            return 0;
        }
    }
    return err_set(e, ERR_INVALID, "exit record begins with none of exit, signal, oom, lost");
}

int exit_record_parse(struct str text, struct runtime_status *out, struct err *e)
{
    struct runtime_status s = {0};
    uint64_t started = 0, ended = 0, peak = 0, cpu = 0;
    struct record_field fields[] = {{"started_ms", INT64_MAX, &started},
                                    {"ended_ms", INT64_MAX, &ended},
                                    {"memory_peak_bytes", INT64_MAX, &peak},
                                    {"cpu_usec", INT64_MAX, &cpu}};

    if (parse_end(str_cut(&text, '\n'), &s, e) < 0) {
        return -1;
    }
    while (text.p) {
        struct str value = str_cut(&text, '\n'), key = str_cut(&value, ' ');

        if (str_eq_c(key, "detail")) {
            (void)!str_copy(value.p ? str_first(value, sizeof(s.detail) - 1) : STR_EMPTY, s.detail,
                            sizeof(s.detail));
        } else if (key.len > 0 && record_set_field(fields, ARRAY_LEN(fields), key,
                                                   value.p ? value : STR_EMPTY, e) < 0) {
            return err_wrap(e, "exit record");
        }
    }
    memcpy(s.id, out->id, sizeof(s.id));
    s.started_ms = (int64_t)started;
    s.ended_ms = (int64_t)ended;
    s.memory_peak_bytes = (int64_t)peak;
    s.cpu_usec = (int64_t)cpu;
    *out = s;
    return 0;
}

/* --- signal --- */

void ooms_before_signal_note(const char *id, int64_t oom_kills)
{
    char path[96], text[32];
    SCOPED(closep) int fd = -1;
    struct err ignored;

    (void)snprintf(path, sizeof(path), "jobs/%s/signal", id);
    (void)snprintf(text, sizeof(text), "%lld", (long long)oom_kills);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (fd >= 0) {
        (void)!fs_write_all(fd, str_of(text), &ignored);
    }
}

int64_t ooms_before_signal(const char *id)
{
    struct buf text = BUF_MAX(32);
    char path[96];
    uint64_t n = 0;
    struct err ignored;

    (void)snprintf(path, sizeof(path), "jobs/%s/signal", id);
    if (fs_read(AT_FDCWD, path, &text, &ignored) < 0 || number(buf_str(&text), INT64_MAX, &n) < 0) {
        n = 0;
    }
    buf_done(&text);
    return (int64_t)n;
}

/* --- /proc --- */

/* proc(5): pid (comm) state ppid pgrp session tty tpgid flags ... starttime is field 22. comm may
 * hold anything, also ") R 1", so the last ')' counts. */
int process_stat_parse(struct str text, struct process_stat *out, struct err *e)
{
    ptrdiff_t close = str_rfind_char(text, ')');
    struct str rest = close < 0 ? STR_EMPTY : str_from(text, (size_t)close + 2);
    struct process_stat s = {0};
    uint64_t parent = 0, session = 0;
    int have = 0;

    for (int field = 3; rest.p && field <= 22; field++) {
        struct str word = str_cut(&rest, ' ');

        switch (field) {
        case 3:
            s.state = word.len == 1 ? word.p[0] : '\0';
            have += word.len == 1;
            break;
        case 4:
            have += number(word, INT32_MAX, &parent) == 0;
            break;
        case 6:
            have += number(word, INT32_MAX, &session) == 0;
            break;
        case 9:
            have += number(word, UINT32_MAX, &s.flags) == 0;
            break;
        case 22:
            have += number(word, UINT64_MAX, &s.start) == 0;
            break;
        default:
            break;
        }
    }
    if (have != 5) {
        return err_set(e, ERR_INVALID, "this is no /proc/<pid>/stat");
    }
    s.parent = (pid_t)parent;
    s.session = (pid_t)session;
    *out = s;
    return 0;
}

int process_stat_of(pid_t pid, struct process_stat *out, struct err *e)
{
    struct buf text = BUF_MAX(RUNTIME_RECORD_MAX);
    char path[40];
    int rc;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    rc = fs_read(AT_FDCWD, path, &text, e);
    if (rc == 0) {
        rc = process_stat_parse(buf_str(&text), out, e);
    }
    buf_done(&text);
    return rc;
}

/* The number may be given to another process between the two looks; but then the start time, read
 * after the pidfd is held, is not the recorded one. */
int process_open(pid_t pid, uint64_t start)
{
    SCOPED(closep) int fd = pidfd_open(pid, 0);
    struct process_stat st = {0};
    struct err ignored;

    if (fd < 0 || process_stat_of(pid, &st, &ignored) < 0 || st.start != start) {
        return -1;
    }
    return TAKE_FD(fd);
}
