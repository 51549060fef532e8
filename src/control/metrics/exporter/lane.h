/* lane - the threads that collectors run in, so that one which hangs holds up nobody: it is left
 * out until it comes back.
 *
 * A lane does what it is asked for in its own time, one collector after the other, and what those
 * gave that came back can be taken at any time. Its owner is one thread at a time (the page that is
 * made); every lane locks itself. */
#pragma once
#include "exporter/collect.h"

/* FOREIGN: what it shows was named by others, who may have taken a name that is there.
 * OWN_LANE: it waits for a device, a mount or a driver; the others share a lane until one hangs.
 * CHOOSES: it needs the regular expressions. */
enum collector_flags { ON = 1, OWN_LANE = 2, FOREIGN = 4, CHOOSES = 8 };
struct collector {
    const char *name;
    collect_fn *collect;
    unsigned flags;
};
enum { COLLECTORS_MAX = 64 };

/* What one turn of a collector gave. */
struct outcome {
    double seconds; /* NAN: it did not come back in time */
    bool ok, shown;
};

struct lane;

enum lane_flags { LANE_PLAIN = 0, LANE_CHOOSES = 1 };
/* `all`: n collectors, COLLECTORS_MAX at most, which stay where they are, as the options do. */
struct lane *lane_open(const struct exporter_options *o, const struct collector *all, size_t n,
                       enum lane_flags flags, struct err *e) MUST_USE;
/* False: it hangs, and its memory stays. */
bool lane_close(struct lane *l);

/* Begins the collectors that are marked. False: it still does what it was asked before. */
bool lane_ask(struct lane *l, const bool *which, enum exporter_format format) MUST_USE;
/* Waits for the end of that, at once where it does nothing. LANE_HANGS: the collector *at has not
 * come back for `patience_ms` (0: no end of patience). */
enum lane_answer { LANE_DONE, LANE_LATE, LANE_HANGS };
enum lane_answer lane_await(struct lane *l, int64_t deadline, int64_t patience_ms,
                            size_t *at) MUST_USE;
/* Adds to `out` what the collectors gave that came back, and to `outcomes` (COLLECTORS_MAX) how
 * they fared; those that have not begun are called off. */
void lane_take(struct lane *l, struct buf *out, struct outcome *outcomes);
