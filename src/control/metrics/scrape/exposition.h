/* exposition - what a target answers at /metrics: samples as text, line by line.
 *
 *   # TYPE http_requests_total counter
 *   http_requests_total{method="post",code="200"} 1027 1395066363000
 *   |------------------ series ------------------|value| time in ms (OpenMetrics: seconds)
 *
 * The series is handed out as it stands there, so that a scraper that saw the same page a moment
 * ago compares bytes and parses nothing; exposition_labels() takes it apart when it is new.
 *
 * Threads: any. Memory: views into the page. Limits: the page by its caller; labels of a series by
 * LIMIT_SERIES_LABELS. The first mistake ends the page: nothing of it counts, as in Prometheus.
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/ (text 0.0.4 and 1.0.0), and
 * OpenMetrics 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/). */
#pragma once
#include "labels/labels.h"

enum exposition_format { EXPOSITION_TEXT, EXPOSITION_OPENMETRICS };
enum exposition_kind {
    EXPOSITION_END,
    EXPOSITION_SAMPLE,
    EXPOSITION_TYPE,
    EXPOSITION_HELP,
    EXPOSITION_UNIT
};

struct exposition {
    struct str in;
    size_t at;
    unsigned line;
    enum exposition_format format;
    /* The series that the caller expects next: when it stands there with a plain number, nothing is
     * looked for. Empty: none. */
    struct str expected;

    /* of the line that was read */
    struct str series; /* SAMPLE */
    bool is_expected;
    double value;
    bool has_time;
    int64_t time_ms;
    bool has_exemplar;
    struct str name, text; /* TYPE: "counter"; HELP: with its escapes; UNIT */
};

/* The format that a Content-Type names; -1 for one that is none of ours (an error that says which
 * are). */
int exposition_format_of(struct str content_type, enum exposition_format *out,
                         struct err *e) MUST_USE;
void exposition_init(struct exposition *x, struct str page, enum exposition_format format);
/* The next line that says something: its kind, EXPOSITION_END behind the last, -1 with the line. */
int exposition_next(struct exposition *x, struct err *e) MUST_USE;
/* The labels of a series, sorted, __name__ among them; values that have escapes are written to the
 * arena. */
int exposition_labels(struct str series, struct arena *a, struct labels *out,
                      struct err *e) MUST_USE;
