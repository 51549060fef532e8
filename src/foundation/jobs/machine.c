#include "jobs/machine.h"

#include "base/limits.h"
#include "base/mem.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Small files of /proc and /sys: their size is 0, so they are read until the end. */
static struct str read_small(int rootfd, const char *path, char *text, size_t size)
{
    SCOPED(closep) int fd = openat(rootfd, path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t n = 1;

    while (fd >= 0 && n > 0 && len < size) {
        n = read(fd, text + len, size - len);
        len += n > 0 ? (size_t)n : 0;
    }
    return str_n(text, len);
}

/* The first number in the text. */
static bool number_in(struct str s, int64_t *out)
{
    uint64_t v;
    size_t n = 0;

    while (s.len > 0 && (s.p[0] < '0' || s.p[0] > '9')) {
        s = str_from(s, 1);
    }
    while (n < s.len && s.p[n] >= '0' && s.p[n] <= '9') {
        n++;
    }
    if (str_to_u64(str_first(s, n), &v) < 0 || v > INT64_MAX) {
        return false;
    }
    *out = (int64_t)v;
    return true;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t memory_total(int rootfd)
{
    /* Of our own cgroup, where we are in a container: v2, then v1 ("max" and v1's huge default say
     * nothing). */
    static const char *const limits[] = {"sys/fs/cgroup/memory.max",
                                         "sys/fs/cgroup/memory/memory.limit_in_bytes"};
    char text[4096];
    struct str s = read_small(rootfd, "proc/meminfo", text, sizeof(text));
    ptrdiff_t at = str_find(s, STR("MemTotal:"));
    int64_t total = 0, limit;

    if (at >= 0 && number_in(str_from(s, (size_t)at), &total)) {
        total *= 1024;
    }
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        s = read_small(rootfd, limits[i], text, sizeof(text));
        if (number_in(s, &limit)) {
            total = smaller(total, limit);
        }
    }
    return total;
}

static int64_t cpu_total(int rootfd, int cpus)
{
    char text[128];
    int64_t quota = 0, period = 0, milli = (int64_t)cpus * 1000;
    struct str rest = read_small(rootfd, "sys/fs/cgroup/cpu.max", text, sizeof(text));
    struct str first = str_cut(&rest, ' ');

    if (rest.p && number_in(first, &quota) && number_in(rest, &period) && period > 0) {
        return smaller(milli, quota * 1000 / period);
    }
    first = read_small(rootfd, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", text, sizeof(text));
    if (str_find_char(first, '-') >= 0 || !number_in(first, &quota)) {
        return milli;
    }
    first = read_small(rootfd, "sys/fs/cgroup/cpu/cpu.cfs_period_us", text, sizeof(text));
    return number_in(first, &period) && period > 0 ? smaller(milli, quota * 1000 / period) : milli;
}

static int by_number(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

    return (x > y) - (x < y);
}

static void find_gpus(struct machine *m, int rootfd)
{
    int fd = openat(rootfd, "dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *ent;

    if (d == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return;
    }
    while ((ent = readdir(d)) && m->gpus < MACHINE_GPUS) {
        struct str name = str_of(ent->d_name);
        uint64_t minor;

        if (str_starts(name, STR("nvidia")) &&
            str_to_u64(str_from(name, strlen("nvidia")), &minor) == 0 && minor < 1024) {
            m->gpu_minor[m->gpus++] = (unsigned)minor;
        }
    }
    (void)closedir(d);
    qsort(m->gpu_minor, m->gpus, sizeof(m->gpu_minor[0]), by_number);
}

void jobs_machine_probe(struct machine *m, int rootfd, int cpus, const struct cfg *cfg)
{
    int64_t cpu = cfg ? cfg_i64(cfg, "jobs.cpu") : 0;
    int64_t memory = cfg ? cfg_i64(cfg, "jobs.memory") : 0;
    int64_t reserve = cfg ? cfg_i64(cfg, "jobs.memory_reserve") : 0;
    int64_t total = memory_total(rootfd);

    *m = (struct machine){.cpu_milli = cpu_total(rootfd, cpus)};
    if (cpu > 0) {
        m->cpu_milli = cpu;
    }
    /* A small machine keeps at most a quarter for itself, or no job would ever fit. */
    m->memory_bytes = memory > 0 ? memory : total - smaller(reserve, total / 4);
    find_gpus(m, rootfd);
}

static const char *cpus(int64_t milli, char out[32])
{
    if (milli % 1000 == 0) {
        (void)snprintf(out, 32, "%lld CPU%s", (long long)(milli / 1000), milli == 1000 ? "" : "s");
    } else {
        (void)snprintf(out, 32, "%.2f CPUs", (double)milli / 1000);
    }
    return out;
}

size_t jobs_machine_lacks(const struct machine *m, const struct machine_need *n,
                          struct machine_lack out[MACHINE_RESOURCES])
{
    char a[32], b[32];
    size_t k = 0;

    if (n->cpu_milli > m->cpu_milli) {
        out[k].resource = MACHINE_CPU;
        (void)snprintf(out[k++].text, sizeof(out->text),
                       "asks for %s; this machine has %.4g for jobs", cpus(n->cpu_milli, a),
                       (double)m->cpu_milli / 1000);
    }
    if (n->memory_bytes > m->memory_bytes) {
        out[k].resource = MACHINE_MEMORY;
        (void)snprintf(out[k++].text, sizeof(out->text),
                       "asks for %s; this machine has %s for jobs",
                       str_format_bytes(n->memory_bytes, a), str_format_bytes(m->memory_bytes, b));
    }
    if (n->gpus > (int64_t)m->gpus) {
        out[k].resource = MACHINE_GPU;
        (void)snprintf(out[k++].text, sizeof(out->text),
                       "asks for %lld GPU%s; this machine has %zu", (long long)n->gpus,
                       n->gpus == 1 ? "" : "s", m->gpus);
    }
    return k;
}

const char *jobs_machine_key(enum machine_resource r)
{
    static const char *const keys[MACHINE_RESOURCES] = {"resources.cpu", "resources.memory",
                                                        "resources.gpu"};

    return keys[r];
}

int jobs_machine_could(const struct machine *m, const struct machine_need *n, struct err *e)
{
    struct machine_lack lacks[MACHINE_RESOURCES];

    if (jobs_machine_lacks(m, n, lacks) == 0) {
        return 0;
    }
    return err_set(e, ERR_INVALID, "%s: %s", jobs_machine_key(lacks[0].resource), lacks[0].text);
}

static int64_t at_least_0(int64_t v)
{
    return v > 0 ? v : 0;
}

int64_t jobs_machine_cpu_free(const struct machine *m)
{
    return at_least_0(m->cpu_milli - m->cpu_used);
}

int64_t jobs_machine_memory_free(const struct machine *m)
{
    return at_least_0(m->memory_bytes - m->memory_used);
}

int64_t jobs_machine_gpus_free(const struct machine *m)
{
    return at_least_0((int64_t)m->gpus - __builtin_popcountll(m->gpu_used));
}

bool jobs_machine_fits(const struct machine *m, const struct machine_need *n)
{
    return n->cpu_milli <= jobs_machine_cpu_free(m) &&
           n->memory_bytes <= jobs_machine_memory_free(m) && n->gpus <= jobs_machine_gpus_free(m);
}

uint64_t jobs_machine_take(struct machine *m, const struct machine_need *n, uint64_t want)
{
    uint64_t mask = want;

    m->cpu_used += n->cpu_milli;
    m->memory_used += n->memory_bytes;
    for (size_t i = 0; i < m->gpus && __builtin_popcountll(mask) < n->gpus; i++) {
        uint64_t bit = 1ULL << i;

        mask |= m->gpu_used & bit ? 0 : bit;
    }
    m->gpu_used |= mask;
    return mask;
}

void jobs_machine_give(struct machine *m, const struct machine_need *n, uint64_t gpu_mask)
{
    m->cpu_used -= n->cpu_milli;
    m->memory_used -= n->memory_bytes;
    m->gpu_used &= ~gpu_mask;
}

void jobs_machine_why_waiting(const struct machine *m, const struct machine_need *n, char *out,
                              size_t size)
{
    char a[32], b[32], c[32];

    if (n->cpu_milli > jobs_machine_cpu_free(m)) {
        (void)snprintf(out, size, "waits for %s: %.1f of %.1f free", cpus(n->cpu_milli, a),
                       (double)jobs_machine_cpu_free(m) / 1000, (double)m->cpu_milli / 1000);
    } else if (n->memory_bytes > jobs_machine_memory_free(m)) {
        (void)snprintf(out, size, "waits for %s of memory: %s of %s free",
                       str_format_bytes(n->memory_bytes, a),
                       str_format_bytes(jobs_machine_memory_free(m), b),
                       str_format_bytes(m->memory_bytes, c));
    } else if (n->gpus > jobs_machine_gpus_free(m)) {
        (void)snprintf(out, size, "waits for %lld GPUs: %lld of %zu free", (long long)n->gpus,
                       (long long)jobs_machine_gpus_free(m), m->gpus);
    } else {
        (void)snprintf(out, size, "starts next");
    }
}
