#include "runtime/shim_priv.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

/* The shim samples, because it outlives server and helper: what they do leaves no gap. A sample is
 * a line at the end of the file; only when the samples are thinned the file is written anew, beside
 * the old one, so that a reader finds the one or the other. Nothing is synced: after a power loss
 * the last samples may be missing, and nobody waits for a disk. */

void shim_usage_begin(struct shim *s)
{
    s->usage = (struct usage_log){
        .usage = {.started_ms = s->record.started_ms, .interval_ms = RUNTIME_USAGE_INTERVAL_MS},
        .fd = -1,
        .stale = true,
        .due_mono_ms = clock_mono_ms() + RUNTIME_USAGE_INTERVAL_MS,
    };
    cgroup_meter_open(s->job->cgroups, s->cgroup, &s->usage.meter);
}

int shim_usage_wait_ms(const struct shim *s)
{
    int64_t left = s->usage.due_mono_ms - clock_mono_ms();

    return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

static int write_all_of_it(int fd, const struct runtime_usage *u)
{
    SCOPED(buf_done) struct buf text = BUF_MAX(RUNTIME_USAGE_MAX);
    struct err ignored;

    usage_head_put(&text, u);
    for (size_t i = 0; i < u->n; i++) {
        usage_sample_put(&text, &u->samples[i]);
    }
    return fs_write_all(fd, buf_str(&text), &ignored);
}

static int write_anew(struct shim *s)
{
    char path[96], tmp[96];
    SCOPED(closep) int fd = -1;

    (void)snprintf(path, sizeof(path), "%s/usage", s->dir);
    (void)snprintf(tmp, sizeof(tmp), "%s/usage.tmp", s->dir);
    fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (fd < 0) {
        return -1;
    }
    if (fchown(fd, 0, s->job->group) < 0 || write_all_of_it(fd, &s->usage.usage) < 0 ||
        rename(tmp, path) < 0) {
        (void)unlink(tmp);
        return -1;
    }
    closep(&s->usage.fd);
    s->usage.fd = TAKE_FD(fd);
    return 0;
}

static int append_line(const struct shim *s, const struct runtime_sample *sample)
{
    SCOPED(buf_done) struct buf line = BUF_MAX(RUNTIME_RECORD_MAX);
    struct err ignored;

    usage_sample_put(&line, sample);
    return fs_write_all(s->usage.fd, buf_str(&line), &ignored);
}

/* What a full disk did not take is in memory still, and goes with the next one. */
void shim_usage_add(struct shim *s, const struct runtime_sample *sample)
{
    struct usage_log *l = &s->usage;

    if (l->usage.samples == NULL) {
        l->usage.samples = xnew_array(struct runtime_sample, LIMIT_USAGE_SAMPLES);
    }
    l->stale |= usage_add(&l->usage, sample);
    l->stale = (l->stale ? write_anew(s) : append_line(s, sample)) < 0;
}

void shim_usage_tick(struct shim *s)
{
    struct usage_log *l = &s->usage;
    int64_t now = clock_mono_ms();
    struct runtime_sample sample;

    if (now < l->due_mono_ms) {
        return;
    }
    cgroup_meter_read(&l->meter, &sample);
    shim_usage_add(s, &sample);
    l->due_mono_ms += l->usage.interval_ms;
    if (l->due_mono_ms <= now) { /* the machine slept, or is overloaded */
        l->due_mono_ms = now + l->usage.interval_ms;
    }
}
