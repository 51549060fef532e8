#include "base/clock.h"

#include "base/buf.h"
#include "base/fs.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static _Atomic int64_t fixed_wall_ms;

static int64_t read_us(clockid_t id)
{
    struct timespec ts;

    (void)clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
    int64_t fixed = atomic_load(&fixed_wall_ms);

    return fixed ? fixed : read_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_mono_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

int64_t clock_mono_ms(void)
{
    return clock_mono_us() / 1000;
}

int clock_boot_id(char out[CLOCK_BOOT_ID], struct err *e)
{
    struct buf text = BUF_MAX(64);
    int rc = fs_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &text, e);
    struct str all = buf_str(&text);

    if (rc == 0 && str_copy(str_cut(&all, '\n'), out, CLOCK_BOOT_ID) < 0) {
        rc = err_set(e, ERR_INTERNAL, "the kernel's boot id is too long");
    }
    buf_done(&text);
    return rc;
}

void clock_set_wall_ms(int64_t ms)
{
    atomic_store(&fixed_wall_ms, ms);
}

char *clock_format(int64_t wall_ms, char out[32])
{
    time_t s = (time_t)(wall_ms / 1000);
    struct tm tm;

    (void)gmtime_r(&s, &tm);
    (void)snprintf(out, 32, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (tm.tm_year + 1900) % 10000,
                   tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                   (int)(wall_ms % 1000));
    return out;
}

int clock_parse(struct str text, int64_t *wall_ms)
{
    char copy[32];
    struct tm tm = {0};
    uint64_t ms = 0;
    const char *rest;

    if (str_copy(text, copy, sizeof(copy)) < 0) {
        return -1;
    }
    rest = strptime(copy, "%Y-%m-%dT%H:%M:%S", &tm);
    if (rest && strlen(rest) == strlen(".000Z") && *rest == '.' &&
        str_to_u64(str_n(rest + 1, 3), &ms) == 0) {
        rest += strlen(".000");
    }
    if (rest == NULL || strcmp(rest, "Z") != 0) {
        return -1;
    }
    *wall_ms = (int64_t)timegm(&tm) * 1000 + (int64_t)ms;
    return 0;
}

char *clock_format_http(int64_t wall_ms, char out[32])
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t s = (time_t)(wall_ms / 1000);
    struct tm tm;

    (void)gmtime_r(&s, &tm);
    (void)snprintf(out, 32, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * tm.tm_wday,
                   tm.tm_mday, months + 3 * tm.tm_mon, (tm.tm_year + 1900) % 10000, tm.tm_hour,
                   tm.tm_min, tm.tm_sec);
    return out;
}

char *clock_format_duration(int64_t ms, char out[32])
{
    long long s = ms / 1000;

    if (ms < 10000) {
        (void)snprintf(out, 32, "%.1f s", (double)ms / 1000);
    } else if (s < 60) {
        (void)snprintf(out, 32, "%lld s", s);
    } else if (s < 3600) {
        (void)snprintf(out, 32, "%lld min %lld s", s / 60, s % 60);
    } else {
        (void)snprintf(out, 32, "%lld h %lld min", s / 3600, s / 60 % 60);
    }
    return out;
}
