#include "main/cli/cli.h"

#include "base/clock.h"

#include <string.h>
#include <unistd.h>

enum { BAR_WIDTH = 30, REDRAW_MS = 100 };

void meter_begin(struct meter *p, const char *what)
{
    *p = (struct meter){
        .what = what, .began_ms = clock_mono_ms(), .on_terminal = isatty(STDERR_FILENO) == 1};
}

/* It may be a name from another registry. */
static void draw_what(const struct meter *p)
{
    (void)fputc('\r', stderr);
    print_safe(stderr, str_of(p->what));
}

static void draw(struct meter *p, double fraction, const char *note)
{
    char bar[3 * BAR_WIDTH + 1];
    int full = (int)(fraction * BAR_WIDTH);
    size_t n = 0;

    for (int i = 0; i < BAR_WIDTH; i++) {
        memcpy(bar + n, i < full ? "█" : "░", 3);
        n += 3;
    }
    bar[n] = '\0';
    draw_what(p);
    (void)fprintf(stderr, " %s %3.0f%%  %s\033[K", bar, fraction * 100, note);
    (void)fflush(stderr);
}

void meter_fraction(struct meter *p, double fraction, const char *note)
{
    int64_t now = clock_mono_ms();

    fraction = fraction < 0 ? 0 : fraction > 1 ? 1 : fraction;
    if (p->on_terminal && (now - p->drawn_ms >= REDRAW_MS || fraction >= 1)) {
        p->drawn_ms = now;
        draw(p, fraction, note);
    }
}

void meter_bytes(void *progress, int64_t done, int64_t total)
{
    struct meter *p = progress;
    int64_t elapsed = clock_mono_ms() - p->began_ms;
    char a[16], b[16], rate[16], note[96];
    double per_sec = elapsed > 0 ? (double)done * 1000 / (double)elapsed : 0;

    if (total <= 0) { /* nobody knows */
        if (p->on_terminal && clock_mono_ms() - p->drawn_ms >= REDRAW_MS) {
            p->drawn_ms = clock_mono_ms();
            draw_what(p);
            (void)fprintf(stderr, " %s, %s/s\033[K", str_format_bytes(done, a),
                          str_format_bytes((int64_t)per_sec, rate));
        }
        return;
    }
    done += p->base_bytes;
    total += p->base_bytes;
    (void)snprintf(note, sizeof(note), "%s of %s, %s/s", str_format_bytes(done, a),
                   str_format_bytes(total, b), str_format_bytes((int64_t)per_sec, rate));
    meter_fraction(p, (double)done / (double)total, note);
}

void meter_end(struct meter *p)
{
    if (p->on_terminal && p->drawn_ms) {
        (void)fputc('\n', stderr);
    }
}
